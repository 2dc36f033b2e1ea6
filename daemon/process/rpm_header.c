/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/rpm_header.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PREAMBLE = 8, ENTRY = 16 };

enum tag {
	TAG_NAME = 1000,
	TAG_DIRECTORY_NUMBERS = 1116,
	TAG_FILES = 1117,
	TAG_DIRECTORIES = 1118,
};

enum type { TYPE_INT32 = 4, TYPE_TEXT = 6, TYPE_TEXTS = 8 };

static uint32_t read_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

/* The next of the texts that stand one behind the other; false: there is none that ends. */
static bool take_text(struct text *rest, struct text *ret)
{
	const char *end = rest->length ? memchr(rest->at, '\0', rest->length) : NULL;

	if (!end)
		return false;
	*ret = (struct text){rest->at, (size_t)(end - rest->at)};
	rest->at += ret->length + 1;
	rest->length -= ret->length + 1;
	return true;
}

/* "data": from the entry's place to the end of all. What is not as it should be is passed over. */
static void take_entry(struct rpm_header *header, const uint8_t *entry, struct text data)
{
	uint32_t tag = read_u32(entry), type = read_u32(entry + 4), count = read_u32(entry + 12);

	if (tag == TAG_NAME && type == TYPE_TEXT) {
		take_text(&data, &header->name);
	} else if (tag == TAG_DIRECTORIES && type == TYPE_TEXTS && count <= data.length) {
		header->directories = data;
		header->directory_count = count;
	} else if (tag == TAG_FILES && type == TYPE_TEXTS && count <= data.length) {
		header->files = data;
		header->file_count = count;
	} else if (tag == TAG_DIRECTORY_NUMBERS && type == TYPE_INT32 &&
		   count <= data.length / sizeof(uint32_t)) {
		header->directory_numbers = (const uint8_t *)data.at;
	}
}

int rpm_header_parse(const void *bytes, size_t length, struct rpm_header *ret)
{
	const uint8_t *at = bytes, *data, *numbers_end;
	struct rpm_header header = {0};
	size_t entries, data_length;

	if (length < PREAMBLE)
		return -EBADMSG;
	entries = read_u32(at);
	data_length = read_u32(at + 4);
	if (entries > (length - PREAMBLE) / ENTRY ||
	    data_length > length - PREAMBLE - entries * ENTRY)
		return -EBADMSG;
	data = at + PREAMBLE + entries * ENTRY;
	for (size_t i = 0; i < entries; i++) {
		const uint8_t *entry = at + PREAMBLE + i * ENTRY;
		size_t offset = read_u32(entry + 8);

		if (offset < data_length)
			take_entry(
				&header, entry,
				(struct text){(const char *)data + offset, data_length - offset});
	}
	if (header.name.length == 0)
		return -EBADMSG;
	numbers_end = data + data_length;
	if (!header.directory_numbers ||
	    header.file_count > (size_t)(numbers_end - header.directory_numbers) / sizeof(uint32_t))
		header.file_count = 0;
	*ret = header;
	return 0;
}

int rpm_header_walk(const struct rpm_header *header, rpm_header_on_path on_path, void *userdata)
{
	struct text *directories = calloc(header->directory_count + 1, sizeof(*directories));
	struct text rest = header->directories, file;
	size_t known = 0;
	int r = 0;

	if (!directories)
		return -ENOMEM;
	while (known < header->directory_count && take_text(&rest, &directories[known]))
		known++;
	rest = header->files;
	for (size_t i = 0; i < header->file_count && r >= 0 && take_text(&rest, &file); i++) {
		uint32_t number = read_u32(header->directory_numbers + i * sizeof(uint32_t));

		if (number < known)
			r = on_path(userdata, directories[number], file);
	}
	free(directories);
	return r < 0 ? r : 0;
}
