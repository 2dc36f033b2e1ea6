/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A growable run of bytes. An allocation that fails is remembered in "failed" and later additions
 * do nothing, so that an encoder checks once at its end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *bytes;
	size_t length, capacity;
	bool failed;
};

void buffer_init(struct buffer *buffer);
void buffer_fini(struct buffer *buffer);

/* Empties it, keeps the memory, and forgets an earlier failure. */
void buffer_clear(struct buffer *buffer);

/* Room for "length" more bytes, to be written by the caller; "length" is added at once. NULL when
 * memory ran out. Valid until the next addition. */
void *buffer_extend(struct buffer *buffer, size_t length);

void buffer_add(struct buffer *buffer, const void *bytes, size_t length);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_add_byte(struct buffer *buffer, uint8_t byte);
/* Big endian, as on the wire. */
void buffer_add_u16(struct buffer *buffer, uint16_t value);
void buffer_add_u32(struct buffer *buffer, uint32_t value);
void buffer_add_u64(struct buffer *buffer, uint64_t value);
/* Decimal digits. */
void buffer_add_decimal(struct buffer *buffer, uint64_t value);
void buffer_add_format(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
