/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Encoded messages that the transport could not take yet, oldest first. */

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct send_chunk {
	struct list_node node;
	size_t length, sent; /* bytes */
	uint32_t records;
	uint32_t templates;
	uint64_t packets, octets; /* of the flows in it */
	uint8_t bytes[];
};

struct send_queue {
	struct list_node chunks;
	uint64_t records;
};

void send_queue_init(struct send_queue *queue);
void send_queue_fini(struct send_queue *queue);

/* Takes a copy of the message "chunk" describes (its node and bytes are not read). 0, or -ENOMEM.
 */
int send_queue_add(struct send_queue *queue, const struct send_chunk *chunk, const uint8_t *bytes);

/* The oldest, borrowed, or NULL. */
struct send_chunk *send_queue_first(const struct send_queue *queue);
void send_queue_remove(struct send_queue *queue, struct send_chunk *chunk);

/* The oldest one that may be thrown away: not one of which a part is sent, for a stream would be
 * torn there. NULL where there is none. */
struct send_chunk *send_queue_find_oldest_whole(const struct send_queue *queue);
