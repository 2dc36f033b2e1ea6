/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* flows.include and flows.exclude: which flows are watched at all, by their ends' addresses as the
 * initiator uses them (before NAT). */

#include <stdbool.h>
#include <stddef.h>

#include "flow/flow_key.h"

struct flow_filter {
	const struct ip_prefix *include, *exclude; /* borrowed */
	size_t include_count, exclude_count;
};

/* An empty include list takes all; else one end must be in it. A flow with an end in the exclude list is
 * left out, whatever else is said. */
bool flow_filter_passes(const struct flow_filter *filter, const struct flow_key *key);
