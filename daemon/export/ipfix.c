/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/ipfix.h"

#include "export/bytes.h"

enum {
	VERSION = 10,
	ENTERPRISE_BIT = 0x8000,
	LENGTH_AT = 2,
	SEQUENCE_AT = 8,
	SET_HEADER_BYTES = 4
};

void ipfix_encode_header(const struct ipfix_header *header, uint8_t out[IPFIX_HEADER_BYTES])
{
	out = bytes_add_u16(out, VERSION);
	out = bytes_add_u16(out, header->length);
	out = bytes_add_u32(out, header->export_seconds);
	out = bytes_add_u32(out, header->sequence);
	bytes_add_u32(out, header->domain);
}

size_t ipfix_bound_template(const struct template *template)
{
	return 4 + 8 * (size_t) template->field_count;
}

size_t ipfix_encode_template(const struct template *template, uint8_t *out)
{
	uint8_t *at = bytes_add_u16(out, template->id);

	at = bytes_add_u16(at, template->field_count);
	for (size_t i = 0; i < template->field_count; i++) {
		const struct template_field *field = &template->fields[i];

		at = bytes_add_u16(at, field->pen ? field->id | ENTERPRISE_BIT : field->id);
		at = bytes_add_u16(at, field->width);
		if (field->pen)
			at = bytes_add_u32(at, field->pen);
	}
	return (size_t)(at - out);
}

void ipfix_set_sequence(uint8_t *message, uint32_t sequence)
{
	bytes_add_u32(message + SEQUENCE_AT, sequence);
}

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

size_t ipfix_keep_templates(uint8_t *message, size_t length)
{
	size_t kept = IPFIX_HEADER_BYTES, set_length;

	for (size_t at = IPFIX_HEADER_BYTES; at + SET_HEADER_BYTES <= length; at += set_length) {
		uint16_t set_id = read_u16(message + at);

		set_length = read_u16(message + at + 2);
		if (set_id != IPFIX_TEMPLATE_SET && set_id != IPFIX_OPTIONS_TEMPLATE_SET)
			continue;
		memmove(message + kept, message + at, set_length);
		kept += set_length;
	}
	bytes_add_u16(message + LENGTH_AT, (uint16_t)kept);
	return kept;
}
