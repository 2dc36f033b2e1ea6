/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/watch.h"

#include "base/clock.h"
#include "base/macros.h"

static const uint64_t delays_ns[WATCH_STAGES] = {10 * NS_PER_MS, 40 * NS_PER_MS, 160 * NS_PER_MS,
						 640 * NS_PER_MS};

void watch_list_init(struct watch_list *list)
{
	for (size_t i = 0; i < WATCH_STAGES; i++)
		list_init(&list->stages[i]);
}

void watch_init(struct watch *watch)
{
	*watch = (struct watch){0};
	list_init(&watch->node);
}

void watch_list_add(struct watch_list *list, struct watch *watch, uint64_t now_ns)
{
	watch->begin_ns = now_ns;
	watch->stage = 0;
	list_move_tail(&list->stages[0], &watch->node);
}

void watch_list_remove(struct watch *watch)
{
	list_remove(&watch->node);
}

static uint64_t get_stage_due(const struct watch_list *list, size_t stage)
{
	struct list_node *node = list_first(&list->stages[stage]);

	return node ? container_of(node, struct watch, node)->begin_ns + delays_ns[stage]
		    : UINT64_MAX;
}

uint64_t watch_list_get_due(const struct watch_list *list)
{
	uint64_t due_ns = UINT64_MAX;

	for (size_t i = 0; i < WATCH_STAGES; i++)
		if (get_stage_due(list, i) < due_ns)
			due_ns = get_stage_due(list, i);
	return due_ns;
}

struct watch *watch_list_take(struct watch_list *list, uint64_t now_ns)
{
	for (size_t i = 0; i < WATCH_STAGES; i++) {
		struct watch *watch;

		if (get_stage_due(list, i) > now_ns)
			continue;
		watch = container_of(list_first(&list->stages[i]), struct watch, node);
		list_remove(&watch->node);
		watch->stage++;
		if (watch->stage < WATCH_STAGES)
			list_add_tail(&list->stages[watch->stage], &watch->node);
		return watch;
	}
	return NULL;
}
