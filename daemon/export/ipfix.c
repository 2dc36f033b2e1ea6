/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/ipfix.h"

#include "export/bytes.h"

enum { VERSION = 10, ENTERPRISE_BIT = 0x8000 };

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
