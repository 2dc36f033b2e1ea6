/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/json_text.h"

static void add_key(struct buffer *out, const char *key)
{
	uint8_t last = out->length > 0 ? out->bytes[out->length - 1] : '\n';

	if (last != '{' && last != '[' && last != ':' && last != '\n')
		buffer_add_byte(out, ',');
	if (!key)
		return;
	buffer_add_byte(out, '"');
	buffer_add_text(out, key);
	buffer_add(out, "\":", 2);
}

void json_text_open_object(struct buffer *out, const char *key)
{
	add_key(out, key);
	buffer_add_byte(out, '{');
}

void json_text_close_object(struct buffer *out)
{
	buffer_add_byte(out, '}');
}

void json_text_open_array(struct buffer *out, const char *key)
{
	add_key(out, key);
	buffer_add_byte(out, '[');
}

void json_text_close_array(struct buffer *out)
{
	buffer_add_byte(out, ']');
}

void json_text_add_number(struct buffer *out, const char *key, uint64_t value)
{
	add_key(out, key);
	buffer_add_decimal(out, value);
}

void json_text_add_bool(struct buffer *out, const char *key, bool value)
{
	add_key(out, key);
	buffer_add_text(out, value ? "true" : "false");
}

void json_text_add_string(struct buffer *out, const char *key, struct text value)
{
	char *room;
	size_t length, before;

	add_key(out, key);
	buffer_add_byte(out, '"');
	before = out->length;
	room = buffer_extend(out, value.length * 2);
	if (!room)
		return;
	/* Into the upper half, then escaped downwards: the writer never catches up with the reader. */
	length = text_sanitise(value, room + value.length, value.length);
	out->length = before;
	for (size_t i = 0; i < length; i++) {
		char byte = room[value.length + i];

		if (byte == '"' || byte == '\\')
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, (uint8_t)byte);
	}
	buffer_add_byte(out, '"');
}
