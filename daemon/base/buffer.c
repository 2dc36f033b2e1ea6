/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/buffer.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_CAPACITY = 256 };

void buffer_init(struct buffer *buffer)
{
	*buffer = (struct buffer){0};
}

void buffer_fini(struct buffer *buffer)
{
	free(buffer->bytes);
	buffer_init(buffer);
}

void buffer_clear(struct buffer *buffer)
{
	buffer->length = 0;
	buffer->failed = false;
}

static bool reserve(struct buffer *buffer, size_t more)
{
	size_t capacity = buffer->capacity ? buffer->capacity : SMALLEST_CAPACITY;
	uint8_t *bytes;

	if (buffer->failed || more > SIZE_MAX / 4 - buffer->length) {
		buffer->failed = true;
		return false;
	}
	if (buffer->bytes && buffer->length + more <= buffer->capacity)
		return true;
	while (capacity < buffer->length + more)
		capacity *= 2;
	bytes = realloc(buffer->bytes, capacity);
	if (!bytes) {
		buffer->failed = true;
		return false;
	}
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return true;
}

void *buffer_extend(struct buffer *buffer, size_t length)
{
	void *room;

	if (!reserve(buffer, length))
		return NULL;
	room = buffer->bytes + buffer->length;
	buffer->length += length;
	return room;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t length)
{
	void *room;

	if (length == 0)
		return;
	room = buffer_extend(buffer, length);
	if (room)
		memcpy(room, bytes, length);
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, text, strlen(text));
}

void buffer_add_byte(struct buffer *buffer, uint8_t byte)
{
	buffer_add(buffer, &byte, 1);
}

void buffer_add_u16(struct buffer *buffer, uint16_t value)
{
	value = htobe16(value);
	buffer_add(buffer, &value, sizeof(value));
}

void buffer_add_u32(struct buffer *buffer, uint32_t value)
{
	value = htobe32(value);
	buffer_add(buffer, &value, sizeof(value));
}

void buffer_add_u64(struct buffer *buffer, uint64_t value)
{
	value = htobe64(value);
	buffer_add(buffer, &value, sizeof(value));
}

void buffer_add_decimal(struct buffer *buffer, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	buffer_add(buffer, digits + at, sizeof(digits) - at);
}

void buffer_add_format(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		buffer->failed = true;
		return;
	}
	buffer_add(buffer, text, (size_t)length);
	free(text);
}
