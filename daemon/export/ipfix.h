/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* IPFIX, RFC 7011: the header and the templates; records are template.h's, messages are put
 * together by wire_writer.h. */

#include <stddef.h>
#include <stdint.h>

#include "export/template.h"

enum { IPFIX_HEADER_BYTES = 16, IPFIX_TEMPLATE_SET = 2, IPFIX_OPTIONS_TEMPLATE_SET = 3 };

struct ipfix_header { /* RFC 7011 3.1 */
	uint16_t length;
	uint32_t export_seconds;
	uint32_t sequence; /* data records sent before this message */
	uint32_t domain;
};

/* Pure. */
void ipfix_encode_header(const struct ipfix_header *header, uint8_t out[IPFIX_HEADER_BYTES]);

/* A template record (RFC 7011 3.4.1) without the set's header. */
size_t ipfix_bound_template(const struct template *template);
size_t ipfix_encode_template(const struct template *template, uint8_t *out);

/* On a finished message of ours. The first writes another sequence number into its header; the
 * second takes out all but templates and options templates and returns the bytes that are left. */
void ipfix_set_sequence(uint8_t *message, uint32_t sequence);
size_t ipfix_keep_templates(uint8_t *message, size_t length);
