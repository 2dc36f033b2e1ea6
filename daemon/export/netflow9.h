/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* NetFlow version 9, RFC 3954: the header and the templates; records are template.h's, messages
 * are put together by wire_writer.h. */

#include <stddef.h>
#include <stdint.h>

#include "export/template.h"

enum { NETFLOW9_HEADER_BYTES = 20, NETFLOW9_TEMPLATE_FLOWSET = 0, NETFLOW9_ALIGNMENT = 4 };

struct netflow9_header { /* RFC 3954 5.1 */
	uint16_t count;	 /* records, templates included */
	uint32_t uptime_ms;
	uint32_t unix_seconds;
	uint32_t sequence; /* export packets sent before */
	uint32_t source_id;
};

/* Pure. */
void netflow9_encode_header(const struct netflow9_header *header,
			    uint8_t out[NETFLOW9_HEADER_BYTES]);

/* A template record (RFC 3954 5.2) without the FlowSet's header. */
size_t netflow9_bound_template(const struct template *template);
size_t netflow9_encode_template(const struct template *template, uint8_t *out);
