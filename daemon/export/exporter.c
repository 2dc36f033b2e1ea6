/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What all exporters have in common: a message that is being filled, a queue of messages that the
 * transport could not take, one timer, and counters that add up. How a message is filled is the
 * business of the type's row in "types"; where it goes, of the transport.
 *
 * A full message goes to the transport at once, from the memory it was built in; only what the
 * transport refuses is copied into the queue. */

#define LOG_MODULE "export"

#include "export/exporter.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "export/json.h"
#include "export/send_queue.h"
#include "export/split.h"
#include "export/text_table.h"
#include "export/transport.h"
#include "export/wire_writer.h"
#include "runtime/log.h"

enum {
	STREAM_MESSAGE_BYTES = 64 * 1024,
	/* A part of the queue, so that throwing the oldest message away does not empty it. */
	MESSAGES_PER_QUEUE = 8,
};

#define HOLD_BACK_NS	 (200 * NS_PER_MS)
#define LAST_WAIT_NS	 NS_PER_SEC
#define RESEND_EVERY_NS	 NS_PER_SEC
#define TROUBLE_QUIET_NS (10 * NS_PER_SEC)

struct exporter_type {
	const char *name;
	int (*open)(struct exporter *exporter);
	void (*add)(struct exporter *exporter, const struct flow_record *record);
	void (*finish)(struct exporter *exporter); /* the message that is being filled */
	void (*close)(struct exporter *exporter);
};

struct exporter {
	const struct config_exporter *config;
	struct exporter_context context;
	const struct exporter_type *type;
	struct transport *transport;
	struct send_queue queue;
	struct loop_source *timer, *writable;
	bool is_armed, is_closed;
	bool lacks_templates; /* the collector may: messages were lost, or it is a new one */
	int trouble;	      /* the errno that was told last, 0: none */
	uint64_t trouble_ns;
	struct exporter_counters counters;
	uint64_t lost_packets, lost_octets; /* of the flows whose records were dropped */
	/* Streams. */
	struct buffer lines;
	uint32_t line_records, line_records_limit;
	struct text_table table;
	/* Messages. */
	struct wire_writer *writer;
	uint64_t templates_resent_ns;
};

DEFINE_CLEANUP(struct exporter *, exporter_free);

const char *exporter_get_name(const struct exporter *exporter)
{
	return exporter->config->name ? exporter->config->name : exporter->type->name;
}

const struct exporter_counters *exporter_get_counters(const struct exporter *exporter)
{
	return &exporter->counters;
}

bool exporter_is_closed(const struct exporter *exporter)
{
	return exporter->is_closed;
}

/* The same trouble is told once; that it is over, when nothing went wrong for a while. */
static void tell_trouble(struct exporter *exporter, int error)
{
	exporter->trouble_ns = clock_now_ns();
	if (exporter->trouble == error)
		return;
	exporter->trouble = error;
	log_warning("%s: cannot send: %s", exporter_get_name(exporter), strerror(-error));
}

static void on_taken(struct exporter *exporter, size_t bytes)
{
	exporter->counters.sent_bytes += bytes;
	if (exporter->trouble == 0 || clock_now_ns() - exporter->trouble_ns < TROUBLE_QUIET_NS)
		return;
	exporter->trouble = 0;
	log_notice("%s: sending again", exporter_get_name(exporter));
}

static void count_lost(struct exporter *exporter, const struct send_chunk *chunk, uint64_t *counter)
{
	exporter->lacks_templates = true;
	exporter->lost_packets += chunk->packets;
	exporter->lost_octets += chunk->octets;
	*counter += chunk->records;
}

/* A refusal is about an earlier datagram, and telling it has kept this one from being sent: it goes
 * out again at once. */
static int send_bytes(struct exporter *exporter, const uint8_t *bytes, size_t length,
		      size_t *ret_taken)
{
	int r = transport_send(exporter->transport, bytes, length, ret_taken);

	if (r != -ECONNREFUSED || transport_is_stream(exporter->transport))
		return r;
	exporter->counters.refused_messages++;
	exporter->lacks_templates = true;
	tell_trouble(exporter, r);
	return transport_send(exporter->transport, bytes, length, ret_taken);
}

static bool is_end_of_stream(int error)
{
	return error == -EPIPE || error == -ECONNRESET || error == -EBADF;
}

static void close_stream(struct exporter *exporter, int error)
{
	exporter->is_closed = true;
	log_error("%s: nobody reads it any more: %s", exporter_get_name(exporter),
		  strerror(-error));
}

static void count_sent(struct exporter *exporter, const struct send_chunk *chunk)
{
	exporter->counters.sent_records += chunk->records;
	exporter->counters.sent_messages++;
	exporter->counters.templates_sent += chunk->templates;
}

/* Sends what it can of the chunk. 0: sent, or lost and counted; a negative errno: the rest has to
 * wait. */
static int send_chunk(struct exporter *exporter, struct send_chunk *chunk, const uint8_t *bytes)
{
	bool is_stream = transport_is_stream(exporter->transport);

	if (chunk->sent == 0)
		transport_begin_message(exporter->transport, chunk->length);
	while (!exporter->is_closed && chunk->sent < chunk->length) {
		size_t taken = 0;
		int r = send_bytes(exporter, bytes + chunk->sent, chunk->length - chunk->sent,
				   &taken);

		if (r == 0 && taken > 0) {
			chunk->sent += taken;
			on_taken(exporter, taken);
			continue;
		}
		if (r == 0 || r == -EAGAIN)
			return -EAGAIN;
		if (is_stream && is_end_of_stream(r)) {
			close_stream(exporter, r);
			break;
		}
		tell_trouble(exporter, r);
		if (is_stream)
			return r;
		count_lost(exporter, chunk,
			   r == -EMSGSIZE ? &exporter->counters.dropped_too_large
					  : &exporter->counters.dropped_unreachable);
		return 0;
	}
	if (exporter->is_closed)
		count_lost(exporter, chunk, &exporter->counters.dropped_unreachable);
	else
		count_sent(exporter, chunk);
	return 0;
}

static void update_waiting(struct exporter *exporter)
{
	const struct exporter_counters *counters = &exporter->counters;

	exporter->counters.waiting_records =
		counters->accepted_records - counters->sent_records - counters->dropped_queue_full -
		counters->dropped_unreachable - counters->dropped_too_large -
		counters->dropped_no_memory;
}

static void arm_timer(struct exporter *exporter)
{
	if (exporter->is_armed)
		return;
	exporter->is_armed =
		loop_source_set_time(exporter->timer, clock_now_ns() + HOLD_BACK_NS) == 0;
}

static void drain(struct exporter *exporter);

static void on_writable(void *userdata, unused uint32_t events)
{
	drain(userdata);
}

/* After a transport error only time helps; and the timer tries again whatever the descriptor says.
 */
static void wait_for(struct exporter *exporter, int reason)
{
	int fd = transport_get_fd(exporter->transport);

	if (reason != -EAGAIN)
		loop_source_free(steal_pointer(&exporter->writable));
	else if (!exporter->writable && fd >= 0)
		(void)loop_add_io(exporter->context.loop, fd, EPOLLOUT, on_writable, exporter,
				  &exporter->writable);
	arm_timer(exporter);
}

static void drain(struct exporter *exporter)
{
	struct send_chunk *chunk;
	int r = 0;

	while (r == 0 && (chunk = send_queue_first(&exporter->queue))) {
		r = send_chunk(exporter, chunk, chunk->bytes);
		if (r == 0)
			send_queue_remove(&exporter->queue, chunk);
	}
	if (r < 0)
		wait_for(exporter, r);
	else
		loop_source_free(steal_pointer(&exporter->writable));
	update_waiting(exporter);
}

static void enforce_bound(struct exporter *exporter)
{
	struct send_chunk *oldest;

	while (exporter->queue.records > exporter->config->queue &&
	       (oldest = send_queue_find_oldest_whole(&exporter->queue))) {
		count_lost(exporter, oldest, &exporter->counters.dropped_queue_full);
		send_queue_remove(&exporter->queue, oldest);
	}
}

static void deliver(struct exporter *exporter, struct send_chunk *chunk, const uint8_t *bytes)
{
	if (!send_queue_first(&exporter->queue)) {
		int r = send_chunk(exporter, chunk, bytes);

		if (r == 0)
			return;
		wait_for(exporter, r);
	}
	if (send_queue_add(&exporter->queue, chunk, bytes) < 0)
		count_lost(exporter, chunk, &exporter->counters.dropped_no_memory);
	enforce_bound(exporter);
}

static void finish_lines(struct exporter *exporter)
{
	struct send_chunk chunk = {.length = exporter->lines.length,
				   .records = exporter->line_records};

	if (chunk.length > 0)
		deliver(exporter, &chunk, exporter->lines.bytes);
	buffer_clear(&exporter->lines);
	exporter->line_records = 0;
}

static void on_line(struct exporter *exporter, int encoded, size_t before)
{
	if (encoded < 0) {
		exporter->lines.length = before;
		exporter->lines.failed = false;
		exporter->counters.dropped_no_memory++;
		return;
	}
	exporter->line_records++;
	if (exporter->lines.length >= STREAM_MESSAGE_BYTES ||
	    exporter->line_records >= exporter->line_records_limit)
		finish_lines(exporter);
}

static int open_lines(struct exporter *exporter)
{
	uint32_t limit = exporter->config->queue / MESSAGES_PER_QUEUE;

	exporter->line_records_limit = limit > 0 ? limit : 1;
	exporter->table = (struct text_table){.width = TEXT_TABLE_WIDTH,
					      .colours = exporter->context.is_terminal};
	return 0;
}

static void close_lines(struct exporter *exporter)
{
	buffer_fini(&exporter->lines);
}

static void add_json(struct exporter *exporter, const struct flow_record *record)
{
	size_t before = exporter->lines.length;

	on_line(exporter, json_encode_record(&exporter->lines, record), before);
}

static void add_text(struct exporter *exporter, const struct flow_record *record)
{
	size_t before = exporter->lines.length;

	if (before == 0 && exporter->context.is_terminal) {
		unsigned columns = transport_get_columns(exporter->transport);

		exporter->table.width = columns ? columns : TEXT_TABLE_WIDTH;
	}
	on_line(exporter, text_table_encode_record(&exporter->table, &exporter->lines, record),
		before);
}

static void on_message(void *userdata, const struct wire_message *message)
{
	struct send_chunk chunk = {.length = message->length,
				   .records = message->records,
				   .templates = message->templates,
				   .packets = message->packets,
				   .octets = message->octets};

	deliver(userdata, &chunk, message->bytes);
}

static struct wire_now read_clock(void)
{
	return (struct wire_now){.monotonic_ns = clock_now_ns(), .wall_ns = clock_wall_ns()};
}

static void read_statistics(void *userdata, struct options_statistics *ret)
{
	const struct exporter *exporter = userdata;
	const struct exporter_counters *counters = &exporter->counters;

	*ret = (struct options_statistics){
		.sent_messages = counters->sent_messages,
		.sent_records = counters->sent_records,
		.sent_octets = counters->sent_bytes,
		.not_sent_records = counters->dropped_queue_full + counters->dropped_unreachable +
				    counters->dropped_too_large + counters->dropped_no_memory,
		.not_sent_packets = exporter->lost_packets,
		.not_sent_octets = exporter->lost_octets,
	};
}

static int choose_fields(const char *name, struct template_options *options)
{
	struct text wrong;

	if (!name)
		return 0;
	if (!field_list_is_one(name))
		return field_set_parse(name, &options->set);
	if (field_list_parse(&options->own, name, &wrong) != 0)
		return -EINVAL;
	field_list_complete_families(&options->own);
	return 0;
}

static int open_writer(struct exporter *exporter)
{
	const struct config_exporter *config = exporter->config;
	struct wire_options options = {
		.template_options.biflow = config->biflow,
		.template_options.set = FIELD_SET_PROCFLOW,
		.template_options.format =
			config->type == CONFIG_EXPORTER_IPFIX ? TEMPLATE_IPFIX : TEMPLATE_NETFLOW9,
		.template_interval_ns = config->template_interval_ns,
		.template_packets = config->template_packets,
		.max_message_bytes = config->max_message_bytes,
		.domain = exporter->context.domain,
		.boot_ns = exporter->context.boot_ns,
		.read_statistics = read_statistics,
	};
	if (choose_fields(config->template_name, &options.template_options) < 0) {
		log_error("%s: there is no template \"%s\"", exporter_get_name(exporter),
			  config->template_name);
		return -EINVAL;
	}
	return wire_writer_new(&options, on_message, exporter, &exporter->writer);
}

/* Not with every lost message: there may be hundreds of templates. */
static void resend_templates(struct exporter *exporter, const struct wire_now *now)
{
	if (now->monotonic_ns - exporter->templates_resent_ns < RESEND_EVERY_NS)
		return;
	exporter->templates_resent_ns = now->monotonic_ns;
	exporter->lacks_templates = false;
	wire_writer_resend_templates(exporter->writer);
}

static void add_record(struct exporter *exporter, const struct flow_record *record,
		       const struct wire_now *now)
{
	bool is_counted = record->parts & RECORD_COUNTERS;
	const struct flow_counters *flow = &record->counters;
	struct send_chunk lost = {
		.records = 1,
		.packets = is_counted ? flow->in_packets + flow->out_packets : 0,
		.octets = is_counted ? flow->in_bytes + flow->out_bytes : 0,
	};

	switch (wire_writer_add(exporter->writer, record, now)) {
	case 0:
		break;
	case WIRE_SIMPLIFIED:
		exporter->counters.simplified_records++;
		break;
	case WIRE_TOO_LARGE:
		count_lost(exporter, &lost, &exporter->counters.dropped_too_large);
		break;
	default:
		count_lost(exporter, &lost, &exporter->counters.dropped_no_memory);
		break;
	}
}

static void add_to_message(struct exporter *exporter, const struct flow_record *record)
{
	struct wire_now now = read_clock();
	struct flow_record reverse;

	if (exporter->lacks_templates)
		resend_templates(exporter, &now);
	add_record(exporter, record, &now);
	if (exporter->config->biflow != CONFIG_BIFLOW_SPLIT ||
	    !split_make_reverse(record, &reverse))
		return;
	exporter->counters.accepted_records++;
	add_record(exporter, &reverse, &now);
}

static void finish_message(struct exporter *exporter)
{
	struct wire_now now = read_clock();

	wire_writer_finish(exporter->writer, &now);
}

static void close_writer(struct exporter *exporter)
{
	wire_writer_free(exporter->writer);
}

static const struct exporter_type types[] = {
	[CONFIG_EXPORTER_JSON] = {"json", open_lines, add_json, finish_lines, close_lines},
	[CONFIG_EXPORTER_TEXT] = {"text", open_lines, add_text, finish_lines, close_lines},
	[CONFIG_EXPORTER_NETFLOW9] = {"netflow9", open_writer, add_to_message, finish_message,
				      close_writer},
	[CONFIG_EXPORTER_IPFIX] = {"ipfix", open_writer, add_to_message, finish_message,
				   close_writer},
};

static void on_timer(void *userdata, unused uint64_t now_ns)
{
	struct exporter *exporter = userdata;

	exporter->is_armed = false;
	exporter_flush(exporter);
}

int exporter_new(const struct config_exporter *config, const struct exporter_context *context,
		 struct exporter **ret)
{
	cleanup(exporter_free_cleanup) struct exporter *exporter = calloc(1, sizeof(*exporter));
	const struct transport_rotation rotation = {.size_bytes = config->rotate_size_bytes,
						    .keep = config->rotate_keep};
	int r;

	if (!exporter)
		return -ENOMEM;
	exporter->config = config;
	exporter->context = *context;
	send_queue_init(&exporter->queue);
	if (config->type >= array_length(types)) {
		log_error("%s: this kind of exporter is not built in",
			  config->name ? config->name : "exporter");
		return -EOPNOTSUPP;
	}
	exporter->type = &types[config->type];
	r = transport_open(&config->to, exporter_get_name(exporter), &rotation,
			   &exporter->transport);
	if (r < 0)
		return r;
	r = exporter->type->open(exporter);
	if (r < 0)
		return r;
	r = loop_add_timer(context->loop, UINT64_MAX, on_timer, exporter, &exporter->timer);
	if (r < 0)
		return r;
	*ret = steal_pointer(&exporter);
	return 0;
}

/* A pipe holds 64 KiB, the last flows of a busy host are more. */
static void wait_for_reader(struct exporter *exporter)
{
	uint64_t now_ns = clock_now_ns(), until_ns = now_ns + LAST_WAIT_NS;

	for (; exporter->writable && now_ns < until_ns; now_ns = clock_now_ns()) {
		struct pollfd ready = {.fd = transport_get_fd(exporter->transport),
				       .events = POLLOUT};

		if (poll(&ready, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1) <= 0)
			break;
		drain(exporter);
	}
}

void exporter_free(struct exporter *exporter)
{
	if (!exporter)
		return;
	if (exporter->timer) {
		exporter_flush(exporter);
		wait_for_reader(exporter);
		if (exporter->counters.waiting_records > 0)
			log_warning("%s: %llu records could not be sent",
				    exporter_get_name(exporter),
				    (unsigned long long)exporter->counters.waiting_records);
	}
	if (exporter->type)
		exporter->type->close(exporter);
	loop_source_free(exporter->writable);
	loop_source_free(exporter->timer);
	send_queue_fini(&exporter->queue);
	transport_close(exporter->transport);
	free(exporter);
}

void exporter_export(struct exporter *exporter, const struct flow_record *record)
{
	exporter->counters.accepted_records++;
	if (exporter->is_closed) {
		exporter->counters.dropped_unreachable++;
		return;
	}
	exporter->type->add(exporter, record);
	update_waiting(exporter);
	if (exporter->counters.waiting_records > 0)
		arm_timer(exporter);
}

void exporter_flush(struct exporter *exporter)
{
	exporter->type->finish(exporter);
	drain(exporter);
}

void exporter_reopen(struct exporter *exporter)
{
	struct send_chunk *chunk;
	int r;

	exporter_flush(exporter);
	r = transport_reopen(exporter->transport);
	if (r < 0) {
		log_warning("%s: cannot open its file again: %s", exporter_get_name(exporter),
			    strerror(-r));
		return;
	}
	/* A full disk tears lines: the rest of one would stand alone in the new file. */
	chunk = send_queue_first(&exporter->queue);
	while (chunk && chunk->sent > 0 && chunk->bytes[chunk->sent - 1] != '\n')
		chunk->sent--;
}
