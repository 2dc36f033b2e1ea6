/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Puts messages of NetFlow v9 (RFC 3954) or IPFIX (RFC 7011) together: headers, sets, templates and
 * sequence numbers. Time and options come in, bytes go out; no I/O.
 *
 * A template stands in front of its first record, in the same message where both fit. All known
 * ones are sent again when template_interval_ns have passed, and after template_packets messages;
 * and with them the options data (options_data.h), where there are statistics to tell. */

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "export/options_data.h"
#include "export/template.h"

struct wire_writer;

typedef void (*wire_read_statistics)(void *userdata, struct options_statistics *ret);

struct wire_options {
	struct template_options template_options;
	struct template_ids *template_ids; /* borrowed; NULL: ids of its own */
	uint64_t template_interval_ns;
	uint32_t template_packets;
	uint32_t max_message_bytes;
	uint32_t domain;  /* observation domain id, source id */
	uint64_t boot_ns; /* monotonic: where NetFlow v9's sysUptime is 0 */
	/* Connections: what was sent has arrived, so templates and types are sent once, in the
	 * preamble that the user asks for or in front of their first record. */
	bool is_reliable;
	wire_read_statistics
		read_statistics; /* with the userdata of on_message; NULL: no options */
};

struct wire_now {
	uint64_t monotonic_ns, wall_ns;
};

struct wire_message {
	const uint8_t *bytes; /* valid during the call */
	size_t length;
	uint32_t records, templates; /* options data and its templates are in neither */
	uint32_t data_records;	     /* with options data: what IPFIX's sequence counts */
	uint64_t packets, octets;    /* of the flows in it, where known: both directions */
};

typedef void (*wire_on_message)(void *userdata, const struct wire_message *message);

/* What became of a record, when it is not simply in a message. */
enum wire_outcome {
	WIRE_SIMPLIFIED = 1, /* in a message, with fewer fields (template_cache.h) */
	WIRE_TOO_LARGE = 2,  /* longer than a message, even with its texts cut */
};

/* 0, or -ENOMEM. */
int wire_writer_new(const struct wire_options *options, wire_on_message on_message, void *userdata,
		    struct wire_writer **ret);
/* Accepts NULL. An unfinished message is thrown away. */
void wire_writer_free(struct wire_writer *writer);

/* Adds a record; finished messages come through on_message. A record that does not fit an empty
 * message is tried again with its texts cut to TEMPLATE_SHORT_TEXT. 0, an enum wire_outcome, or
 * -ENOMEM. */
int wire_writer_add(struct wire_writer *writer, const struct flow_record *record,
		    const struct wire_now *now);
/* Finishes the message in work, if there is one. */
void wire_writer_finish(struct wire_writer *writer, const struct wire_now *now);

/* Records in the message in work; none of them while it is told of. */
uint32_t wire_writer_count_records(const struct wire_writer *writer);

/* For messages that outlive the program. The signature of the template with that id, in use; and the id of
 * the template for a signature, 0 where there is none to be had: one that was not announced is from now
 * on, and its template record is added to "out". */
uint64_t wire_writer_get_signature(const struct wire_writer *writer, uint16_t id);
uint16_t wire_writer_announce(struct wire_writer *writer, uint64_t signature, struct buffer *out);

/* From now on: how often templates come again. */
void wire_writer_set_refresh(struct wire_writer *writer, uint64_t interval_ns, uint32_t packets);
/* The next message begins with all templates: the collector may have missed some. */
void wire_writer_resend_templates(struct wire_writer *writer);
/* For a connection that begins: finishes the message in work, then makes messages of all templates
 * and options data alone. */
void wire_writer_add_preamble(struct wire_writer *writer, const struct wire_now *now);
