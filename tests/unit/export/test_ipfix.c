/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/ipfix.h"

/* RFC 7011 3.1. */
static void test_header(unused void **state)
{
	const struct ipfix_header header = {.length = 0x0102,
					    .export_seconds = 0x03040506,
					    .sequence = 0x0708090a,
					    .domain = 0x0b0c0d0e};
	uint8_t bytes[IPFIX_HEADER_BYTES];

	ipfix_encode_header(&header, bytes);
	assert_memory_equal(bytes,
			    "\x00\x0a\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e",
			    sizeof(bytes));
}

/* RFC 7011 3.2: the enterprise bit, and the number behind the length. */
static void test_template(unused void **state)
{
	const struct template template = {
		.id = 511,
		.field_count = 2,
		.fields = {{.id = 8, .width = 4}, {.id = 169, .width = 65535, .pen = 35632}}};
	uint8_t bytes[64];

	assert_int_equal(ipfix_encode_template(&template, bytes), 16);
	assert_true(ipfix_bound_template(&template) >= 16);
	assert_memory_equal(bytes,
			    "\x01\xff\x00\x02\x00\x08\x00\x04\x80\xa9\xff\xff\x00\x00\x8b\x30", 16);
}

/* Two sets of templates around data: they move together, and the length is theirs. */
static void test_keep_templates(unused void **state)
{
	uint8_t message[] = {0, 10, 0, 44, 1, 1, 1, 1, 2, 2, 2, 2,
			     3, 3,  3, 3,  0, 3, 0, 8, 9, 9, 9, 9, /* options templates */
			     1, 0,  0, 12, 7, 7, 7, 7, 7, 7, 7, 7, /* data */
			     0, 2,  0, 8,  8, 8, 8, 8};		   /* templates */

	ipfix_set_sequence(message, 0x01020304);
	assert_int_equal(ipfix_keep_templates(message, sizeof(message)), 32);
	assert_memory_equal(message,
			    "\x00\x0a\x00\x20\1\1\1\1\1\2\3\4\3\3\3\3"
			    "\0\3\0\x08\x09\x09\x09\x09\0\2\0\x08\x08\x08\x08\x08",
			    32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_templates),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
