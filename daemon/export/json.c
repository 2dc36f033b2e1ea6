/* SPDX-License-Identifier: GPL-2.0-or-later */

/* All that is known of the length of a line is bounded before it is written, so that the writing
 * itself needs no check: a field is its key and at most the longest number or address, a text at
 * most six characters a byte. */

#include "export/json.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "export/digits.h"
#include "export/json_value.h"
#include "flow/process_field.h"

static const char flow_opening[] = "{\"RECORD_TYPE\":\"flow\",\"@timestamp\":\"";
static const char process_opening[] = "{\"RECORD_TYPE\":\"process\",\"@timestamp\":\"";

/* ,"NAME": for each field, and its length. */
struct json_key {
	const char *at;
	size_t length;
};

#define KEY(index, name) [index##name] = {",\"" #name "\":", sizeof(#name) + 3},

static const struct json_key flow_keys[FIELD_COUNT] = {
#define FLOW_FIELD(name, ...) KEY(FIELD_, name)
#define END_FIELD(name, ...)  KEY(FIELD_, SRC_##name) KEY(FIELD_, DST_##name)
#include "flow/fields.def"
#undef FLOW_FIELD
#undef END_FIELD
};

static const struct json_key process_keys[PROCESS_FIELD_COUNT] = {
#define PROCESS_FIELD(name, ...) KEY(PROCESS_FIELD_, name)
#include "flow/process_fields.def"
#undef PROCESS_FIELD
};

/* What a line of one kind of record is made of. */
struct json_kind {
	const char *opening;
	const struct field *fields;
	const struct json_key *keys;
	size_t count;
};

static const struct json_kind kinds[] = {
	{flow_opening, field_table, flow_keys, FIELD_COUNT},
	{process_opening, process_field_table, process_keys, PROCESS_FIELD_COUNT},
};

static size_t bound_line(const struct json_kind *kind, const struct flow_record *record)
{
	size_t bound = strlen(kind->opening) + DIGITS_TIMESTAMP_SIZE + 4;

	for (size_t i = 0; i < kind->count; i++) {
		const struct field *field = &kind->fields[i];

		if (!field_is_known(field, record->parts))
			continue;
		bound += kind->keys[i].length + json_value_bound(field, record);
	}
	return bound;
}

int json_encode_record(struct buffer *out, const struct flow_record *record)
{
	const struct json_kind *kind = &kinds[record->parts & RECORD_PROCESS ? 1 : 0];
	size_t before = out->length;
	char *start = buffer_extend(out, bound_line(kind, record));
	char *at = start;

	if (!start)
		return -ENOMEM;
	at = stpcpy(at, kind->opening);
	at = digits_add_timestamp(at, record->end_ms);
	*at++ = '"';
	for (size_t i = 0; i < kind->count; i++) {
		if (!json_value_is_written(&kind->fields[i], record))
			continue;
		memcpy(at, kind->keys[i].at, kind->keys[i].length);
		at = json_value_add(at + kind->keys[i].length, &kind->fields[i], record);
	}
	*at++ = '}';
	*at++ = '\n';
	out->length = before + (size_t)(at - start);
	return 0;
}
