/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Flows that something will be done with a fixed while later, first in, first out. A flow may leave
 * the table meanwhile; then its turn is passed over. */

#include <stddef.h>
#include <stdint.h>

#include "flow/flow.h"

struct flow_queue_item {
	struct flow *flow;
	uint64_t flow_id; /* differs from the flow's: it has left */
	uint64_t since_ns;
};

struct flow_queue {
	struct flow_queue_item *items;
	size_t size, first, count;
	uint64_t delay_ns;
};

void flow_queue_init(struct flow_queue *queue, uint64_t delay_ns);
void flow_queue_fini(struct flow_queue *queue);

/* 0, or -ENOMEM. "since_ns" (monotonic) must not be before that of the one added last. */
int flow_queue_add(struct flow_queue *queue, struct flow *flow, uint64_t since_ns);

/* When the first is due; UINT64_MAX: the queue is empty. */
uint64_t flow_queue_get_due(const struct flow_queue *queue);
/* When to wake up for it: up to an eighth of the delay later, at a moment that flows which are due soon after
 * share. A timer for each flow would be most of what a flow costs on a host with few of them. */
uint64_t flow_queue_get_wake_up(const struct flow_queue *queue);

/* Takes out the next flow that is due and still in the table; NULL where there is none. */
struct flow *flow_queue_take(struct flow_queue *queue, uint64_t now_ns);
