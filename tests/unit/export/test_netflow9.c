/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/netflow9.h"

/* RFC 3954 5.1. */
static void test_header(unused void **state)
{
	const struct netflow9_header header = {.count = 0x0102,
					       .uptime_ms = 0x03040506,
					       .unix_seconds = 0x0708090a,
					       .sequence = 0x0b0c0d0e,
					       .source_id = 0x0f101112};
	uint8_t bytes[NETFLOW9_HEADER_BYTES];

	netflow9_encode_header(&header, bytes);
	assert_memory_equal(bytes,
			    "\x00\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"
			    "\x0f\x10\x11\x12",
			    sizeof(bytes));
}

/* RFC 3954 5.2: no enterprise number, fixed lengths only. */
static void test_template(unused void **state)
{
	const struct template template = {
		.id = 256,
		.field_count = 2,
		.fields = {{.id = 57640, .width = 4}, {.id = 57641, .width = 16}}};
	uint8_t bytes[64];

	assert_int_equal(netflow9_encode_template(&template, bytes), 12);
	assert_int_equal(netflow9_bound_template(&template), 12);
	assert_memory_equal(bytes, "\x01\x00\x00\x02\xe1\x28\x00\x04\xe1\x29\x00\x10", 12);
}

static void test_no_template_has_variable_lengths(unused void **state)
{
	const struct template_options options = {.format = TEMPLATE_NETFLOW9,
						 .set = FIELD_SET_PROCFLOW | FIELD_SET_STANDARD,
						 .biflow = CONFIG_BIFLOW_RFC5103};
	struct template template;

	template_init(&template, &options, ~RECORD_PROCESS, 256);
	for (size_t i = 0; i < template.field_count; i++) {
		assert_true(template.fields[i].width <= 32);
		assert_int_equal(template.fields[i].pen, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_no_template_has_variable_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
