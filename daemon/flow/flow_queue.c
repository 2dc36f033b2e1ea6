/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_queue.h"

#include <errno.h>
#include <stdlib.h>

enum { SMALLEST_SIZE = 64, WAKE_UPS = 8 /* within the delay, at most */ };

void flow_queue_init(struct flow_queue *queue, uint64_t delay_ns)
{
	*queue = (struct flow_queue){.delay_ns = delay_ns};
}

void flow_queue_fini(struct flow_queue *queue)
{
	free(queue->items);
	flow_queue_init(queue, queue->delay_ns);
}

static int grow(struct flow_queue *queue)
{
	size_t size = queue->size ? queue->size * 2 : SMALLEST_SIZE;
	struct flow_queue_item *items = calloc(size, sizeof(*items));

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < queue->count; i++)
		items[i] = queue->items[(queue->first + i) % queue->size];
	free(queue->items);
	queue->items = items;
	queue->size = size;
	queue->first = 0;
	return 0;
}

int flow_queue_add(struct flow_queue *queue, struct flow *flow, uint64_t since_ns)
{
	if (queue->count == queue->size) {
		int r = grow(queue);

		if (r < 0)
			return r;
	}
	queue->items[(queue->first + queue->count++) % queue->size] =
		(struct flow_queue_item){.flow = flow, .flow_id = flow->id, .since_ns = since_ns};
	return 0;
}

uint64_t flow_queue_get_due(const struct flow_queue *queue)
{
	return queue->count ? queue->items[queue->first].since_ns + queue->delay_ns : UINT64_MAX;
}

uint64_t flow_queue_get_wake_up(const struct flow_queue *queue)
{
	uint64_t due_ns = flow_queue_get_due(queue), step_ns = queue->delay_ns / WAKE_UPS;

	if (queue->count == 0 || step_ns == 0)
		return due_ns;
	return (due_ns + step_ns - 1) / step_ns * step_ns;
}

struct flow *flow_queue_take(struct flow_queue *queue, uint64_t now_ns)
{
	while (flow_queue_get_due(queue) <= now_ns) {
		const struct flow_queue_item *item = &queue->items[queue->first];

		queue->first = (queue->first + 1) % queue->size;
		queue->count--;
		if (item->flow->id == item->flow_id)
			return item->flow;
	}
	return NULL;
}
