/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/json_value.h"

/* Whatever a record holds, nothing is written beyond the bound. */
static void test_bounds_hold(unused void **state)
{
	uint64_t seed = 20261124;

	for (int i = 0; i < 2000; i++) {
		struct flow_record record = records_make_random(&seed);

		for (size_t j = 0; j < FIELD_COUNT; j++) {
			const struct field *field = &field_table[j];
			size_t bound = json_value_bound(field, &record);
			char *at;

			if (!json_value_is_written(field, &record))
				continue;
			at = malloc(bound);
			assert_non_null(at);
			assert_in_range(json_value_add(at, field, &record) - at, 1, bound);
			free(at);
		}
	}
}

static void test_strings(unused void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", "\"\""},
		{"curl", "\"curl\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\x01\n", "\"\\u0001\\n\""},
		{"\xff\xc3\xa9", "\"?\xc3\xa9\""},
	};
	char out[64];

	for (size_t i = 0; i < array_length(cases); i++) {
		struct text text = text_from(cases[i].text);
		char *end = json_value_add_string(out, text);

		assert_in_range(end - out, 2, json_value_bound_string(text));
		*end = '\0';
		assert_string_equal(out, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_hold),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
