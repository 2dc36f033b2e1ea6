/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/options_data.h"

#include <assert.h>
#include <string.h>

#include "base/macros.h"
#include "export/bytes.h"

enum { SCOPE_SYSTEM = 1 }; /* RFC 3954 6.1 */

/* The elements of this file, by IANA's names. */
enum {
	EXPORTED_OCTETS = 40,
	EXPORTED_MESSAGES = 41,
	EXPORTED_RECORDS = 42,
	EXPORTING_PROCESS_ID = 144,
	OBSERVATION_DOMAIN_ID = 149,
	IGNORED_PACKETS = 164,
	IGNORED_OCTETS = 165,
	NOT_SENT_RECORDS = 166,
	NOT_SENT_PACKETS = 167,
	NOT_SENT_OCTETS = 168,
	ELEMENT_ID = 303,
	ELEMENT_DATA_TYPE = 339,
	ELEMENT_DESCRIPTION = 340,
	ELEMENT_NAME = 341,
	ELEMENT_RANGE_BEGIN = 342,
	ELEMENT_RANGE_END = 343,
	ELEMENT_SEMANTICS = 344,
	ELEMENT_UNITS = 345,
	ENTERPRISE_NUMBER = 346,
};

struct element {
	uint16_t id, width;
};

struct layout {
	uint16_t scopes, count;
	struct element elements[9];
};

/* All that RFC 5610 has: libfixbuf (2.4.1) passes over type records that lack any of it. */
static const struct layout ipfix_layouts[OPTIONS_DATA_KINDS] = {
	[OPTIONS_DATA_SENT] = {1,
			       4,
			       {{OBSERVATION_DOMAIN_ID, 4},
				{EXPORTED_MESSAGES, 8},
				{EXPORTED_RECORDS, 8},
				{EXPORTED_OCTETS, 8}}},
	[OPTIONS_DATA_NOT_SENT] = {1,
				   4,
				   {{EXPORTING_PROCESS_ID, 4},
				    {NOT_SENT_RECORDS, 8},
				    {NOT_SENT_PACKETS, 8},
				    {NOT_SENT_OCTETS, 8}}},
	[OPTIONS_DATA_TYPES] = {2,
				9,
				{{ENTERPRISE_NUMBER, 4},
				 {ELEMENT_ID, 2},
				 {ELEMENT_DATA_TYPE, 1},
				 {ELEMENT_SEMANTICS, 1},
				 {ELEMENT_UNITS, 2},
				 {ELEMENT_RANGE_BEGIN, 8},
				 {ELEMENT_RANGE_END, 8},
				 {ELEMENT_NAME, FIELD_VARIABLE},
				 {ELEMENT_DESCRIPTION, FIELD_VARIABLE}}},
	[OPTIONS_DATA_IGNORED] =
		{1, 3, {{OBSERVATION_DOMAIN_ID, 4}, {IGNORED_PACKETS, 8}, {IGNORED_OCTETS, 8}}},
};

static const struct layout netflow9_layouts[OPTIONS_DATA_KINDS] = {
	[OPTIONS_DATA_SENT] = {1,
			       4,
			       {{SCOPE_SYSTEM, 4},
				{EXPORTED_MESSAGES, 8},
				{EXPORTED_RECORDS, 8},
				{EXPORTED_OCTETS, 8}}},
	[OPTIONS_DATA_NOT_SENT] = {1,
				   4,
				   {{SCOPE_SYSTEM, 4},
				    {NOT_SENT_RECORDS, 8},
				    {NOT_SENT_PACKETS, 8},
				    {NOT_SENT_OCTETS, 8}}},
};

static const struct layout *get_layout(enum template_format format, enum options_data_kind kind)
{
	return format == TEMPLATE_IPFIX ? &ipfix_layouts[kind] : &netflow9_layouts[kind];
}

/* RFC 7011 3.4.2.2 counts fields, scopes included, and scopes; RFC 3954 6.1 the bytes of scopes, and
 * of the others. */
size_t options_data_encode_template(enum template_format format, enum options_data_kind kind,
				    uint8_t out[OPTIONS_DATA_LONGEST])
{
	const struct layout *layout = get_layout(format, kind);
	uint8_t *at = out;

	if (layout->count == 0)
		return 0;
	at = bytes_add_u16(at, options_data_get_id(kind));
	if (format == TEMPLATE_IPFIX) {
		at = bytes_add_u16(at, layout->count);
		at = bytes_add_u16(at, layout->scopes);
	} else {
		at = bytes_add_u16(at, (uint16_t)(4 * layout->scopes));
		at = bytes_add_u16(at, (uint16_t)(4 * (layout->count - layout->scopes)));
	}
	for (size_t i = 0; i < layout->count; i++) {
		at = bytes_add_u16(at, layout->elements[i].id);
		at = bytes_add_u16(at, layout->elements[i].width);
	}
	return (size_t)(at - out);
}

size_t options_data_encode_statistics(enum template_format format, enum options_data_kind kind,
				      uint32_t domain, const struct options_statistics *statistics,
				      uint8_t out[OPTIONS_DATA_LONGEST])
{
	bool is_sent = kind == OPTIONS_DATA_SENT;
	uint8_t *at = out;

	if (get_layout(format, kind)->count == 0 ||
	    (kind == OPTIONS_DATA_IGNORED && !statistics->has_ignored))
		return 0;
	at = bytes_add_u32(at, domain);
	if (kind == OPTIONS_DATA_IGNORED) {
		at = bytes_add_u64(at, statistics->ignored_packets);
		at = bytes_add_u64(at, statistics->ignored_octets);
		return (size_t)(at - out);
	}
	at = bytes_add_u64(at, is_sent ? statistics->sent_messages : statistics->not_sent_records);
	at = bytes_add_u64(at, is_sent ? statistics->sent_records : statistics->not_sent_packets);
	at = bytes_add_u64(at, is_sent ? statistics->sent_octets : statistics->not_sent_octets);
	return (size_t)(at - out);
}

bool options_data_is_described(const struct field *field)
{
	return field->pen == FIELD_PEN_NTOP && field->ipfix_id != 0;
}

/* RFC 5610 3.1. */
static uint8_t get_data_type(const struct field *field)
{
	enum { UNSIGNED_8 = 1, UNSIGNED_16 = 2, UNSIGNED_32 = 3, UNSIGNED_64 = 4, STRING = 13 };

	switch (field->ipfix_width) {
	case 1:
		return UNSIGNED_8;
	case 2:
		return UNSIGNED_16;
	case 4:
		return UNSIGNED_32;
	case 8:
		return UNSIGNED_64;
	default:
		return STRING;
	}
}

/* RFC 5610 3.6: a number that is added up, one that names something, or an amount. */
static uint8_t get_semantics(const struct field *field)
{
	enum { DEFAULT = 0, QUANTITY = 1, DELTA_COUNTER = 3, IDENTIFIER = 4, FLAGS = 5 };
	struct text name = text_from(field->name);
	const char *last = memrchr(name.at, '_', name.length);

	if (field->kind == FIELD_KIND_LATENCY)
		return QUANTITY;
	if (field->kind != FIELD_KIND_UNSIGNED)
		return DEFAULT;
	if (strcmp(last, "_FLAGS") == 0)
		return FLAGS;
	if (strcmp(last, "_PID") == 0 || strcmp(last, "_UID") == 0)
		return IDENTIFIER;
	return strcmp(last, "_FAULTS") == 0 ? DELTA_COUNTER : QUANTITY;
}

/* RFC 5610 3.7. */
static uint16_t get_units(const struct field *field)
{
	enum { NONE = 0, OCTETS = 2, MILLISECONDS = 6 };

	if (field->kind == FIELD_KIND_LATENCY)
		return MILLISECONDS;
	return strstr(field->name, "_MEMORY") ? OCTETS : NONE;
}

static uint8_t *add_short_text(uint8_t *at, const char *string)
{
	size_t length = strlen(string);

	assert(length < 100);
	*at = (uint8_t)length;
	memcpy(at + 1, string, length);
	return at + 1 + length;
}

size_t options_data_encode_type(const struct field *field, uint8_t out[OPTIONS_DATA_LONGEST])
{
	uint8_t *at = bytes_add_u32(out, field->pen);

	at = bytes_add_u16(at, field->ipfix_id);
	*at++ = get_data_type(field);
	*at++ = get_semantics(field);
	at = bytes_add_u16(at, get_units(field));
	at = bytes_add_u64(at, 0);
	at = bytes_add_u64(at, 0);
	at = add_short_text(at, field->name);
	at = add_short_text(at, field->meaning);
	return (size_t)(at - out);
}
