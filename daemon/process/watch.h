/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Processes that a flow has just begun with. When it ends nobody tells in time (conntrack does when
 * its timeout has passed), so samples are taken 10, 40, 160 and 640 ms after the begin: then the
 * regular ones are near enough. A flow that begins meanwhile starts it anew. */

#include <stdint.h>

#include "base/list.h"

enum { WATCH_STAGES = 4 };

struct watch_list {
	struct list_node stages[WATCH_STAGES]; /* each in the order in which they are due */
};

/* In what is watched. */
struct watch {
	struct list_node node;
	uint64_t begin_ns; /* monotonic */
	uint8_t stage;
};

void watch_list_init(struct watch_list *list);
void watch_init(struct watch *watch);

/* "now_ns" must not be before that of the one added last. */
void watch_list_add(struct watch_list *list, struct watch *watch, uint64_t now_ns);
void watch_list_remove(struct watch *watch);

/* When the first is due; UINT64_MAX: none. */
uint64_t watch_list_get_due(const struct watch_list *list);

/* One that is due, which goes to its next stage; NULL where there is none. */
struct watch *watch_list_take(struct watch_list *list, uint64_t now_ns);
