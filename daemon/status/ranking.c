/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "status/ranking.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum { FIRST_ROOM = 64 };

void ranking_init(struct ranking *ranking, size_t limit)
{
	*ranking = (struct ranking){.limit = limit};
}

void ranking_fini(struct ranking *ranking)
{
	free(ranking->items);
	ranking_init(ranking, 0);
}

/* Of equal ones the smaller number is the larger item: the order is the same every time. */
static bool is_below(const struct ranking_item *a, const struct ranking_item *b)
{
	return a->key < b->key || (a->key == b->key && a->number > b->number);
}

static void swap(struct ranking_item *a, struct ranking_item *b)
{
	struct ranking_item held = *a;

	*a = *b;
	*b = held;
}

static void sift_up(struct ranking_item *items, size_t at)
{
	while (at > 0 && is_below(&items[at], &items[(at - 1) / 2])) {
		swap(&items[at], &items[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

static void sift_down(struct ranking_item *items, size_t count, size_t at)
{
	for (;;) {
		size_t smallest = at;

		for (size_t child = 2 * at + 1; child < count && child <= 2 * at + 2; child++)
			if (is_below(&items[child], &items[smallest]))
				smallest = child;
		if (smallest == at)
			return;
		swap(&items[at], &items[smallest]);
		at = smallest;
	}
}

static int make_room(struct ranking *ranking)
{
	size_t room = ranking->room ? ranking->room * 2 : FIRST_ROOM;
	struct ranking_item *items;

	if (ranking->count < ranking->room)
		return 0;
	if (room > ranking->limit)
		room = ranking->limit;
	items = reallocarray(ranking->items, room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	ranking->items = items;
	ranking->room = room;
	return 0;
}

int ranking_add(struct ranking *ranking, const struct ranking_item *item)
{
	if (ranking->limit == 0)
		return 0;
	if (ranking->count == ranking->limit) {
		if (!is_below(&ranking->items[0], item))
			return 0;
		ranking->items[0] = *item;
		sift_down(ranking->items, ranking->count, 0);
		return 0;
	}
	if (make_room(ranking) < 0)
		return -ENOMEM;
	ranking->items[ranking->count++] = *item;
	sift_up(ranking->items, ranking->count - 1);
	return 0;
}

void ranking_finish(struct ranking *ranking)
{
	/* The smallest goes to the end, again and again. */
	for (size_t left = ranking->count; left > 1; left--) {
		swap(&ranking->items[0], &ranking->items[left - 1]);
		sift_down(ranking->items, left - 1, 0);
	}
}
