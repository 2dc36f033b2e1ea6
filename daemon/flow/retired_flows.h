/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What was reported of flows that are still in the kernel's table but no longer in ours: closed,
 * idle or evicted. When the kernel tells of such a flow again, only what is new is counted.
 * Bounded: at the bound the oldest is forgotten, and retired_flows_may_have_forgotten() tells
 * whether a flow could have been one of them. 88 bytes each. */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash_map.h"
#include "base/list.h"
#include "base/slab.h"
#include "flow/flow_event.h"

struct retired_flow {
	uint64_t hash; /* of the key; with the id it names the flow (2^-96 to be mistaken) */
	uint32_t conntrack_id;
	uint32_t records; /* that were told of it */
	uint64_t flow_id;
	uint64_t retired_ns; /* monotonic */
	struct flow_counters reported;
	struct list_node age; /* the table's */
};

struct retired_flows {
	struct hash_map map;
	struct slab slab;
	struct list_node oldest_first;
	size_t bound;
	uint64_t forgotten;
	uint64_t forgotten_until_ns; /* nothing retired later was forgotten */
};

void retired_flows_init(struct retired_flows *retired, uint32_t bound);
void retired_flows_fini(struct retired_flows *retired);

/* Remembers a copy. -ENOMEM: it is forgotten at once (and counted). */
int retired_flows_add(struct retired_flows *retired, const struct retired_flow *flow);
/* Borrowed; NULL where it is not there. */
struct retired_flow *retired_flows_find(struct retired_flows *retired, uint64_t hash,
					uint32_t conntrack_id);
void retired_flows_remove(struct retired_flows *retired, struct retired_flow *flow);

/* Whether a flow that began at "start_ns" (0: unknown) may have been here and was forgotten. */
bool retired_flows_may_have_forgotten(const struct retired_flows *retired, uint64_t start_ns);
