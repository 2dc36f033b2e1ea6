/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The largest of many, bounded: what "--sort" keeps until all was seen. */

#include <stddef.h>
#include <stdint.h>

struct ranking_item {
	uint64_t key;
	void *object;	 /* the caller's */
	uint64_t number; /* the caller's; of equal keys the smaller number comes first */
};

/* A heap with the smallest on top, until ranking_finish(). */
struct ranking {
	struct ranking_item *items;
	size_t count, room, limit;
};

void ranking_init(struct ranking *ranking, size_t limit);
void ranking_fini(struct ranking *ranking);

/* Keeps the item if it is among the "limit" largest so far. 0 or -ENOMEM. */
int ranking_add(struct ranking *ranking, const struct ranking_item *item);
/* From here on items[0] to items[count - 1] stand with the largest first; nothing more is added. */
void ranking_finish(struct ranking *ranking);
