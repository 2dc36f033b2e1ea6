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
#include "flow/field.h"

static const char opening[] = "{\"RECORD_TYPE\":\"flow\",\"@timestamp\":\"";

/* ,"NAME": for each field, and its length. */
struct json_key {
	const char *at;
	size_t length;
};

static const struct json_key keys[FIELD_COUNT] = {
#define KEY(name)	      [FIELD_##name] = {",\"" #name "\":", sizeof(#name) + 3},
#define FLOW_FIELD(name, ...) KEY(name)
#define END_FIELD(name, ...)  KEY(SRC_##name) KEY(DST_##name)
#include "flow/fields.def"
#undef FLOW_FIELD
#undef END_FIELD
};

static size_t bound_line(const struct flow_record *record)
{
	size_t bound = sizeof(opening) + DIGITS_TIMESTAMP_SIZE + 4;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *field = &field_table[i];

		if (!field_is_known(field, record->parts))
			continue;
		bound += keys[i].length + json_value_bound(field, record);
	}
	return bound;
}

int json_encode_record(struct buffer *out, const struct flow_record *record)
{
	size_t before = out->length;
	char *start = buffer_extend(out, bound_line(record));
	char *at = start;

	if (!start)
		return -ENOMEM;
	memcpy(at, opening, sizeof(opening) - 1);
	at = digits_add_timestamp(at + sizeof(opening) - 1, record->end_ms);
	*at++ = '"';
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		if (!json_value_is_written(&field_table[i], record))
			continue;
		memcpy(at, keys[i].at, keys[i].length);
		at = json_value_add(at + keys[i].length, &field_table[i], record);
	}
	*at++ = '}';
	*at++ = '\n';
	out->length = before + (size_t)(at - start);
	return 0;
}
