/* SPDX-License-Identifier: GPL-2.0-or-later */

/* All that is known of the length of a line is bounded before it is written, so that the writing
 * itself needs no check: a field is its key and at most the longest number or address, a text at
 * most six characters a byte. */

#include "export/json.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "export/digits.h"
#include "flow/field.h"
#include "flow/ownership.h"

enum {
	LONGEST_VALUE = 64, /* quotes and comma included */
	LONGEST_ESCAPE = 6,
	MS_PER_SEC = 1000,
};

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

static const struct text *text_of(const struct field *field, const struct flow_record *record)
{
	return (const struct text *)(const void *)((const char *)record + field->offset);
}

static char *add_escape(char *at, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";
	static const char shorts[32] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
	char letter = byte == '"' || byte == '\\' ? (char)byte : shorts[byte];

	*at++ = '\\';
	if (letter) {
		*at++ = letter;
		return at;
	}
	memcpy(at, "u00", 3);
	at[3] = hex[byte >> 4];
	at[4] = hex[byte & 15];
	return at + 5;
}

/* What a string may hold as it is: all but '"', the backslash and what is not printable. */
static const bool is_plain[UINT8_MAX + 1] = {
	[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7f] = true};

/* A run of bytes of 0x80 and above holds whole characters or bad ones: no character spans it. */
static char *add_odd_bytes(char *at, struct text text, size_t *position)
{
	size_t begin = *position, end = begin;

	if ((uint8_t)text.at[begin] < 0x80) {
		*position = begin + 1;
		return add_escape(at, (uint8_t)text.at[begin]);
	}
	while (end < text.length && (uint8_t)text.at[end] >= 0x80)
		end++;
	*position = end;
	return at + text_sanitise((struct text){text.at + begin, end - begin}, at, end - begin);
}

static char *add_string(char *at, struct text text)
{
	size_t i = 0;

	*at++ = '"';
	for (;;) {
		for (; i < text.length && is_plain[(uint8_t)text.at[i]]; i++)
			*at++ = text.at[i];
		if (i == text.length)
			break;
		at = add_odd_bytes(at, text, &i);
	}
	*at++ = '"';
	return at;
}

static char *add_address(char *at, const struct field *field, const struct flow_record *record,
			 enum ip_family family)
{
	const struct ip_address *address =
		(const struct ip_address *)(const void *)((const char *)record + field->offset);

	*at++ = '"';
	at += ip_address_format(address, family, at);
	*at++ = '"';
	return at;
}

static char *add_value(char *at, const struct field *field, const struct flow_record *record)
{
	uint8_t code;

	switch ((enum field_kind)field->kind) {
	case FIELD_KIND_UNSIGNED:
		return digits_add_decimal(at, field_get_unsigned(field, record));
	case FIELD_KIND_ADDRESS4:
		return add_address(at, field, record, IP_FAMILY_V4);
	case FIELD_KIND_ADDRESS6:
		return add_address(at, field, record, IP_FAMILY_V6);
	case FIELD_KIND_UPTIME:
		return digits_add_decimal(at, (field == &field_table[FIELD_FIRST_SWITCHED]
						       ? record->start_ms
						       : record->end_ms) /
						      MS_PER_SEC);
	case FIELD_KIND_METHOD:
		code = *((const uint8_t *)record + field->offset);
		return add_string(at, text_from(ownership_method_name(code)));
	case FIELD_KIND_REASON:
		code = *((const uint8_t *)record + field->offset);
		return add_string(at, text_from(ownership_reason_name(code)));
	case FIELD_KIND_TEXT:
	case FIELD_KIND_USER:
		break;
	}
	return add_string(at, *text_of(field, record));
}

static bool is_written(const struct field *field, const struct flow_record *record)
{
	if (!(field->sets & FIELD_SET_JSON) || !field_is_known(field, record->parts))
		return false;
	return field->kind != FIELD_KIND_TEXT || !text_is_empty(*text_of(field, record));
}

static size_t bound_line(const struct flow_record *record)
{
	size_t bound = sizeof(opening) + DIGITS_TIMESTAMP_SIZE + 4;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *field = &field_table[i];

		if (!field_is_known(field, record->parts))
			continue;
		bound += keys[i].length + LONGEST_VALUE;
		if (field->kind == FIELD_KIND_TEXT)
			bound += text_of(field, record)->length * LONGEST_ESCAPE;
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
		if (!is_written(&field_table[i], record))
			continue;
		memcpy(at, keys[i].at, keys[i].length);
		at = add_value(at + keys[i].length, &field_table[i], record);
	}
	*at++ = '}';
	*at++ = '\n';
	out->length = before + (size_t)(at - start);
	return 0;
}
