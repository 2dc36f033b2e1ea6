/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* JSON (RFC 8259) written piece by piece: objects and arrays are opened and closed by hand, and what
 * comes behind another value gets its comma by itself. Pure. Failures stay in the buffer. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"

/* "key" NULL: an element of an array, or the whole text. It is written as it is: no quotes in it. */
void json_text_open_object(struct buffer *out, const char *key);
void json_text_close_object(struct buffer *out);
void json_text_open_array(struct buffer *out, const char *key);
void json_text_close_array(struct buffer *out);

void json_text_add_number(struct buffer *out, const char *key, uint64_t value);
void json_text_add_bool(struct buffer *out, const char *key, bool value);
/* Bytes that are no UTF-8 become '?', as control characters do. */
void json_text_add_string(struct buffer *out, const char *key, struct text value);
