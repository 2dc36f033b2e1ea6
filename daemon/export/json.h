/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Records as JSON (RFC 8259), one object a line, keys from the field catalogue. Addresses are
 * strings, FIRST_/LAST_SWITCHED epoch seconds, "@timestamp" is the record's end. What is unknown is
 * absent, an empty text too. Bytes that are no UTF-8 become '?'; control characters are escaped. */

#include "base/buffer.h"
#include "flow/flow_record.h"

/* Adds one line. On -ENOMEM "out" has failed and is as long as before. Pure. */
int json_encode_record(struct buffer *out, const struct flow_record *record);
