/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Puts the parts together: record -> encoder -> chunk -> outbox -> delivery. What is its own is the
 * one timer after which a chunk goes out that is not full, and the sum of the counters. */

#define LOG_MODULE "export"

#include "export/exporter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "config/compare.h"
#include "config/parts.h"
#include "export/encoder.h"
#include "export/outbox.h"
#include "runtime/log.h"

enum {
	CHUNK_BYTES = 64 * 1024,
	/* A part of the queue, so that throwing the oldest chunk away does not empty it. */
	CHUNKS_PER_QUEUE = 8,
};

#define HOLD_BACK_NS (200 * NS_PER_MS)
/* With a spool: what is in no chunk yet would be lost with the daemon. */
#define HOLD_BACK_REQUESTS_NS (50 * NS_PER_MS)
#define LAST_WAIT_NS	      NS_PER_SEC

struct exporter {
	struct config_exporter *config; /* its own copy */
	struct exporter_context context;
	struct chunk_pool pool;
	struct outbox *outbox;
	struct encoder *encoder;
	struct exporter_counters *counters; /* the outbox's */
	struct loop_source *timer, *post;   /* post: with a spool */
	uint64_t hold_back_ns;
	bool is_armed;
	bool is_handed_over; /* to another one */
	uint64_t done_ns;    /* when it is retired: the latest end; 0: it is not */
	bool takes_flows, takes_processes;
};

DEFINE_CLEANUP(struct exporter *, exporter_free);

const char *exporter_get_name(const struct exporter *exporter)
{
	return exporter->config->name ? exporter->config->name
				      : config_exporter_type_get_name(exporter->config->type);
}

const struct config_exporter *exporter_get_config(const struct exporter *exporter)
{
	return exporter->config;
}

const struct exporter_counters *exporter_get_counters(const struct exporter *exporter)
{
	return exporter->counters;
}

bool exporter_is_closed(const struct exporter *exporter)
{
	return outbox_is_closed(exporter->outbox);
}

bool exporter_wants_listening_ports(const struct exporter *exporter)
{
	return outbox_get_delivery(exporter->outbox)->ops->take_listening_ports != NULL;
}

void exporter_take_listening_ports(struct exporter *exporter, const struct listening_ports *ports)
{
	struct delivery *delivery = outbox_get_delivery(exporter->outbox);

	if (delivery->ops->take_listening_ports)
		delivery->ops->take_listening_ports(delivery, ports);
}

static void on_chunk(void *userdata, struct chunk *chunk)
{
	struct exporter *exporter = userdata;

	outbox_add(exporter->outbox, chunk);
}

static void on_dropped(void *userdata, const struct flow_record *record, uint64_t *counter)
{
	struct exporter *exporter = userdata;
	const struct flow_counters *flow = &record->counters;

	++*counter;
	if (record->parts & RECORD_COUNTERS)
		outbox_count_lost_flows(exporter->outbox, flow->in_packets + flow->out_packets,
					flow->in_bytes + flow->out_bytes);
}

static void read_statistics(void *userdata, struct options_statistics *ret)
{
	const struct exporter *exporter = userdata;
	const struct exporter_counters *counters = exporter->counters;

	*ret = (struct options_statistics){
		.sent_messages = counters->sent_messages,
		.sent_records = counters->sent_records,
		.sent_octets = counters->sent_bytes,
		.not_sent_records = exporter_counters_sum_dropped(counters),
	};
	outbox_get_lost_flows(exporter->outbox, &ret->not_sent_packets, &ret->not_sent_octets);
	if (!exporter->context.ignored)
		return;
	ret->has_ignored = true;
	ret->ignored_packets = exporter->context.ignored->packets;
	ret->ignored_octets = exporter->context.ignored->octets;
}

static unsigned get_columns(void *userdata)
{
	const struct exporter *exporter = userdata;
	const struct delivery *delivery = outbox_get_delivery(exporter->outbox);

	return delivery->ops->get_columns ? delivery->ops->get_columns(delivery) : 0;
}

static void on_session(void *userdata)
{
	struct exporter *exporter = userdata;

	if (exporter->encoder)
		encoder_begin_session(exporter->encoder);
}

static void on_gap(void *userdata)
{
	struct exporter *exporter = userdata;

	if (exporter->encoder)
		encoder_resend_templates(exporter->encoder);
}

static void stamp(void *userdata, struct chunk *chunk, uint32_t sequence)
{
	const struct exporter *exporter = userdata;

	encoder_stamp(exporter->encoder, chunk, sequence);
}

static bool strip(void *userdata, struct chunk *chunk)
{
	const struct exporter *exporter = userdata;

	return encoder_strip(exporter->encoder, chunk);
}

static void send_now(struct exporter *exporter)
{
	encoder_finish(exporter->encoder);
	outbox_send(exporter->outbox);
}

static void on_timer(void *userdata, unused uint64_t now_ns)
{
	struct exporter *exporter = userdata;

	exporter->is_armed = false;
	send_now(exporter);
}

static bool restore(void *userdata, struct chunk *chunk)
{
	const struct exporter *exporter = userdata;

	return encoder_restore(exporter->encoder, chunk);
}

/* A turn's records are one chunk, which is on disk before the next turn. */
static void on_turn_end(void *userdata, unused uint64_t now_ns)
{
	struct exporter *exporter = userdata;

	if (encoder_count_unfinished(exporter->encoder) > 0)
		send_now(exporter);
}

static uint64_t count_unfinished(void *userdata)
{
	const struct exporter *exporter = userdata;

	return exporter->encoder ? encoder_count_unfinished(exporter->encoder) : 0;
}

static int open_outbox(struct exporter *exporter, const struct exporter *before)
{
	struct outbox_options options = {.config = exporter->config,
					 .loop = exporter->context.loop,
					 .pool = &exporter->pool,
					 .before = before ? before->outbox : NULL,
					 .count_unfinished = count_unfinished,
					 .on_session = on_session,
					 .on_gap = on_gap,
					 .stamp = stamp,
					 .strip = strip,
					 .restore = restore,
					 .userdata = exporter};
	int r = outbox_new(&options, &exporter->outbox);

	if (r == 0)
		exporter->counters = outbox_get_counters(exporter->outbox);
	return r;
}

static int open_encoder(struct exporter *exporter)
{
	const struct delivery_ops *ops = outbox_get_delivery(exporter->outbox)->ops;
	uint32_t records = exporter->config->queue / CHUNKS_PER_QUEUE;
	struct encoder_options options = {
		.config = exporter->config,
		.context = &exporter->context,
		.pool = &exporter->pool,
		.counters = exporter->counters,
		.chunk_bytes = ops->chunk_bytes ? ops->chunk_bytes : CHUNK_BYTES,
		.chunk_records = records > 0 ? records : 1,
		.with_documents = ops->wants_documents,
		.has_sessions = ops->has_sessions,
		.emit = on_chunk,
		.on_dropped = on_dropped,
		.read_statistics = read_statistics,
		.get_columns = get_columns,
		.userdata = exporter,
	};
	int r;

	if (exporter->config->to.transport == CONFIG_TRANSPORT_UDP)
		options.chunk_records = 1; /* a datagram each; messages have bounds of their own */
	if (ops->chunk_records && ops->chunk_records < options.chunk_records)
		options.chunk_records = ops->chunk_records;
	r = encoder_new(&options, &exporter->encoder);
	if (r == -EOPNOTSUPP)
		log_error("%s: this kind of exporter is not built in", exporter_get_name(exporter));
	return r;
}

static int choose_hold_back(struct exporter *exporter)
{
	bool has_requests = outbox_get_delivery(exporter->outbox)->ops->has_requests;

	exporter->hold_back_ns = HOLD_BACK_NS;
	if (!exporter->config->spool)
		return 0;
	if (has_requests) {
		exporter->hold_back_ns = HOLD_BACK_REQUESTS_NS;
		return 0;
	}
	return loop_add_post(exporter->context.loop, on_turn_end, exporter, &exporter->post);
}

int exporter_new(const struct config_exporter *config, const struct exporter_context *context,
		 struct exporter **ret)
{
	return exporter_new_after(NULL, config, context, ret);
}

int exporter_new_after(const struct exporter *before, const struct config_exporter *config,
		       const struct exporter_context *context, struct exporter **ret)
{
	cleanup(exporter_free_cleanup) struct exporter *exporter = calloc(1, sizeof(*exporter));
	int r;

	if (!exporter)
		return -ENOMEM;
	exporter->context = *context;
	exporter->takes_flows = !config->records || config->records & CONFIG_RECORDS_FLOW;
	exporter->takes_processes = config_exporter_takes_processes(config);
	exporter->config = calloc(1, sizeof(*exporter->config));
	r = exporter->config ? config_exporter_copy(config, exporter->config) : -ENOMEM;
	if (r == 0)
		r = open_outbox(exporter, before);
	if (r == 0)
		r = open_encoder(exporter);
	/* At once, for what the last run left. */
	if (r == 0)
		r = loop_add_timer(context->loop, 0, on_timer, exporter, &exporter->timer);
	if (r == 0)
		r = choose_hold_back(exporter);
	if (r < 0)
		return r;
	*ret = steal_pointer(&exporter);
	return 0;
}

static void finish_all(struct exporter *exporter)
{
	exporter_flush(exporter);
	if (exporter->done_ns == 0)
		outbox_finish_all(exporter->outbox, clock_now_ns() + LAST_WAIT_NS);
	outbox_update_waiting(exporter->outbox);
	if (exporter->counters->waiting_records > 0 && exporter->config->spool)
		log_notice("%s: %llu records wait for the next start", exporter_get_name(exporter),
			   (unsigned long long)exporter->counters->waiting_records);
	else if (exporter->counters->waiting_records > 0)
		log_warning("%s: %llu records could not be sent", exporter_get_name(exporter),
			    (unsigned long long)exporter->counters->waiting_records);
}

void exporter_free(struct exporter *exporter)
{
	if (!exporter)
		return;
	if (exporter->timer && !exporter->is_handed_over)
		finish_all(exporter);
	if (exporter->outbox)
		outbox_get_delivery(exporter->outbox)->is_outlived =
			exporter->is_handed_over || exporter->done_ns > 0;
	loop_source_free(exporter->timer);
	loop_source_free(exporter->post);
	encoder_free(steal_pointer(&exporter->encoder));
	outbox_free(exporter->outbox);
	chunk_pool_fini(&exporter->pool);
	if (exporter->config)
		config_exporter_fini(exporter->config);
	free(exporter->config);
	free(exporter);
}

static bool is_wanted(const struct exporter *exporter, const struct flow_record *record)
{
	if (record->parts & RECORD_PROCESS)
		return exporter->takes_processes;
	return exporter->takes_flows;
}

void exporter_export(struct exporter *exporter, const struct flow_record *record)
{
	if (!is_wanted(exporter, record))
		return;
	exporter->counters->accepted_records++;
	if (outbox_is_closed(exporter->outbox)) {
		exporter->counters->dropped_unreachable++;
		return;
	}
	encoder_add(exporter->encoder, record);
	outbox_update_waiting(exporter->outbox);
	if (exporter->is_armed || exporter->counters->waiting_records == 0)
		return;
	exporter->is_armed =
		loop_source_set_time(exporter->timer, clock_now_ns() + exporter->hold_back_ns) == 0;
}

void exporter_flush(struct exporter *exporter)
{
	encoder_finish(exporter->encoder);
	outbox_flush(exporter->outbox);
	outbox_update_waiting(exporter->outbox);
}

void exporter_reopen(struct exporter *exporter)
{
	struct delivery *delivery = outbox_get_delivery(exporter->outbox);
	int r;

	exporter_flush(exporter);
	r = delivery->ops->reopen ? delivery->ops->reopen(delivery) : 0;
	if (r < 0)
		log_warning("%s: cannot open its file again: %s", exporter_get_name(exporter),
			    strerror(-r));
}

static void swap_encoders(struct exporter *a, struct exporter *b)
{
	struct encoder *encoder = a->encoder;

	a->encoder = b->encoder;
	b->encoder = encoder;
}

bool exporter_take_over(struct exporter *exporter, struct exporter *before)
{
	bool is_same = encoder_is_interchangeable(exporter->encoder, before->encoder);

	if (!is_same && !outbox_has_spool(before->outbox)) {
		outbox_take_counters(exporter->outbox, before->outbox);
		return false;
	}
	encoder_finish(before->encoder);
	outbox_take_over(exporter->outbox, before->outbox, is_same);
	if (is_same) {
		encoder_adopt(before->encoder, exporter->encoder);
		swap_encoders(exporter, before);
	}
	before->is_handed_over = true;
	return true;
}

void exporter_retire(struct exporter *exporter)
{
	exporter->done_ns = clock_now_ns() + LAST_WAIT_NS;
	exporter_flush(exporter);
}

/* A spool keeps what it has. */
bool exporter_is_done(struct exporter *exporter)
{
	outbox_update_waiting(exporter->outbox);
	return exporter->counters->waiting_records == 0 || outbox_has_spool(exporter->outbox) ||
	       clock_now_ns() >= exporter->done_ns;
}

void exporter_settle(struct exporter *exporter, struct exporter *before)
{
	outbox_give_up(before->outbox);
	outbox_take_counters(exporter->outbox, before->outbox);
}
