/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What can be sent in vain (UDP) repeats its templates by time, by messages and after losses; a
 * connection has them once, in its preamble or in front of their first record. */

#define LOG_MODULE "export"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "export/encoder.h"
#include "export/ipfix.h"
#include "export/split.h"
#include "export/wire_writer.h"
#include "runtime/log.h"

#define RESEND_EVERY_NS NS_PER_SEC

struct encoder_messages {
	struct encoder head;
	struct wire_writer *writer;
	bool lacks_templates, in_preamble;
	uint64_t templates_resent_ns;
};

static void on_message(void *userdata, const struct wire_message *message)
{
	struct encoder_messages *self = userdata;
	const struct encoder_options *options = &self->head.options;
	struct chunk *chunk = chunk_new(options->pool);

	if (chunk)
		buffer_add(&chunk->bytes, message->bytes, message->length);
	if (!chunk || chunk->bytes.failed) {
		chunk_free(options->pool, chunk);
		options->counters->dropped_no_memory += message->records;
		self->lacks_templates = true;
		return;
	}
	chunk->records = message->records;
	chunk->templates = message->templates;
	chunk->packets = message->packets;
	chunk->octets = message->octets;
	chunk->data_records = message->data_records;
	chunk->is_preamble = self->in_preamble;
	options->emit(options->userdata, chunk);
}

static struct wire_now read_clock(void)
{
	return (struct wire_now){.monotonic_ns = clock_now_ns(), .wall_ns = clock_wall_ns()};
}

static void read_statistics(void *userdata, struct options_statistics *ret)
{
	const struct encoder_messages *self = userdata;

	self->head.options.read_statistics(self->head.options.userdata, ret);
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

/* Not with every lost message: there may be hundreds of templates. */
static void resend_when_due(struct encoder_messages *self, const struct wire_now *now)
{
	if (!self->lacks_templates ||
	    now->monotonic_ns - self->templates_resent_ns < RESEND_EVERY_NS)
		return;
	self->templates_resent_ns = now->monotonic_ns;
	self->lacks_templates = false;
	wire_writer_resend_templates(self->writer);
}

static void add_record(struct encoder_messages *self, const struct flow_record *record,
		       const struct wire_now *now)
{
	const struct encoder_options *options = &self->head.options;

	switch (wire_writer_add(self->writer, record, now)) {
	case 0:
		break;
	case WIRE_SIMPLIFIED:
		options->counters->simplified_records++;
		break;
	case WIRE_TOO_LARGE:
		options->on_dropped(options->userdata, record,
				    &options->counters->dropped_too_large);
		break;
	default:
		options->on_dropped(options->userdata, record,
				    &options->counters->dropped_no_memory);
		break;
	}
}

static void messages_add(struct encoder *encoder, const struct flow_record *record)
{
	struct encoder_messages *self = (struct encoder_messages *)encoder;
	struct wire_now now = read_clock();
	struct flow_record reverse;

	resend_when_due(self, &now);
	add_record(self, record, &now);
	if (encoder->options.config->biflow != CONFIG_BIFLOW_SPLIT ||
	    record->parts & RECORD_PROCESS || !split_make_reverse(record, &reverse))
		return;
	encoder->options.counters->accepted_records++;
	add_record(self, &reverse, &now);
}

static void messages_finish(struct encoder *encoder)
{
	struct encoder_messages *self = (struct encoder_messages *)encoder;
	struct wire_now now = read_clock();

	wire_writer_finish(self->writer, &now);
}

static uint32_t messages_count_unfinished(const struct encoder *encoder)
{
	return wire_writer_count_records(((const struct encoder_messages *)encoder)->writer);
}

/* A connection loses nothing: strip() keeps its templates. */
static void messages_resend_templates(struct encoder *encoder)
{
	struct encoder_messages *self = (struct encoder_messages *)encoder;

	self->lacks_templates = !encoder->options.has_sessions;
}

static void messages_begin_session(struct encoder *encoder)
{
	struct encoder_messages *self = (struct encoder_messages *)encoder;
	struct wire_now now = read_clock();

	wire_writer_finish(self->writer, &now);
	self->in_preamble = true;
	wire_writer_add_preamble(self->writer, &now);
	self->in_preamble = false;
}

/* NetFlow v9 knows no connections. */
static void messages_stamp(struct encoder *encoder, struct chunk *chunk, uint32_t sequence)
{
	if (encoder->options.config->type == CONFIG_EXPORTER_IPFIX)
		ipfix_set_sequence(chunk->bytes.bytes, sequence);
}

static bool messages_strip(struct encoder *encoder, struct chunk *chunk)
{
	if (encoder->options.config->type != CONFIG_EXPORTER_IPFIX || chunk->templates == 0)
		return false;
	chunk->bytes.length = ipfix_keep_templates(chunk->bytes.bytes, chunk->bytes.length);
	chunk->data_records = 0;
	return true;
}

/* A connection begins with all templates anyway. */
static void messages_adopt(struct encoder *encoder)
{
	struct encoder_messages *self = (struct encoder_messages *)encoder;
	const struct config_exporter *config = encoder->options.config;

	wire_writer_set_refresh(self->writer, config->template_interval_ns,
				config->template_packets);
	if (!encoder->options.has_sessions)
		wire_writer_resend_templates(self->writer);
}

static void messages_free(struct encoder *encoder)
{
	wire_writer_free(((struct encoder_messages *)encoder)->writer);
	free(encoder);
}

static int open_writer(struct encoder_messages *self, const struct encoder_options *encoder_options)
{
	const struct config_exporter *config = encoder_options->config;
	struct wire_options options = {
		.template_options.biflow = config->biflow,
		.template_options.set = FIELD_SET_PROCFLOW,
		.template_options.format =
			config->type == CONFIG_EXPORTER_IPFIX ? TEMPLATE_IPFIX : TEMPLATE_NETFLOW9,
		.template_interval_ns = config->template_interval_ns,
		.template_packets = config->template_packets,
		.max_message_bytes = config->max_message_bytes,
		.domain = config->observation_domain,
		.template_ids = encoder_options->context->template_ids,
		.boot_ns = encoder_options->context->boot_ns,
		.read_statistics = read_statistics,
		.is_reliable = encoder_options->has_sessions,
	};
	if (choose_fields(config->template_name, &options.template_options) < 0) {
		log_error("%s: there is no template \"%s\"", config->name, config->template_name);
		return -EINVAL;
	}
	return wire_writer_new(&options, on_message, self, &self->writer);
}

int encoder_messages_new(const struct encoder_options *options, struct encoder **ret)
{
	static const struct encoder_ops ops = {.add = messages_add,
					       .finish = messages_finish,
					       .count_unfinished = messages_count_unfinished,
					       .resend_templates = messages_resend_templates,
					       .begin_session = messages_begin_session,
					       .stamp = messages_stamp,
					       .strip = messages_strip,
					       .adopt = messages_adopt,
					       .free = messages_free};
	struct encoder_messages *self = calloc(1, sizeof(*self));
	int r;

	if (!self)
		return -ENOMEM;
	self->head.ops = &ops;
	r = open_writer(self, options);
	if (r < 0) {
		free(self);
		return r;
	}
	*ret = &self->head;
	return 0;
}
