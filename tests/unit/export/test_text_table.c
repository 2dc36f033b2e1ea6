/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <stdio.h>

#include "export/text_table.h"

static int set_utc(unused void **state)
{
	return setenv("TZ", "UTC", 1);
}

static char *encode(struct text_table *table, const struct flow_record *record)
{
	struct buffer out;

	buffer_init(&out);
	assert_int_equal(text_table_encode_record(table, &out, record), 0);
	buffer_add_byte(&out, '\0');
	return (char *)out.bytes;
}

static void check_line(unsigned width, unsigned which, const char *expected)
{
	struct text_table table = {.width = width, .lines_left = 1};
	struct flow_record record = records_make(which);
	char *line = encode(&table, &record);

	assert_string_equal(line, expected);
	free(line);
}

static void test_one_line(unused void **state)
{
	check_line(120, RECORD_CURL,
		   "12:19:36 tcp   curl[4890] alice 10.0.0.5:50684                         "
		   "10.0.0.9:8099          450B  979B    2ms      83%\n");
	check_line(120, RECORD_UNKNOWN,
		   "12:19:40 tcp   -(exited) alice  10.0.0.5:40001                         "
		   "198.51.100.7:80        2.3k  1.9M    2ms        -\n");
	check_line(120, RECORD_UNCOUNTED,
		   "12:19:41 udp                    [2001:db8::1]:9999                     "
		   "[2001:db8::2]:8888        -     -    2ms        -\n");
}

static void test_two_lines_where_one_is_too_narrow(unused void **state)
{
	check_line(80, RECORD_CURL,
		   "12:19:36 tcp   curl[4890] alice 10.0.0.5:50684        450B  979B    2ms      "
		   "83%\n"
		   "               > 10.0.0.9:8099\n");
}

/* Columns of a line without escapes; -1 where it is not UTF-8 without controls. */
static int count_columns(const char *line, size_t length)
{
	char clean[4096];
	int columns = 0;

	assert_true(length < sizeof(clean));
	if (text_sanitise((struct text){line, length}, clean, sizeof(clean)) != length ||
	    memcmp(clean, line, length) != 0)
		return -1;
	for (size_t i = 0; i < length; i++)
		columns += (line[i] & 0xc0) != 0x80;
	return columns;
}

/* Whatever the texts hold: no control reaches the terminal, and from 80 columns on all fits. */
static void test_random_records_fit(unused void **state)
{
	uint64_t seed = 99;

	for (int i = 0; i < 20000; i++) {
		struct flow_record record = records_make_random(&seed);
		struct text_table table = {.width = 80 + (unsigned)(records_random(&seed) % 120)};
		char *lines, *at, *end;

		record.src.pid %= 4194304;
		record.dst.pid %= 4194304;
		record.src.cpu_load_pct100 %= 1000000;
		record.dst.cpu_load_pct100 %= 100000;
		record.end_ns = record.start_ns + record.end_ns % (1000 * 86400 * NS_PER_SEC);
		lines = encode(&table, &record);
		for (at = lines; (end = strchr(at, '\n')); at = end + 1) {
			int columns = count_columns(at, (size_t)(end - at));

			if (columns < 0 || columns > (int)table.width)
				fail_msg("%d columns of %u:\n%s", columns, table.width, lines);
		}
		assert_int_equal(*at, '\0');
		free(lines);
	}
}

/* An address is never cut. */
static void test_addresses_are_whole(unused void **state)
{
	static const unsigned widths[] = {60, 80, 100, 120, 200};

	for (size_t i = 0; i < array_length(widths); i++) {
		struct text_table table = {.width = widths[i]};
		struct flow_record record = records_make(RECORD_V6);
		char *lines = encode(&table, &record);

		assert_non_null(strstr(lines, "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535"));
		assert_non_null(strstr(lines, "[2001:db8:1234:5678:9abc:def0:1234:5678]:443"));
		assert_non_null(strstr(lines, "nginx[777]~ www-data"));
		free(lines);
	}
}

static void test_header_comes_again(unused void **state)
{
	struct text_table table = {.width = 120};
	struct flow_record record = records_make(RECORD_CURL);
	int headers = 0;

	for (int i = 0; i < 3 * TEXT_TABLE_HEADER_EVERY; i++) {
		char *lines = encode(&table, &record);

		headers += strncmp(lines, "TIME     PROTO SOURCE ", 22) == 0;
		free(lines);
	}
	assert_int_equal(headers, 3);
}

static void test_colours_only_where_asked_for(unused void **state)
{
	struct text_table plain = {.width = 120}, coloured = {.width = 120, .colours = true};
	struct flow_record record = records_make(RECORD_UNKNOWN);
	char *lines = encode(&plain, &record);

	assert_null(strchr(lines, '\033'));
	free(lines);
	lines = encode(&coloured, &record);
	assert_non_null(strstr(lines, "\033[33m-(exited)\033[0m"));
	free(lines);
}

static void check_numbers(uint64_t bytes, uint64_t lasted_ns, const char *expected)
{
	struct text_table table = {.width = 120, .lines_left = 1};
	struct flow_record record = records_make(RECORD_UNKNOWN);
	char *line;

	record.counters.in_bytes = record.counters.out_bytes = bytes;
	record.end_ns = record.start_ns + lasted_ns;
	line = encode(&table, &record);
	assert_string_equal(line + 93, expected);
	free(line);
}

static void test_numbers_for_people(unused void **state)
{
	check_numbers(0, 0, "   0B    0B   <1ms        -\n");
	check_numbers(999, 999 * NS_PER_MS, " 999B  999B  999ms        -\n");
	check_numbers(1000, NS_PER_SEC, " 1.0k  1.0k   1.0s        -\n");
	check_numbers(9999, 10 * NS_PER_SEC, " 9.9k  9.9k    10s        -\n");
	check_numbers(999999, 60 * NS_PER_SEC, " 999k  999k  1m00s        -\n");
	check_numbers(1000000, 3600 * NS_PER_SEC, " 1.0M  1.0M  1h00m        -\n");
	check_numbers(UINT64_MAX, 86400 * NS_PER_SEC, "  18E   18E  1d00h        -\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_two_lines_where_one_is_too_narrow),
		cmocka_unit_test(test_random_records_fit),
		cmocka_unit_test(test_addresses_are_whole),
		cmocka_unit_test(test_header_comes_again),
		cmocka_unit_test(test_colours_only_where_asked_for),
		cmocka_unit_test(test_numbers_for_people),
	};

	return cmocka_run_group_tests(tests, set_utc, NULL);
}
