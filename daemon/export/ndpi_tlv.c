/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The length of a record is bounded before it is written, so that the writing needs no check. */

#include "export/ndpi_tlv.h"

#include <errno.h>
#include <string.h>

#include "export/bytes.h"
#include "export/json_value.h"
#include "flow/field.h"
#include "flow/ownership.h"

enum {
	TYPE_U8 = 2,
	TYPE_U16 = 3,
	TYPE_U32 = 4,
	TYPE_U64 = 5,
	TYPE_FLOAT = 10,
	TYPE_STRING = 11,
	VERSION = 1, /* the two bytes of the head: version and format */
	FORMAT_TLV = 1,
	END_OF_RECORD = 1,
	HEAD_BYTES = 2,
	LONGEST_TEXT = 4096, /* of a value; what is longer is cut */
	ITEM_BYTES = 128,    /* key and all values but texts */
	MS_PER_SEC = 1000,
	US_PER_MS = 1000,
};

static unsigned type_of_number(uint64_t value)
{
	if (value <= UINT8_MAX)
		return TYPE_U8;
	if (value <= UINT16_MAX)
		return TYPE_U16;
	return value <= UINT32_MAX ? TYPE_U32 : TYPE_U64;
}

static uint8_t *add_number(uint8_t *at, uint64_t value)
{
	switch (type_of_number(value)) {
	case TYPE_U8:
		*at = (uint8_t)value;
		return at + 1;
	case TYPE_U16:
		return bytes_add_u16(at, (uint16_t)value);
	case TYPE_U32:
		return bytes_add_u32(at, (uint32_t)value);
	default:
		return bytes_add_u64(at, value);
	}
}

static uint8_t *add_string(uint8_t *at, const char *text, size_t length)
{
	at = bytes_add_u16(at, (uint16_t)length);
	memcpy(at, text, length);
	return at + length;
}

/* ntopng finds these by name alone. */
static bool is_named(enum field_index field)
{
	return field_table[field].v9_id == 0 || field == FIELD_SRC_PROC_PCTG_IOWAIT ||
	       field == FIELD_DST_PROC_PCTG_IOWAIT;
}

static uint8_t *add_key(uint8_t *at, enum field_index field, unsigned value_type)
{
	const struct field *row = &field_table[field];

	if (is_named(field)) {
		*at++ = (uint8_t)(TYPE_STRING << 4 | value_type);
		return add_string(at, row->name, strlen(row->name));
	}
	*at++ = (uint8_t)(type_of_number(row->v9_id) << 4 | value_type);
	return add_number(at, row->v9_id);
}

static uint8_t *add_number_item(uint8_t *at, enum field_index field, uint64_t value)
{
	return add_number(add_key(at, field, type_of_number(value)), value);
}

static uint8_t *add_latency_item(uint8_t *at, enum field_index field, uint64_t value_us)
{
	float value = (float)value_us / US_PER_MS;
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	bits = htole32(bits);
	at = add_key(at, field, TYPE_FLOAT);
	memcpy(at, &bits, sizeof(bits));
	return at + sizeof(bits);
}

static uint8_t *add_text_item(uint8_t *at, enum field_index field, struct text text)
{
	uint8_t *length_at;
	size_t length;

	length_at = add_key(at, field, TYPE_STRING);
	length = text_sanitise(text, (char *)length_at + 2, LONGEST_TEXT);
	bytes_add_u16(length_at, (uint16_t)length);
	return length_at + 2 + length;
}

/* What JSON has in quotes: addresses, MACs and words, which hold nothing to escape. */
static uint8_t *add_word_item(uint8_t *at, enum field_index field, const struct flow_record *record)
{
	char word[ITEM_BYTES];
	char *end = json_value_add(word, &field_table[field], record);

	at = add_key(at, field, TYPE_STRING);
	return add_string(at, word + 1, (size_t)(end - word) - 2);
}

static struct text text_of(const struct field *field, const struct flow_record *record)
{
	return *(const struct text *)(const void *)((const char *)record + field->offset);
}

static uint8_t *add_item(uint8_t *at, enum field_index i, const struct flow_record *record)
{
	const struct field *field = &field_table[i];

	switch ((enum field_kind)field->kind) {
	case FIELD_KIND_UNSIGNED:
		return add_number_item(at, i, field_get_unsigned(field, record));
	case FIELD_KIND_UPTIME:
		return add_number_item(
			at, i,
			(i == FIELD_FIRST_SWITCHED ? record->start_ms : record->end_ms) /
				MS_PER_SEC);
	case FIELD_KIND_LATENCY:
		return add_latency_item(at, i, field_get_unsigned(field, record));
	case FIELD_KIND_TEXT:
	case FIELD_KIND_USER:
		return add_text_item(at, i, text_of(field, record));
	default:
		return add_word_item(at, i, record);
	}
}

static size_t bound_record(const struct flow_record *record)
{
	size_t bound = HEAD_BYTES + 1;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *field = &field_table[i];

		if (!json_value_is_written(field, record))
			continue;
		bound += ITEM_BYTES;
		if (field->kind == FIELD_KIND_TEXT)
			bound += LONGEST_TEXT;
	}
	return bound;
}

int ndpi_tlv_encode_record(struct buffer *out, const struct flow_record *record)
{
	size_t before = out->length;
	uint8_t *start = buffer_extend(out, bound_record(record)), *at = start;

	if (!start)
		return -ENOMEM;
	if (before == 0) {
		*at++ = VERSION;
		*at++ = FORMAT_TLV;
	}
	for (unsigned i = 0; i < FIELD_COUNT; i++)
		if (json_value_is_written(&field_table[i], record))
			at = add_item(at, i, record);
	*at++ = END_OF_RECORD;
	out->length = before + (size_t)(at - start);
	return 0;
}
