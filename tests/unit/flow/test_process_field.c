/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "../export/unit.h"

#include <stdio.h>

#include "flow/process_field.h"

static const struct field *find_source(const char *name)
{
	char whole[64];

	snprintf(whole, sizeof(whole), "SRC_%s", name);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (strcmp(field_table[i].name, whole) == 0 ||
		    strcmp(field_table[i].name, name) == 0)
			return &field_table[i];
	return NULL;
}

/* What has a number is the same element as in a record of a flow: number, width and meaning of a
 * collector's do not depend on the template. */
static void test_numbers_are_those_of_flows(unused void **state)
{
	for (size_t i = 0; i < PROCESS_FIELD_COUNT; i++) {
		const struct field *field = &process_field_table[i];
		const struct field *of_flows = find_source(field->name);

		if (strcmp(field->name, "INTERVAL_START_MILLISECONDS") == 0)
			of_flows = find_source("FLOW_START_MILLISECONDS");
		if (strcmp(field->name, "PROC_END_MILLISECONDS") == 0)
			of_flows = find_source("FLOW_END_MILLISECONDS");
		if (!of_flows) {
			assert_int_equal(field->ipfix_id, 0);
			assert_int_equal(field->v9_id, 0);
			continue;
		}
		assert_int_equal(field->ipfix_id, of_flows->ipfix_id);
		assert_int_equal(field->v9_id, of_flows->v9_id);
		assert_int_equal(field->pen, of_flows->pen);
		assert_int_equal(field->v9_width, of_flows->v9_width);
		assert_int_equal(field->ipfix_width, of_flows->ipfix_width);
		assert_int_equal(field->kind, of_flows->kind);
		assert_int_equal(field->size, of_flows->size);
	}
}

static void test_rows(unused void **state)
{
	const uint64_t parts = ~(RECORD_PART(RECORD_SRC) - 1) & ~RECORD_PROCESS;

	for (size_t i = 0; i < PROCESS_FIELD_COUNT; i++) {
		const struct field *field = &process_field_table[i];

		assert_int_equal(field->parts & ~parts, 0);
		assert_true(field->sets & FIELD_SET_JSON);
		assert_true(field->offset + field->size <= sizeof(struct flow_record));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(process_field_table[j].name, field->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_those_of_flows),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
