/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/send_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

static struct send_chunk *chunk_of(struct list_node *node)
{
	return node ? container_of(node, struct send_chunk, node) : NULL;
}

void send_queue_init(struct send_queue *queue)
{
	list_init(&queue->chunks);
	queue->records = 0;
}

void send_queue_fini(struct send_queue *queue)
{
	struct send_chunk *chunk;

	while ((chunk = send_queue_first(queue)))
		send_queue_remove(queue, chunk);
}

int send_queue_add(struct send_queue *queue, const struct send_chunk *chunk, const uint8_t *bytes)
{
	struct send_chunk *copy = malloc(sizeof(*copy) + chunk->length);

	if (!copy)
		return -ENOMEM;
	*copy = *chunk;
	memcpy(copy->bytes, bytes, chunk->length);
	list_add_tail(&queue->chunks, &copy->node);
	queue->records += copy->records;
	return 0;
}

struct send_chunk *send_queue_first(const struct send_queue *queue)
{
	return chunk_of(list_first(&queue->chunks));
}

void send_queue_remove(struct send_queue *queue, struct send_chunk *chunk)
{
	list_remove(&chunk->node);
	queue->records -= chunk->records;
	free(chunk);
}

struct send_chunk *send_queue_find_oldest_whole(const struct send_queue *queue)
{
	struct send_chunk *first = send_queue_first(queue);

	if (!first || first->sent == 0)
		return first;
	return first->node.next == &queue->chunks ? NULL : chunk_of(first->node.next);
}
