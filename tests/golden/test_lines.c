/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The formats of lines, byte for byte: ecs.golden, json.golden and text.golden are what the exporters write for
 * the records of records.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "export/ecs.h"
#include "export/json.h"
#include "export/text_table.h"
#include "records.h"

static int set_utc(unused void **state)
{
	return setenv("TZ", "UTC", 1);
}

static void read_golden(const char *path, struct buffer *out)
{
	FILE *file = fopen(path, "r");
	char bytes[4096];
	size_t length;

	if (!file)
		fail_msg("cannot open %s", path);
	while ((length = fread(bytes, 1, sizeof(bytes), file)) > 0)
		buffer_add(out, bytes, length);
	fclose(file);
	buffer_add_byte(out, '\0');
}

static void compare(const char *path, struct buffer *lines)
{
	struct buffer golden;

	buffer_init(&golden);
	read_golden(path, &golden);
	buffer_add_byte(lines, '\0');
	assert_string_equal((char *)lines->bytes, (char *)golden.bytes);
	buffer_fini(&golden);
	buffer_fini(lines);
}

static void test_json(unused void **state)
{
	struct buffer lines;

	buffer_init(&lines);
	for (unsigned i = 0; i < RECORDS_COUNT; i++) {
		struct flow_record record = records_make(i);

		assert_int_equal(json_encode_record(&lines, &record), 0);
	}
	compare("json.golden", &lines);
}

static void test_ecs(unused void **state)
{
	struct buffer lines;

	buffer_init(&lines);
	for (unsigned i = 0; i < RECORDS_COUNT; i++) {
		struct flow_record record = records_make(i);

		record.number = i + 1;
		assert_int_equal(ecs_encode_record(&lines, &record), 0);
	}
	for (unsigned i = 0; i < RECORDS_PROCESS_COUNT; i++) {
		struct flow_record record = records_make_process(i);

		assert_int_equal(ecs_encode_record(&lines, &record), 0);
	}
	compare("ecs.golden", &lines);
}

static void test_json_of_processes(unused void **state)
{
	struct buffer lines;

	buffer_init(&lines);
	for (unsigned i = 0; i < RECORDS_PROCESS_COUNT; i++) {
		struct flow_record record = records_make_process(i);

		assert_int_equal(json_encode_record(&lines, &record), 0);
	}
	compare("json_processes.golden", &lines);
}

static void test_text(unused void **state)
{
	struct text_table table = {.width = TEXT_TABLE_WIDTH};
	struct buffer lines;

	buffer_init(&lines);
	for (unsigned i = 0; i < RECORDS_COUNT; i++) {
		struct flow_record record = records_make(i);

		assert_int_equal(text_table_encode_record(&table, &lines, &record), 0);
	}
	compare("text.golden", &lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_of_processes),
		cmocka_unit_test(test_ecs),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, set_utc, NULL);
}
