/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/elastic_type.h"

static void check(enum field_index field, const char *name, const char *format)
{
	struct elastic_type type = elastic_type_of(&field_table[field]);

	assert_string_equal(type.name, name);
	if (format)
		assert_string_equal(type.format, format);
	else
		assert_null(type.format);
}

static void test_types(unused void **state)
{
	check(FIELD_IPV4_SRC_ADDR, "ip", NULL);
	check(FIELD_POST_NAT_DST_IPV6_ADDR, "ip", NULL);
	check(FIELD_L4_SRC_PORT, "integer", NULL); /* up to 65535: a short is signed */
	check(FIELD_IN_BYTES, "long", NULL);
	check(FIELD_SRC_PROC_PID, "long", NULL);
	check(FIELD_FIRST_SWITCHED, "date", "epoch_second");
	check(FIELD_FLOW_END_MILLISECONDS, "date", "epoch_millis");
	check(FIELD_DST_PROC_START_MILLISECONDS, "date", "epoch_millis");
	check(FIELD_SRC_PROC_NAME, "keyword", NULL);
	check(FIELD_DST_PROC_ATTRIBUTION, "keyword", NULL);
	check(FIELD_IN_SRC_MAC, "keyword", NULL);
	check(FIELD_CLIENT_NW_LATENCY_MS, "float", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
