/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Values of records as JSON (RFC 8259): addresses are strings, FIRST_/LAST_SWITCHED epoch seconds.
 * Bytes that are no UTF-8 become '?'; control characters are escaped. Each adds at "at", where there
 * is room for what the bound says, and returns the place behind. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "flow/field.h"
#include "flow/flow_record.h"

/* Whether JSON has this field of the record: it is known, and no empty text. */
bool json_value_is_written(const struct field *field, const struct flow_record *record);

/* At most json_value_bound() characters. */
char *json_value_add(char *at, const struct field *field, const struct flow_record *record);
size_t json_value_bound(const struct field *field, const struct flow_record *record);

/* In quotes; at most json_value_bound_string() characters. */
char *json_value_add_string(char *at, struct text text);
size_t json_value_bound_string(struct text text);
