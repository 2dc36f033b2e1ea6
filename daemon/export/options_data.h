/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What an exporter tells about itself: its statistics (RFC 7011 4.1 to 4.3; NetFlow v9 has the
 * same as data of the system's scope, RFC 3954 6.1), and what the enterprise elements are (RFC 5610). Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/template_cache.h"

enum {
	OPTIONS_DATA_FIRST_ID = TEMPLATE_OPTIONS_ID,
	OPTIONS_DATA_SET_NETFLOW9 = 1, /* the set of options templates */
	OPTIONS_DATA_SET_IPFIX = 3,
	OPTIONS_DATA_LONGEST = 256, /* a template or a record is never longer */
};

enum options_data_kind {
	OPTIONS_DATA_SENT,     /* 41, 42, 40: messages, records, octets */
	OPTIONS_DATA_NOT_SENT, /* 166, 167, 168: records, and the packets and octets in them */
	OPTIONS_DATA_TYPES,    /* RFC 5610 3.9 */
	OPTIONS_DATA_IGNORED,  /* 164, 165: packets and octets that the filters left out */
	OPTIONS_DATA_KINDS,
};

_Static_assert((int)OPTIONS_DATA_KINDS <= (int)TEMPLATE_OPTIONS_COUNT, "an id for each");

/* Since the beginning; of "sent" the message in work is no part. */
struct options_statistics {
	uint64_t sent_messages, sent_records, sent_octets;
	uint64_t not_sent_records, not_sent_packets, not_sent_octets;
	uint64_t ignored_packets, ignored_octets;
	bool has_ignored; /* false: nobody counts them */
};

static inline uint16_t options_data_get_id(enum options_data_kind kind)
{
	return (uint16_t)(OPTIONS_DATA_FIRST_ID + kind);
}

/* Each returns the bytes written; 0: the format does not have it, or it is not known. */
size_t options_data_encode_template(enum template_format format, enum options_data_kind kind,
				    uint8_t out[OPTIONS_DATA_LONGEST]);
size_t options_data_encode_statistics(enum template_format format, enum options_data_kind kind,
				      uint32_t domain, const struct options_statistics *statistics,
				      uint8_t out[OPTIONS_DATA_LONGEST]);

/* Whether collectors do not know the field by themselves: an element of ntop's. */
bool options_data_is_described(const struct field *field);
/* What an IPFIX element with an enterprise number is. */
size_t options_data_encode_type(const struct field *field, uint8_t out[OPTIONS_DATA_LONGEST]);
