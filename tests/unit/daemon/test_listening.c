/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"
#include "listening.h"

static void test_order(unused void **state)
{
	struct listening_port ports[] = {
		{true, false, 53, "/a", NULL},	 {false, true, 80, "/a", NULL},
		{false, false, 443, "/b", NULL}, {false, false, 443, "/a", NULL},
		{false, false, 80, "/a", NULL},	 {false, false, 443, "/b", NULL},
		{false, false, 80, NULL, NULL},	 {false, false, 80, NULL, NULL},
	};
	static const struct listening_port expected[] = {
		{false, false, 80, NULL, NULL},	 {false, false, 80, "/a", NULL},
		{false, false, 443, "/a", NULL}, {false, false, 443, "/b", NULL},
		{false, true, 80, "/a", NULL},	 {true, false, 53, "/a", NULL},
	};

	assert_int_equal(listening_sort(ports, array_length(ports)), array_length(expected));
	for (size_t i = 0; i < array_length(expected); i++) {
		assert_int_equal(ports[i].is_udp, expected[i].is_udp);
		assert_int_equal(ports[i].is_v6, expected[i].is_v6);
		assert_int_equal(ports[i].port, expected[i].port);
		if (expected[i].executable)
			assert_string_equal(ports[i].executable, expected[i].executable);
		else
			assert_null(ports[i].executable);
	}
	assert_int_equal(listening_sort(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
