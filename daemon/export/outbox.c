/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include "export/outbox.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/encoder.h"
#include "export/spool.h"
#include "runtime/log.h"

/* Preambles come in front of everything, in the order they were made. */
#define FIRST_ORDER (1ull << 32)

struct outbox {
	struct outbox_options options;
	struct delivery *delivery;
	struct spool *spool; /* NULL: none */
	struct exporter_counters counters;
	struct list_node waiting; /* by order */
	struct list_node flying;  /* with the delivery */
	uint64_t records;	  /* in both */
	uint64_t next_order, next_preamble;
	uint32_t session_sequence; /* data records that went out in this session */
	uint64_t lost_packets, lost_octets;
	bool is_full;	 /* the delivery said -EAGAIN */
	bool is_pumping; /* submit() may finish chunks and be ready again while it runs */
	bool is_closed;
	bool is_stopped; /* what waits stays for another one, or for the next run */
};

DEFINE_CLEANUP(struct outbox *, outbox_free);

void outbox_update_waiting(struct outbox *outbox)
{
	const struct outbox_options *options = &outbox->options;
	uint64_t unread = outbox->spool ? spool_count_unread(outbox->spool) : 0;

	outbox->counters.spooled_records = unread;
	outbox->counters.waiting_records =
		outbox->records + unread +
		(options->count_unfinished ? options->count_unfinished(options->userdata) : 0);
}

static struct chunk *chunk_of(struct list_node *node)
{
	return container_of(node, struct chunk, node);
}

static struct chunk *first(const struct list_node *list)
{
	struct list_node *node = list_first(list);

	return node ? chunk_of(node) : NULL;
}

/* Nearly always the end, or for what comes back the beginning. */
static void insert_waiting(struct outbox *outbox, struct chunk *chunk)
{
	struct list_node *after = &outbox->waiting;
	struct chunk *oldest = first(&outbox->waiting);

	if (oldest && oldest->order > chunk->order) {
		list_add_tail(&oldest->node, &chunk->node);
		return;
	}
	while (after->previous != &outbox->waiting &&
	       chunk_of(after->previous)->order > chunk->order)
		after = after->previous;
	list_add_tail(after, &chunk->node);
}

/* Lost messages take their templates with them. */
static void lose(struct outbox *outbox, const struct chunk *chunk, uint64_t records,
		 uint64_t *counter)
{
	if (records == 0 && chunk->records > 0)
		return;
	*counter += records;
	if (records == chunk->records)
		outbox_count_lost_flows(outbox, chunk->packets, chunk->octets);
	if (outbox->options.on_gap && !outbox->is_closed)
		outbox->options.on_gap(outbox->options.userdata);
}

/* The spool may forget what is in front of the oldest chunk that has no fate yet. */
static void update_done(struct outbox *outbox)
{
	const struct chunk *oldest = NULL;
	uint64_t at = spool_get_unread_at(outbox->spool);

	list_for_each (node, &outbox->flying)
		if (chunk_of(node)->spool_at < at) {
			oldest = chunk_of(node);
			at = oldest->spool_at;
		}
	list_for_each (node, &outbox->waiting) {
		if (chunk_of(node)->spool_at == CHUNK_NOT_SPOOLED)
			continue;
		if (chunk_of(node)->spool_at < at) {
			oldest = chunk_of(node);
			at = oldest->spool_at;
		}
		break; /* in order */
	}
	spool_set_done(outbox->spool, at, oldest ? oldest->begin : 0, oldest ? oldest->sent : 0);
}

static void discard(struct outbox *outbox, struct chunk *chunk)
{
	bool is_spooled = chunk->spool_at != CHUNK_NOT_SPOOLED;

	outbox->records -= chunk->records;
	chunk_free(outbox->options.pool, chunk);
	if (is_spooled)
		update_done(outbox);
}

static void on_finished(void *userdata, struct chunk *chunk, const struct delivery_outcome *outcome)
{
	struct outbox *outbox = userdata;
	struct exporter_counters *counters = &outbox->counters;

	counters->sent_records += outcome->sent;
	if (outcome->sent == chunk->records)
		counters->templates_sent += chunk->templates;
	if (outcome->unreachable)
		lose(outbox, chunk, outcome->unreachable, &counters->dropped_unreachable);
	if (outcome->too_large)
		lose(outbox, chunk, outcome->too_large, &counters->dropped_too_large);
	if (outcome->refused)
		lose(outbox, chunk, outcome->refused, &counters->dropped_refused);
	discard(outbox, chunk);
	outbox_update_waiting(outbox);
}

static void on_returned(void *userdata, struct chunk *chunk, uint32_t sent)
{
	struct outbox *outbox = userdata;

	if (chunk->is_preamble) {
		discard(outbox, chunk);
		return;
	}
	outbox->counters.sent_records += sent;
	chunk->records -= sent;
	chunk->sent += sent;
	outbox->records -= sent;
	list_remove(&chunk->node);
	insert_waiting(outbox, chunk);
	if (chunk->spool_at != CHUNK_NOT_SPOOLED)
		update_done(outbox);
	outbox_update_waiting(outbox);
}

/* The records of a session's message go, its templates stay: later ones need them. */
static bool strip(struct outbox *outbox, struct chunk *chunk)
{
	if (!outbox->delivery->ops->has_sessions || !outbox->options.strip ||
	    !outbox->options.strip(outbox->options.userdata, chunk))
		return false;
	outbox->records -= chunk->records;
	chunk->records = 0;
	chunk->packets = chunk->octets = 0;
	return true;
}

/* Not one that is on its way: a stream would be torn there; and not what stands on disk, of which more than
 * the bound can come back from a lost connection. */
static void enforce_bound(struct outbox *outbox)
{
	list_for_each_safe (node, &outbox->waiting) {
		struct chunk *chunk = chunk_of(node);

		if (outbox->records <= outbox->options.config->queue)
			break;
		if (chunk->records == 0 || chunk->spool_at != CHUNK_NOT_SPOOLED)
			continue;
		lose(outbox, chunk, chunk->records, &outbox->counters.dropped_queue_full);
		if (!strip(outbox, chunk))
			discard(outbox, chunk);
	}
}

static void drop_all(struct outbox *outbox)
{
	struct chunk *chunk;

	while ((chunk = first(&outbox->waiting))) {
		lose(outbox, chunk, chunk->records, &outbox->counters.dropped_unreachable);
		discard(outbox, chunk);
	}
}

/* Also one whose bytes were stamped for a session before this one. */
static int submit(struct outbox *outbox, struct chunk *chunk)
{
	uint32_t data_records = chunk->data_records, sequence = outbox->session_sequence;
	int r;

	if (outbox->delivery->ops->has_sessions && outbox->options.stamp)
		outbox->options.stamp(outbox->options.userdata, chunk, sequence);
	outbox->session_sequence += data_records;
	r = outbox->delivery->ops->submit(outbox->delivery, chunk);
	if (r < 0)
		outbox->session_sequence = sequence;
	return r;
}

/* The next chunk from disk, where there is one. */
static struct chunk *load(struct outbox *outbox)
{
	const struct outbox_options *options = &outbox->options;
	struct chunk *chunk = NULL;

	while (outbox->spool && spool_read(outbox->spool, options->pool, &chunk) == 0) {
		if (!options->restore || options->restore(options->userdata, chunk))
			break;
		lose(outbox, chunk, chunk->records, &outbox->counters.dropped_spool);
		chunk_free(options->pool, steal_pointer(&chunk));
		update_done(outbox);
	}
	if (outbox->spool)
		outbox->counters.dropped_spool += spool_take_lost(outbox->spool);
	if (!chunk)
		return NULL;
	chunk->order = outbox->next_order++;
	outbox->records += chunk->records;
	insert_waiting(outbox, chunk);
	return chunk;
}

static struct chunk *next(struct outbox *outbox)
{
	struct chunk *chunk = first(&outbox->waiting);

	return chunk ? chunk : load(outbox);
}

static struct chunk *find_spooled(struct outbox *outbox)
{
	list_for_each (node, &outbox->waiting)
		if (chunk_of(node)->spool_at != CHUNK_NOT_SPOOLED)
			return chunk_of(node);
	return load(outbox);
}

/* Room for one more in a spool that is full. False where all of it is on its way. */
static bool drop_oldest(struct outbox *outbox)
{
	struct chunk *chunk = find_spooled(outbox);

	if (!chunk)
		return false;
	lose(outbox, chunk, chunk->records, &outbox->counters.dropped_spool);
	if (!strip(outbox, chunk)) {
		discard(outbox, chunk);
		return true;
	}
	chunk->spool_at = CHUNK_NOT_SPOOLED;
	update_done(outbox);
	return true;
}

/* To disk first. False where the chunk need not stay in memory, or has been dropped. */
static bool store(struct outbox *outbox, struct chunk *chunk)
{
	bool is_next = spool_count_unread(outbox->spool) == 0;
	int r;

	while ((r = spool_append(outbox->spool, chunk)) == SPOOL_FULL)
		if (!drop_oldest(outbox))
			break;
	if (r < 0)
		delivery_tell_trouble(outbox->delivery, r, "write to the spool", NULL);
	if (r != 0 && is_next)
		return true; /* in memory alone */
	if (r != 0) {
		lose(outbox, chunk, chunk->records, &outbox->counters.dropped_spool);
		chunk_free(outbox->options.pool, chunk);
		return false;
	}
	if (is_next && outbox->records + chunk->records <= outbox->options.config->queue) {
		spool_skip_unread(outbox->spool);
		return true;
	}
	chunk->spool_at = CHUNK_NOT_SPOOLED;
	chunk_free(outbox->options.pool, chunk);
	return false;
}

static void pump(struct outbox *outbox)
{
	struct chunk *chunk;

	if (outbox->is_pumping || outbox->is_stopped)
		return;
	outbox->is_pumping = true;
	while (!outbox->is_full && !outbox->is_closed && (chunk = next(outbox))) {
		list_move_tail(&outbox->flying, &chunk->node);
		outbox->is_full = true; /* delivery_ready() may be called within */
		if (submit(outbox, chunk) == 0) {
			outbox->is_full = false;
			continue;
		}
		list_remove(&chunk->node);
		insert_waiting(outbox, chunk);
	}
	outbox->is_pumping = false;
	if (outbox->is_closed)
		drop_all(outbox);
}

static void on_ready(void *userdata)
{
	struct outbox *outbox = userdata;

	outbox->is_full = false;
	pump(outbox);
}

static void on_session(void *userdata)
{
	struct outbox *outbox = userdata;
	struct chunk *chunk;

	while ((chunk = first(&outbox->waiting)) && chunk->is_preamble)
		discard(outbox, chunk);
	outbox->session_sequence = 0;
	if (outbox->options.on_session)
		outbox->options.on_session(outbox->options.userdata);
}

static void on_gap(void *userdata)
{
	struct outbox *outbox = userdata;

	if (outbox->options.on_gap)
		outbox->options.on_gap(outbox->options.userdata);
}

static void on_closed(void *userdata)
{
	struct outbox *outbox = userdata;

	outbox->is_closed = true;
	if (!outbox->is_pumping)
		drop_all(outbox);
	outbox_update_waiting(outbox);
}

static bool has_same_spool(const struct config_exporter *a, const struct config_exporter *b)
{
	return a->spool && b->spool && strcmp(a->spool, b->spool) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

/* What the last run left is accepted once more. */
static int open_spool(struct outbox *outbox)
{
	const struct config_exporter *config = outbox->options.config;
	const struct outbox *before = outbox->options.before;
	struct spool_options options = {
		.directory = config->spool,
		.name = config->name,
		.max_bytes = config->spool_max_bytes,
		.format = encoder_find_format(config, outbox->delivery->ops->wants_documents)};
	uint64_t records, lost;
	int r;

	if (!config->spool ||
	    (before && before->spool && has_same_spool(config, before->options.config)))
		return 0;
	r = spool_open(&options, &outbox->spool);
	if (r < 0)
		return r;
	records = spool_count_unread(outbox->spool);
	lost = spool_take_lost(outbox->spool);
	outbox->counters.accepted_records = outbox->counters.recovered_records = records + lost;
	outbox->counters.dropped_spool = lost;
	outbox_update_waiting(outbox);
	if (records > 0)
		log_notice("%s: %" PRIu64 " records wait on disk since the last run", config->name,
			   records);
	return 0;
}

int outbox_new(const struct outbox_options *options, struct outbox **ret)
{
	static const struct delivery_events events = {
		.on_finished = on_finished,
		.on_returned = on_returned,
		.on_ready = on_ready,
		.on_session = on_session,
		.on_gap = on_gap,
		.on_closed = on_closed,
	};
	cleanup(outbox_free_cleanup) struct outbox *outbox = calloc(1, sizeof(*outbox));
	int r;

	if (!outbox)
		return -ENOMEM;
	outbox->options = *options;
	outbox->next_order = FIRST_ORDER;
	list_init(&outbox->waiting);
	list_init(&outbox->flying);
	r = delivery_open(&(struct delivery_options){.config = options->config,
						     .loop = options->loop,
						     .counters = &outbox->counters,
						     .events = &events,
						     .userdata = outbox},
			  &outbox->delivery);
	if (r == 0)
		r = open_spool(outbox);
	if (r < 0)
		return r;
	outbox->options.before = NULL;
	*ret = steal_pointer(&outbox);
	return 0;
}

void outbox_give_back(struct outbox *outbox)
{
	const struct delivery *delivery = outbox->delivery;

	outbox->is_stopped = true;
	if (delivery->ops->give_back)
		delivery->ops->give_back(outbox->delivery);
}

void outbox_free(struct outbox *outbox)
{
	struct chunk *chunk;

	if (!outbox)
		return;
	if (outbox->spool)
		outbox_give_back(outbox);
	delivery_close(outbox->delivery);
	while ((chunk = first(&outbox->flying)) || (chunk = first(&outbox->waiting)))
		chunk_free(outbox->options.pool, chunk);
	spool_close(outbox->spool);
	free(outbox);
}

void outbox_add(struct outbox *outbox, struct chunk *chunk)
{
	if (outbox->spool && !chunk->is_preamble && !store(outbox, chunk)) {
		pump(outbox);
		outbox_update_waiting(outbox);
		return;
	}
	chunk->order = chunk->is_preamble ? outbox->next_preamble++ : outbox->next_order++;
	outbox->records += chunk->records;
	insert_waiting(outbox, chunk);
	pump(outbox);
	enforce_bound(outbox);
	outbox_update_waiting(outbox);
}

void outbox_take_counters(struct outbox *outbox, struct outbox *before)
{
	struct exporter_counters left = {.accepted_records = 0};

	outbox_update_waiting(before);
	left.accepted_records = before->counters.waiting_records;
	before->counters.accepted_records -= before->counters.waiting_records;
	exporter_counters_add(&outbox->counters, &before->counters);
	before->counters = left;
	outbox_count_lost_flows(outbox, before->lost_packets, before->lost_octets);
	before->lost_packets = before->lost_octets = 0;
	outbox_update_waiting(before);
	outbox_update_waiting(outbox);
}

/* What is in its memory, in order; also what a delivery without give_back() has not told the end of. */
static void collect(struct outbox *outbox)
{
	struct chunk *chunk;

	outbox_give_back(outbox);
	while ((chunk = first(&outbox->flying))) {
		list_remove(&chunk->node);
		insert_waiting(outbox, chunk);
	}
	while ((chunk = first(&outbox->waiting)) && chunk->is_preamble)
		discard(outbox, chunk);
}

/* With its spool the chunks keep their places there. */
static void take_spool(struct outbox *outbox, struct outbox *before, bool is_same_language)
{
	const struct config_exporter *config = outbox->options.config;
	struct chunk *chunk;

	outbox->spool = steal_pointer(&before->spool);
	spool_change(outbox->spool, config->spool_max_bytes,
		     encoder_find_format(config, outbox->delivery->ops->wants_documents));
	outbox->next_order = before->next_order;
	while ((chunk = first(&before->waiting))) {
		list_move_tail(&outbox->waiting, &chunk->node);
		before->records -= chunk->records;
		outbox->records += chunk->records;
		if (is_same_language)
			continue;
		lose(outbox, chunk, chunk->records, &outbox->counters.dropped_spool);
		discard(outbox, chunk);
	}
}

/* What was not handed over of a spool that is not gone on with stays there. */
static void leave_spool(struct outbox *outbox, struct outbox *before)
{
	uint64_t left = before->records + spool_count_unread(before->spool);

	update_done(before);
	if (left > 0)
		log_warning("%s: %" PRIu64 " records stay in the spool %s",
			    outbox->options.config->name, left, before->options.config->spool);
	outbox->counters.dropped_spool += left;
	spool_close(steal_pointer(&before->spool));
}

void outbox_take_over(struct outbox *outbox, struct outbox *before, bool is_same_language)
{
	uint64_t records;
	struct chunk *chunk;

	collect(before);
	outbox_update_waiting(before);
	records = before->counters.waiting_records;
	outbox_take_counters(outbox, before);
	outbox->counters.accepted_records += records;
	before->counters.accepted_records -= records;
	if (before->spool && has_same_spool(outbox->options.config, before->options.config))
		take_spool(outbox, before, is_same_language);
	while (is_same_language && (chunk = first(&before->waiting))) {
		list_remove(&chunk->node);
		before->records -= chunk->records;
		chunk_cut_sent(chunk);
		chunk->spool_at = CHUNK_NOT_SPOOLED;
		outbox_add(outbox, chunk);
	}
	if (before->spool)
		leave_spool(outbox, before);
	outbox_update_waiting(before);
	outbox_send(outbox);
}

void outbox_give_up(struct outbox *outbox)
{
	struct chunk *chunk;

	collect(outbox);
	while ((chunk = first(&outbox->waiting))) {
		outbox->counters.dropped_unreachable += chunk->records;
		discard(outbox, chunk);
	}
	outbox_update_waiting(outbox);
}

bool outbox_has_spool(const struct outbox *outbox)
{
	return outbox->spool != NULL;
}

void outbox_send(struct outbox *outbox)
{
	pump(outbox);
	outbox_update_waiting(outbox);
}

void outbox_flush(struct outbox *outbox)
{
	if (outbox->delivery->ops->flush)
		outbox->delivery->ops->flush(outbox->delivery);
}

void outbox_finish_all(struct outbox *outbox, uint64_t until_ns)
{
	const struct delivery_ops *ops = outbox->delivery->ops;

	if (ops->finish_all && outbox->records > 0)
		ops->finish_all(outbox->delivery, until_ns);
}

void outbox_count_lost_flows(struct outbox *outbox, uint64_t packets, uint64_t octets)
{
	outbox->lost_packets += packets;
	outbox->lost_octets += octets;
}

void outbox_get_lost_flows(const struct outbox *outbox, uint64_t *ret_packets, uint64_t *ret_octets)
{
	*ret_packets = outbox->lost_packets;
	*ret_octets = outbox->lost_octets;
}

bool outbox_is_closed(const struct outbox *outbox)
{
	return outbox->is_closed;
}

struct exporter_counters *outbox_get_counters(struct outbox *outbox)
{
	return &outbox->counters;
}

struct delivery *outbox_get_delivery(struct outbox *outbox)
{
	return outbox->delivery;
}

uint64_t outbox_count_records(const struct outbox *outbox)
{
	return outbox->records;
}
