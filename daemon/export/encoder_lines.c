/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The chunk's own memory is written to. */

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "export/ecs.h"
#include "export/encoder.h"
#include "export/json.h"
#include "export/ndpi_tlv.h"
#include "export/text_table.h"

struct encoder_lines;

/* Adds one record, and nothing when it fails. 0, or -ENOMEM. */
typedef int (*encode_line)(struct encoder_lines *self, struct buffer *out,
			   const struct flow_record *record);

struct encoder_lines {
	struct encoder head;
	encode_line encode;
	struct chunk *chunk; /* being filled, or NULL */
	struct text_table table;
};

static int encode_json(unused struct encoder_lines *self, struct buffer *out,
		       const struct flow_record *record)
{
	return json_encode_record(out, record);
}

static int encode_text(struct encoder_lines *self, struct buffer *out,
		       const struct flow_record *record)
{
	const struct encoder_options *options = &self->head.options;

	if (out->length == 0 && options->context->is_terminal) {
		unsigned columns = options->get_columns(options->userdata);

		self->table.width = columns ? columns : TEXT_TABLE_WIDTH;
	}
	return text_table_encode_record(&self->table, out, record);
}

static int encode_ecs(unused struct encoder_lines *self, struct buffer *out,
		      const struct flow_record *record)
{
	return ecs_encode_record(out, record);
}

static int encode_tlv(unused struct encoder_lines *self, struct buffer *out,
		      const struct flow_record *record)
{
	return ndpi_tlv_encode_record(out, record);
}

static encode_line choose(const struct config_exporter *config)
{
	if (config->type == CONFIG_EXPORTER_TEXT)
		return encode_text;
	if (config->type == CONFIG_EXPORTER_ZMQ)
		return encode_tlv;
	return config->schema == CONFIG_SCHEMA_ECS ? encode_ecs : encode_json;
}

static void lines_finish(struct encoder *encoder)
{
	struct encoder_lines *self = (struct encoder_lines *)encoder;

	if (self->chunk && self->chunk->records > 0)
		encoder->options.emit(encoder->options.userdata, steal_pointer(&self->chunk));
}

static uint32_t lines_count_unfinished(const struct encoder *encoder)
{
	const struct encoder_lines *self = (const struct encoder_lines *)encoder;

	return self->chunk ? self->chunk->records : 0;
}

static void add_document(struct encoder_lines *self, const struct flow_record *record,
			 size_t before)
{
	struct buffer *bytes = &self->chunk->bytes;
	bool has_newline = bytes->length > before && bytes->bytes[bytes->length - 1] == '\n';
	struct chunk_document document = {
		.flow_id = record->flow_id,
		.number = record->number,
		.offset = (uint32_t)before,
		.length = (uint32_t)(bytes->length - before - has_newline),
	};

	buffer_add(&self->chunk->documents, &document, sizeof(document));
}

static int add_line(struct encoder_lines *self, const struct flow_record *record)
{
	struct chunk *chunk = self->chunk ? self->chunk : chunk_new(self->head.options.pool);
	size_t before, documents;

	if (!chunk)
		return -ENOMEM;
	self->chunk = chunk;
	chunk->is_lines = true;
	before = chunk->bytes.length;
	documents = chunk->documents.length;
	if (self->encode(self, &chunk->bytes, record) == 0 && self->head.options.with_documents)
		add_document(self, record, before);
	if (chunk->bytes.failed || chunk->documents.failed) {
		chunk->bytes.length = before;
		chunk->documents.length = documents;
		chunk->bytes.failed = chunk->documents.failed = false;
		return -ENOMEM;
	}
	chunk->records++;
	if (record->parts & RECORD_COUNTERS) {
		chunk->packets += record->counters.in_packets + record->counters.out_packets;
		chunk->octets += record->counters.in_bytes + record->counters.out_bytes;
	}
	return 0;
}

static void lines_add(struct encoder *encoder, const struct flow_record *record)
{
	struct encoder_lines *self = (struct encoder_lines *)encoder;
	const struct encoder_options *options = &encoder->options;

	if (add_line(self, record) < 0)
		options->on_dropped(options->userdata, record,
				    &options->counters->dropped_no_memory);
	else if (self->chunk->bytes.length >= options->chunk_bytes ||
		 self->chunk->records >= options->chunk_records)
		lines_finish(encoder);
}

static void lines_free(struct encoder *encoder)
{
	struct encoder_lines *self = (struct encoder_lines *)encoder;

	chunk_free(encoder->options.pool, self->chunk);
	free(self);
}

int encoder_lines_new(const struct encoder_options *options, struct encoder **ret)
{
	static const struct encoder_ops ops = {.add = lines_add,
					       .finish = lines_finish,
					       .count_unfinished = lines_count_unfinished,
					       .free = lines_free};
	struct encoder_lines *self = calloc(1, sizeof(*self));

	if (!self)
		return -ENOMEM;
	self->head.ops = &ops;
	self->encode = choose(options->config);
	self->table = (struct text_table){.width = TEXT_TABLE_WIDTH,
					  .colours = options->context->is_terminal};
	*ret = &self->head;
	return 0;
}
