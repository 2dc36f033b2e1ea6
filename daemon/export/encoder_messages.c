/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What can be sent in vain (UDP) repeats its templates by time, by messages and after losses; a
 * connection has them once, in its preamble or in front of their first record. */

#define LOG_MODULE "export"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "export/bytes.h"
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
	uint64_t run; /* of the program: ids of templates mean something in it only */
};

/* Behind the run's number in a chunk's documents, for the spool. */
struct kept_template {
	uint64_t signature, id;
};

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* The next set of flows or processes behind "at", or in front of everything with 0; 0: there is none. */
static size_t find_data_set(const struct buffer *message, size_t at)
{
	at = at ? at + read_u16(message->bytes + at + 2) : IPFIX_HEADER_BYTES;
	for (; at + 4 <= message->length; at += read_u16(message->bytes + at + 2)) {
		uint16_t id = read_u16(message->bytes + at);

		if (id >= TEMPLATE_FIRST_ID && (id < TEMPLATE_OPTIONS_ID ||
						id >= TEMPLATE_OPTIONS_ID + TEMPLATE_OPTIONS_COUNT))
			return at;
	}
	return 0;
}

static void keep_templates(struct encoder_messages *self, struct chunk *chunk)
{
	buffer_add(&chunk->documents, &self->run, sizeof(self->run));
	for (size_t at = 0; (at = find_data_set(&chunk->bytes, at)) != 0;) {
		uint16_t id = read_u16(chunk->bytes.bytes + at);
		struct kept_template kept = {
			.signature = wire_writer_get_signature(self->writer, id), .id = id};

		buffer_add(&chunk->documents, &kept, sizeof(kept));
	}
}

static void on_message(void *userdata, const struct wire_message *message)
{
	struct encoder_messages *self = userdata;
	const struct encoder_options *options = &self->head.options;
	struct chunk *chunk = chunk_new(options->pool);

	if (chunk)
		buffer_add(&chunk->bytes, message->bytes, message->length);
	if (chunk && !chunk->bytes.failed && options->config->spool)
		keep_templates(self, chunk);
	if (!chunk || chunk->bytes.failed || chunk->documents.failed) {
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

/* What is about the exporter was of that run, and is left out; the sets stand in the order that they are
 * kept in. Templates that are new here come in front. False, and nothing has changed, or memory ran out. */
static bool renew(struct encoder_messages *self, const struct chunk *chunk, struct buffer *out,
		  uint32_t *ret_templates)
{
	const struct kept_template *kept =
		(const void *)(chunk->documents.bytes + sizeof(self->run));
	size_t at = 0, set_at;

	buffer_add(out, chunk->bytes.bytes, IPFIX_HEADER_BYTES);
	for (; (at = find_data_set(&chunk->bytes, at)) != 0; kept++) {
		size_t length = read_u16(chunk->bytes.bytes + at + 2), before = out->length;
		uint16_t id;

		if ((const uint8_t *)(kept + 1) > chunk->documents.bytes + chunk->documents.length)
			return false;
		buffer_add_u16(out, IPFIX_TEMPLATE_SET);
		buffer_add_u16(out, 0);
		id = wire_writer_announce(self->writer, kept->signature, out);
		if (id == 0 || out->failed)
			return false;
		if (out->length == before + 4) {
			out->length = before;
		} else {
			bytes_add_u16(out->bytes + before + 2, (uint16_t)(out->length - before));
			++*ret_templates;
		}
		set_at = out->length;
		buffer_add(out, chunk->bytes.bytes + at, length);
		if (out->failed)
			return false;
		bytes_add_u16(out->bytes + set_at, id);
	}
	return out->length <= UINT16_MAX;
}

static bool messages_restore(struct encoder *encoder, struct chunk *chunk)
{
	struct encoder_messages *self = (struct encoder_messages *)encoder;
	struct buffer out, old = chunk->bytes;
	uint32_t templates = 0;

	if (chunk->documents.length < sizeof(self->run))
		return false;
	if (memcmp(chunk->documents.bytes, &self->run, sizeof(self->run)) == 0)
		return true;
	buffer_init(&out);
	if (!renew(self, chunk, &out, &templates)) {
		wire_writer_resend_templates(self->writer); /* some may count as announced */
		buffer_fini(&out);
		return false;
	}
	bytes_add_u16(out.bytes + 2, (uint16_t)out.length);
	bytes_add_u32(out.bytes + 12, encoder->options.config->observation_domain);
	chunk->bytes = out;
	buffer_fini(&old);
	chunk->templates = templates;
	chunk->data_records = chunk->records;
	return true;
}

static void messages_free(struct encoder *encoder)
{
	wire_writer_free(((struct encoder_messages *)encoder)->writer);
	free(encoder);
}

static struct template_options choose_templates(const struct config_exporter *config)
{
	return (struct template_options){
		.biflow = config->biflow,
		.set = FIELD_SET_PROCFLOW,
		.format =
			config->type == CONFIG_EXPORTER_IPFIX ? TEMPLATE_IPFIX : TEMPLATE_NETFLOW9,
	};
}

static uint64_t hash_fields(uint64_t seed, const struct template_options *options, uint64_t parts)
{
	struct template template;

	template_init(&template, options, parts, TEMPLATE_FIRST_ID);
	return hash_bytes(seed, template.fields, template.field_count * sizeof(template.fields[0]));
}

/* By all that the largest templates have, so that another version of the program finds out too. */
uint64_t encoder_messages_find_format(const struct config_exporter *config)
{
	struct template_options options = choose_templates(config);
	uint64_t format = hash_u64(config->biflow, options.format);

	if (choose_fields(config->template_name, &options) < 0)
		return 0; /* nothing is made with it */
	format = hash_fields(format, &options, template_used_parts(&options));
	return hash_fields(format, &options, template_used_process_parts(options.format));
}

static int open_writer(struct encoder_messages *self, const struct encoder_options *encoder_options)
{
	const struct config_exporter *config = encoder_options->config;
	struct wire_options options = {
		.template_options = choose_templates(config),
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
					       .restore = messages_restore,
					       .free = messages_free};
	struct encoder_messages *self = calloc(1, sizeof(*self));
	int r;

	if (!self)
		return -ENOMEM;
	self->head.ops = &ops;
	self->run = hash_seed_new();
	r = open_writer(self, options);
	if (r < 0) {
		free(self);
		return r;
	}
	*ret = &self->head;
	return 0;
}
