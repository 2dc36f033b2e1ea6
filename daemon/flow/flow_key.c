/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_key.h"

#include <string.h>

#include "base/hash.h"

uint64_t flow_key_hash(const struct flow_key *key, uint64_t seed)
{
	return hash_bytes(seed, key, sizeof(*key));
}

bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
