/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Turns records into chunks in the language of an exporter's type. Two kinds:
 *
 *  - lines (encoder_lines.c): one record behind the other, JSON, text, and whatever has no more
 *    than one function that adds a record to a buffer;
 *  - messages (encoder_messages.c): NetFlow v9 and IPFIX, with headers, templates and statistics.
 *
 * A chunk is emitted when it is full; encoder_finish() emits the one that is being filled. */

#include "export/chunk.h"
#include "export/counters.h"
#include "export/exporter.h"
#include "export/options_data.h"

struct encoder;

struct encoder_options {
	const struct config_exporter *config;	/* borrowed */
	const struct exporter_context *context; /* borrowed */
	struct chunk_pool *pool;		/* borrowed */
	struct exporter_counters *counters;	/* borrowed: simplified_records, accepted_records */
	uint32_t chunk_bytes, chunk_records;	/* bounds; of messages the configuration decides */
	bool with_documents;
	bool has_sessions; /* what was sent has arrived, until a new session begins */
	/* The chunk becomes the receiver's. Not called from within encoder_new(). */
	void (*emit)(void *userdata, struct chunk *chunk);
	/* A record that came to nothing; the counter is one of the exporter's. */
	void (*on_dropped)(void *userdata, const struct flow_record *record, uint64_t *counter);
	void (*read_statistics)(void *userdata, struct options_statistics *ret);
	unsigned (*get_columns)(void *userdata); /* of a terminal */
	void *userdata;
};

struct encoder_ops {
	void (*add)(struct encoder *encoder, const struct flow_record *record);
	void (*finish)(struct encoder *encoder);
	uint32_t (*count_unfinished)(const struct encoder *encoder);
	void (*free)(struct encoder *encoder);
	/* May be NULL. */
	void (*begin_session)(struct encoder *encoder);
	void (*resend_templates)(struct encoder *encoder);
	void (*stamp)(struct encoder *encoder, struct chunk *chunk, uint32_t sequence);
	bool (*strip)(struct encoder *encoder, struct chunk *chunk);
	void (*adopt)(struct encoder *encoder);
	bool (*restore)(struct encoder *encoder, struct chunk *chunk);
};

/* The head of each kind's own struct. */
struct encoder {
	const struct encoder_ops *ops;
	struct encoder_options options;
};

/* Stands for what a chunk's bytes (and documents) mean: where it is the same, one exporter's chunks
 * can be sent by another one, also by one of a later run. */
uint64_t encoder_find_format(const struct config_exporter *config, bool with_documents);

/* 0; -EOPNOTSUPP: there is no encoder for the type; -EINVAL: a wrong template, and the reason is in
 * the log; -ENOMEM. */
int encoder_new(const struct encoder_options *options, struct encoder **ret);
/* Whether chunks of one can go out among those of the other. */
bool encoder_is_interchangeable(const struct encoder *a, const struct encoder *b);
/* Goes on in the place of "successor", with its options: what was sent before, and is with the collector
 * or waits, stays good. The two are interchangeable; nothing is unfinished. */
void encoder_adopt(struct encoder *encoder, const struct encoder *successor);
/* Accepts NULL. An unfinished chunk is thrown away. */
void encoder_free(struct encoder *encoder);

void encoder_add(struct encoder *encoder, const struct flow_record *record);
void encoder_finish(struct encoder *encoder);
/* Records that were added and are in no emitted chunk. */
uint32_t encoder_count_unfinished(const struct encoder *encoder);
/* A connection begins: emits its preamble, all templates. */
void encoder_begin_session(struct encoder *encoder);
/* The collector may lack templates: they come with one of the next messages. */
void encoder_resend_templates(struct encoder *encoder);
/* The chunk goes out now, "sequence" data records after its session began: writes what depends on
 * that. */
void encoder_stamp(struct encoder *encoder, struct chunk *chunk, uint32_t sequence);
/* The records in the chunk are to be dropped: keeps what others in the same session need of it,
 * templates. False where that is nothing. */
bool encoder_strip(struct encoder *encoder, struct chunk *chunk);

/* A chunk from the spool is to go out: makes it fit what this run says. False where that cannot be. */
bool encoder_restore(struct encoder *encoder, struct chunk *chunk);

/* The kinds. */
int encoder_lines_new(const struct encoder_options *options, struct encoder **ret);
uint64_t encoder_messages_find_format(const struct config_exporter *config);
int encoder_messages_new(const struct encoder_options *options, struct encoder **ret);
