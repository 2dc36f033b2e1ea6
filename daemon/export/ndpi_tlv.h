/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Records about flows as ntopng reads them from 6.0 on: nDPI's TLV serialisation,
 *
 *     01 01 { item* 01 }+
 *
 * a group a record. An item is a byte (type of the key << 4 | type of the value), the key and the
 * value; types: 2 to 5 unsigned integers of 1, 2, 4 and 8 bytes (big endian, the smallest that fits),
 * 10 a float of 4 bytes (little endian), 11 a string (its length in two bytes, big endian).
 *
 * Keys are the numbers of NetFlow v9; what has none, and the I/O wait, which ntopng looks for by
 * name, has its name. Addresses are strings, FIRST_ and LAST_SWITCHED epoch seconds, latencies
 * milliseconds as floats. What is unknown is absent, an empty text too. */

#include "base/buffer.h"
#include "flow/flow_record.h"

/* Adds a record, and the head where "out" is empty. On -ENOMEM "out" has failed and is as long as
 * before. Pure. */
int ndpi_tlv_encode_record(struct buffer *out, const struct flow_record *record);
