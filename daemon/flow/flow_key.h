/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What makes two packets belong to one flow: the tuple in the direction of the first packet, the
 * conntrack zone and the network namespace that tracks it. */

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

struct flow_tuple {
	struct ip_address src, dst;
	/* Host order. ICMP and ICMPv6: src_port is 0, dst_port is type * 256 + code, and the echo
	 * id is kept in the key. Protocols without ports: 0. */
	uint16_t src_port, dst_port;
};

struct flow_key {
	struct flow_tuple tuple;
	uint16_t icmp_id;
	uint16_t zone;
	uint32_t netns;	  /* number of the namespace; 0 is the daemon's own */
	uint8_t family;	  /* enum ip_family */
	uint8_t protocol; /* IPPROTO_ */
	uint8_t padding[2];
};
_Static_assert(sizeof(struct flow_key) == 48, "the key is hashed and compared as bytes: no holes");

uint64_t flow_key_hash(const struct flow_key *key, uint64_t seed);
bool flow_key_equal(const struct flow_key *a, const struct flow_key *b);
