/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/json_value.h"

#include <string.h>

#include "export/digits.h"
#include "flow/ownership.h"

enum {
	LONGEST_VALUE = 64, /* quotes and comma included */
	LONGEST_ESCAPE = 6,
	MS_PER_SEC = 1000,
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

char *json_value_add_string(char *at, struct text text)
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

static char *add_mac(char *at, const uint8_t bytes[6])
{
	static const char hex[] = "0123456789ABCDEF";

	*at++ = '"';
	for (size_t i = 0; i < 6; i++) {
		if (i > 0)
			*at++ = ':';
		*at++ = hex[bytes[i] >> 4];
		*at++ = hex[bytes[i] & 15];
	}
	*at++ = '"';
	return at;
}

static char *add_thousandths(char *at, uint32_t value)
{
	at = digits_add_decimal(at, value / 1000);
	*at++ = '.';
	return digits_add_padded(at, value % 1000, 3);
}

char *json_value_add(char *at, const struct field *field, const struct flow_record *record)
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
		return json_value_add_string(at, text_from(ownership_method_name(code)));
	case FIELD_KIND_REASON:
		code = *((const uint8_t *)record + field->offset);
		return json_value_add_string(at, text_from(ownership_reason_name(code)));
	case FIELD_KIND_MAC:
		return add_mac(at, (const uint8_t *)record + field->offset);
	case FIELD_KIND_LATENCY:
		return add_thousandths(at, (uint32_t)field_get_unsigned(field, record));
	case FIELD_KIND_TEXT:
	case FIELD_KIND_USER:
		break;
	}
	return json_value_add_string(at, *text_of(field, record));
}

bool json_value_is_written(const struct field *field, const struct flow_record *record)
{
	if (!(field->sets & FIELD_SET_JSON) || !field_is_known(field, record->parts))
		return false;
	return field->kind != FIELD_KIND_TEXT || !text_is_empty(*text_of(field, record));
}

size_t json_value_bound_string(struct text text)
{
	return text.length * LONGEST_ESCAPE + 2;
}

size_t json_value_bound(const struct field *field, const struct flow_record *record)
{
	if (field->kind != FIELD_KIND_TEXT && field->kind != FIELD_KIND_USER)
		return LONGEST_VALUE;
	return LONGEST_VALUE + json_value_bound_string(*text_of(field, record));
}
