/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "export/digits.h"

static void test_decimal(unused void **state)
{
	char text[DIGITS_DECIMAL_SIZE + 1];

	*digits_add_decimal(text, 0) = '\0';
	assert_string_equal(text, "0");
	*digits_add_decimal(text, UINT64_MAX) = '\0';
	assert_string_equal(text, "18446744073709551615");
}

static void test_padded_keeps_the_lowest_digits(unused void **state)
{
	char text[8];

	*digits_add_padded(text, 12345, 3) = '\0';
	assert_string_equal(text, "345");
	*digits_add_padded(text, 7, 3) = '\0';
	assert_string_equal(text, "007");
}

static void test_timestamp_edges(unused void **state)
{
	char text[DIGITS_TIMESTAMP_SIZE + 1];

	*digits_add_timestamp(text, 0) = '\0';
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	*digits_add_timestamp(text, 951782400000 + 86399999) = '\0';
	assert_string_equal(text, "2000-02-29T23:59:59.999Z");
	*digits_add_timestamp(text, UINT64_MAX) = '\0';
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

/* Against the C library, over the years a clock may show. */
static void test_timestamp_like_gmtime(unused void **state)
{
	uint64_t seed = 4711;

	for (int i = 0; i < 20000; i++) {
		uint64_t ms = records_random(&seed) % 253402300800000ull;
		time_t seconds = (time_t)(ms / 1000);
		char expected[64], text[DIGITS_TIMESTAMP_SIZE + 1];
		struct tm utc;

		gmtime_r(&seconds, &utc);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &utc);
		snprintf(expected + 19, sizeof(expected) - 19, ".%03uZ", (unsigned)(ms % 1000));
		*digits_add_timestamp(text, ms) = '\0';
		assert_string_equal(text, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decimal),
		cmocka_unit_test(test_padded_keeps_the_lowest_digits),
		cmocka_unit_test(test_timestamp_edges),
		cmocka_unit_test(test_timestamp_like_gmtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
