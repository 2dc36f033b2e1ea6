/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/rpm_header.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"

enum { INT32 = 4, TEXT = 6, TEXTS = 8 };

struct entry {
	uint32_t tag, type, count;
	const char *data;
	size_t length;
};

#define BYTES(text) text, sizeof(text)

/* As rpm writes it: the index, and the data of each entry one behind the other. */
static size_t build(const struct entry *entries, size_t count, uint8_t *out)
{
	uint8_t *data = out + 8 + count * 16;
	size_t length = 0;
	uint32_t words[4];

	for (size_t i = 0; i < count; i++) {
		words[0] = htobe32(entries[i].tag);
		words[1] = htobe32(entries[i].type);
		words[2] = htobe32((uint32_t)length);
		words[3] = htobe32(entries[i].count);
		memcpy(out + 8 + i * 16, words, sizeof(words));
		memcpy(data + length, entries[i].data, entries[i].length);
		length += entries[i].length;
	}
	words[0] = htobe32((uint32_t)count);
	words[1] = htobe32((uint32_t)length);
	memcpy(out, words, 8);
	return 8 + count * 16 + length;
}

static int join(void *userdata, struct text directory, struct text file)
{
	char *all = userdata;

	sprintf(all + strlen(all), "%.*s%.*s ", (int)directory.length, directory.at,
		(int)file.length, file.at);
	return 0;
}

static const struct entry entries[] = {
	{1000, TEXT, 1, BYTES("bash")},
	{1001, TEXT, 1, BYTES("5.2")},
	{1116, INT32, 4, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\7", 16},
	{1117, TEXTS, 4, BYTES("bash\0bashrc\0sh\0nowhere")},
	{1118, TEXTS, 2, BYTES("/usr/bin/\0/etc/")},
};

static void name_and_paths_are_read(void **state)
{
	struct rpm_header header;
	uint8_t bytes[512];
	size_t length = build(entries, array_length(entries), bytes);
	char all[256] = "";

	(void)state;
	assert_int_equal(rpm_header_parse(bytes, length, &header), 0);
	assert_int_equal(header.name.length, 4);
	assert_memory_equal(header.name.at, "bash", 4);
	assert_int_equal(rpm_header_walk(&header, join, all), 0);
	assert_string_equal(all, "/usr/bin/bash /etc/bashrc /usr/bin/sh ");
}

static void package_without_files_has_a_name(void **state)
{
	struct rpm_header header;
	uint8_t bytes[512];
	size_t length = build(entries, 1, bytes);
	char all[256] = "";

	(void)state;
	assert_int_equal(rpm_header_parse(bytes, length, &header), 0);
	assert_int_equal(header.file_count, 0);
	assert_int_equal(rpm_header_walk(&header, join, all), 0);
	assert_string_equal(all, "");
}

/* Cut short anywhere, and with counts and places of any size, in a buffer that ends where they do. */
static void nothing_is_read_beyond_the_end(void **state)
{
	static const uint32_t values[] = {0, 1, 5, 100, 0x7fffffff, 0x80000000, 0xffffffff};
	uint8_t bytes[512];
	size_t length = build(entries, array_length(entries), bytes);
	struct rpm_header header;

	(void)state;
	for (size_t cut = 0; cut < length; cut++) {
		uint8_t *part = malloc(cut + 1);

		memcpy(part, bytes, cut);
		assert_int_equal(rpm_header_parse(part, cut, &header), -EBADMSG);
		free(part);
	}
	for (size_t at = 0; at + 4 <= 8 + array_length(entries) * 16; at += 4)
		for (size_t i = 0; i < array_length(values); i++) {
			uint8_t *part = malloc(length);
			uint32_t value = htobe32(values[i]);
			char all[4096] = "";

			memcpy(part, bytes, length);
			memcpy(part + at, &value, sizeof(value));
			if (rpm_header_parse(part, length, &header) == 0)
				assert_int_equal(rpm_header_walk(&header, join, all), 0);
			free(part);
		}
}

static void header_without_a_name_is_none(void **state)
{
	struct rpm_header header;
	uint8_t bytes[512];
	size_t length = build(entries + 1, 3, bytes);

	(void)state;
	assert_int_equal(rpm_header_parse(bytes, length, &header), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_and_paths_are_read),
		cmocka_unit_test(package_without_files_has_a_name),
		cmocka_unit_test(nothing_is_read_beyond_the_end),
		cmocka_unit_test(header_without_a_name_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
