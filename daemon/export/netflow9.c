/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/netflow9.h"

#include "export/bytes.h"

enum { VERSION = 9 };

void netflow9_encode_header(const struct netflow9_header *header,
			    uint8_t out[NETFLOW9_HEADER_BYTES])
{
	out = bytes_add_u16(out, VERSION);
	out = bytes_add_u16(out, header->count);
	out = bytes_add_u32(out, header->uptime_ms);
	out = bytes_add_u32(out, header->unix_seconds);
	out = bytes_add_u32(out, header->sequence);
	bytes_add_u32(out, header->source_id);
}

size_t netflow9_bound_template(const struct template *template)
{
	return 4 + 4 * (size_t) template->field_count;
}

size_t netflow9_encode_template(const struct template *template, uint8_t *out)
{
	uint8_t *at = bytes_add_u16(out, template->id);

	at = bytes_add_u16(at, template->field_count);
	for (size_t i = 0; i < template->field_count; i++) {
		at = bytes_add_u16(at, template->fields[i].id);
		at = bytes_add_u16(at, template->fields[i].width);
	}
	return (size_t)(at - out);
}
