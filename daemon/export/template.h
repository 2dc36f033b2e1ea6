/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A template: the fields that one combination of known parts has in NetFlow v9 or IPFIX, and the
 * flat program that writes them. What is unknown has no field, so there are as many templates as
 * there are combinations; template_cache.h makes them on demand. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "flow/field.h"

enum template_format { TEMPLATE_NETFLOW9, TEMPLATE_IPFIX };

enum {
	TEMPLATE_FIRST_ID = 256,	  /* RFC 3954 5.2, RFC 7011 3.4.1 */
	TEMPLATE_OPTIONS_ID = 768,	  /* from here on options_data.h has its own ... */
	TEMPLATE_OPTIONS_COUNT = 8,	  /* ... so many at most */
	TEMPLATE_WHOLE_TEXT = 0xffff - 3, /* the longest text a field can have */
	TEMPLATE_SHORT_TEXT = 48,
};

struct template_options {
	enum template_format format;
	enum field_set set;
	enum config_biflow biflow; /* where IPFIX has OUT_BYTES and OUT_PKTS */
	struct field_list own;	   /* instead of "set", in this order, where it has any */
};

struct template_field {
	uint16_t id, width;
	uint32_t pen;
};

struct template_step {
	uint8_t operation;
	uint16_t width;	 /* of a variable text the longest */
	uint16_t offset; /* in struct flow_record */
};

struct template
{
	uint64_t signature; /* the parts it was made for */
	uint16_t id;
	uint16_t field_count;
	uint16_t fixed_bytes; /* of a record, without variable texts */
	bool is_announced;
	struct template_field fields[FIELD_COUNT];
	struct template_step steps[FIELD_COUNT];
};

/* The parts that make a difference to a template. */
uint64_t template_used_parts(const struct template_options *options);

/* The same for records of processes (RECORD_PROCESS, which is one of them): they have all that has a
 * number, whatever is selected of flows. */
uint64_t template_used_process_parts(enum template_format format);

/* Compiles the template of the records that have these parts. Pure. */
void template_init(struct template *self, const struct template_options *options,
		   uint64_t signature, uint16_t id);

/* No record is longer. Texts are cut to "text_limit" bytes where the format has them whole. */
size_t template_bound_record(const struct template *self, const struct flow_record *record,
			     size_t text_limit);

/* Writes the record, at most the bytes that template_bound_record() tells, and returns how many.
 * Numbers that do not fit their width are written as the largest that does; texts are valid UTF-8
 * (RFC 7011 6.1.6), in NetFlow v9 cut between characters and padded with NUL. FIRST_ and
 * LAST_SWITCHED count from "boot_ns" and wrap after 49.7 days; what was before is 0. Pure. */
size_t template_encode_record(const struct template *self, const struct flow_record *record,
			      uint64_t boot_ns, size_t text_limit, uint8_t *out);
