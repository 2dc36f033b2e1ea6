/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What lies between an exporter's encoder and its delivery: the bounded queue of finished chunks,
 * their order, and the counters that add up. Chunks wait, or are on their way (with the delivery).
 */

#include <stdbool.h>

#include "export/delivery.h"

struct outbox;

struct outbox_options {
	const struct config_exporter *config; /* borrowed */
	struct loop *loop;
	struct chunk_pool *pool; /* borrowed: where finished chunks go */
	/* A connection begins: its preamble is to be added (chunk->is_preamble). May be NULL. */
	void (*on_session)(void *userdata);
	/* encoder_stamp() and encoder_strip(), for deliveries with sessions. May be NULL. */
	void (*stamp)(void *userdata, struct chunk *chunk, uint32_t sequence);
	bool (*strip)(void *userdata, struct chunk *chunk);
	/* encoder_restore(), of chunks from the spool. May be NULL. */
	bool (*restore)(void *userdata, struct chunk *chunk);
	/* Records that are in no chunk yet. May be NULL. */
	uint64_t (*count_unfinished)(void *userdata);
	/* The collector may lack templates. May be NULL. */
	void (*on_gap)(void *userdata);
	void *userdata;
	/* The one that this one is to go on for, or NULL: a spool that both have comes from it, by
	 * outbox_take_over(). */
	const struct outbox *before;
};

/* Opens the delivery too. 0; a negative errno, and then the reason for people in the log. */
int outbox_new(const struct outbox_options *options, struct outbox **ret);
/* Accepts NULL. What waits is thrown away. */
void outbox_free(struct outbox *outbox);

/* Takes the chunk, and gives it to the delivery where that can take it now. */
void outbox_add(struct outbox *outbox, struct chunk *chunk);
/* Goes on for "before", which is done with: takes its counters, its spool, and what waits there or is on
 * its way and has not arrived, in order. Where the language is another one, what is in the spool is lost;
 * and not for a "before" without a spool, see outbox_take_counters(). */
void outbox_take_over(struct outbox *outbox, struct outbox *before, bool is_same_language);
/* Takes the counters of what is done with, also again when more is. */
void outbox_take_counters(struct outbox *outbox, struct outbox *before);
/* What waits is given up, as dropped_unreachable. */
void outbox_give_up(struct outbox *outbox);
bool outbox_has_spool(const struct outbox *outbox);
/* The end of sending: what is on its way waits again, as far as the collector is not known to have it. */
void outbox_give_back(struct outbox *outbox);
/* Gives the delivery what waits, as far as it takes it now. */
void outbox_send(struct outbox *outbox);
/* Tries at once what the delivery put off. */
void outbox_flush(struct outbox *outbox);
/* Works without the loop until nothing waits or the time is over: the end of the program. */
void outbox_finish_all(struct outbox *outbox, uint64_t until_ns);

/* Flows of records that were dropped, for the exporter's statistics. */
void outbox_count_lost_flows(struct outbox *outbox, uint64_t packets, uint64_t octets);
void outbox_get_lost_flows(const struct outbox *outbox, uint64_t *ret_packets,
			   uint64_t *ret_octets);

/* No way back: whatever is added is dropped. */
bool outbox_is_closed(const struct outbox *outbox);
struct exporter_counters *outbox_get_counters(struct outbox *outbox);
struct delivery *outbox_get_delivery(struct outbox *outbox);
/* Records in chunks: waiting, or on their way. */
uint64_t outbox_count_records(const struct outbox *outbox);
/* Counts all that waits into the counters: where a record came or went that is in no chunk. */
void outbox_update_waiting(struct outbox *outbox);
