/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/retired_flows.h"

#include <errno.h>

#include "base/hash.h"
#include "base/macros.h"

void retired_flows_init(struct retired_flows *retired, uint32_t bound)
{
	*retired = (struct retired_flows){.bound = bound ? bound : 1};
	hash_map_init(&retired->map);
	slab_init(&retired->slab, sizeof(struct retired_flow));
	list_init(&retired->oldest_first);
}

void retired_flows_fini(struct retired_flows *retired)
{
	hash_map_fini(&retired->map);
	slab_fini(&retired->slab);
	list_init(&retired->oldest_first);
}

static uint64_t place_of(const struct retired_flow *flow)
{
	return hash_u64(flow->hash, flow->conntrack_id);
}

static bool is_same(const void *value, const void *key)
{
	const struct retired_flow *a = value, *b = key;

	return a->hash == b->hash && a->conntrack_id == b->conntrack_id;
}

struct retired_flow *retired_flows_find(struct retired_flows *retired, uint64_t hash,
					uint32_t conntrack_id)
{
	struct retired_flow key = {.hash = hash, .conntrack_id = conntrack_id};

	return hash_map_find(&retired->map, place_of(&key), is_same, &key);
}

void retired_flows_remove(struct retired_flows *retired, struct retired_flow *flow)
{
	hash_map_remove(&retired->map, place_of(flow), is_same, flow);
	list_remove(&flow->age);
	slab_give(&retired->slab, flow);
}

static void note_forgotten(struct retired_flows *retired, uint64_t retired_ns)
{
	retired->forgotten++;
	if (retired_ns > retired->forgotten_until_ns)
		retired->forgotten_until_ns = retired_ns;
}

static void forget_oldest(struct retired_flows *retired)
{
	struct retired_flow *oldest =
		container_of(list_first(&retired->oldest_first), struct retired_flow, age);

	note_forgotten(retired, oldest->retired_ns);
	retired_flows_remove(retired, oldest);
}

int retired_flows_add(struct retired_flows *retired, const struct retired_flow *flow)
{
	struct retired_flow *place = retired_flows_find(retired, flow->hash, flow->conntrack_id);

	if (place)
		retired_flows_remove(retired, place);
	if (retired->map.used >= retired->bound)
		forget_oldest(retired);
	place = slab_take(&retired->slab);
	if (!place) {
		note_forgotten(retired, flow->retired_ns);
		return -ENOMEM;
	}
	*place = *flow;
	if (hash_map_add(&retired->map, place_of(place), place) < 0) {
		slab_give(&retired->slab, place);
		note_forgotten(retired, flow->retired_ns);
		return -ENOMEM;
	}
	list_add_tail(&retired->oldest_first, &place->age);
	return 0;
}

bool retired_flows_may_have_forgotten(const struct retired_flows *retired, uint64_t start_ns)
{
	return retired->forgotten > 0 && start_ns <= retired->forgotten_until_ns;
}
