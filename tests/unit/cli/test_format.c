/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

static void counts_have_three_digits(unused void **state)
{
	char room[FORMAT_SIZE];

	assert_string_equal(format_count(0, room), "0");
	assert_string_equal(format_count(999, room), "999");
	assert_string_equal(format_count(1000, room), "1.0k");
	assert_string_equal(format_count(9949, room), "9.9k");
	assert_string_equal(format_count(9950, room), "10k");
	assert_string_equal(format_count(999499, room), "999k");
	assert_string_equal(format_count(999500, room), "1.0M");
	assert_string_equal(format_count(UINT64_MAX, room), "18E");
	assert_string_equal(format_bytes(999, room), "999B");
	assert_string_equal(format_bytes(34000000, room), "34M");
}

static void durations_have_two_units(unused void **state)
{
	char room[FORMAT_SIZE];

	assert_string_equal(format_duration(0, room), "0ms");
	assert_string_equal(format_duration(999 * NS_PER_MS, room), "999ms");
	assert_string_equal(format_duration(3450 * NS_PER_MS, room), "3.4s");
	assert_string_equal(format_duration(60 * NS_PER_SEC, room), "1m00s");
	assert_string_equal(format_duration(7384 * NS_PER_SEC, room), "2h03m");
	assert_string_equal(format_duration(100000 * NS_PER_SEC, room), "1d03h");
}

static void percents_are_rounded(unused void **state)
{
	char room[FORMAT_SIZE];

	assert_string_equal(format_percent(0, room), "0.0%");
	assert_string_equal(format_percent(44, room), "0.4%");
	assert_string_equal(format_percent(996, room), "10%");
	assert_string_equal(format_percent(10000, room), "100%");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_have_three_digits),
		cmocka_unit_test(durations_have_two_units),
		cmocka_unit_test(percents_are_rounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
