/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/macros.h"
#include "sources/trace_ports.h"

static void test_each_goes_at_its_time(unused void **state)
{
	struct trace_ports list = {0};

	assert_int_equal(trace_ports_add(&list, 53, 100), 0);
	assert_int_equal(trace_ports_add(&list, 80, 200), 0);
	assert_int_equal(trace_ports_add(&list, 443, UINT64_MAX), 0);
	assert_int_equal(trace_ports_add(&list, 53, 900), -EEXIST);
	assert_false(trace_ports_expire(&list, 99));
	assert_true(trace_ports_expire(&list, 100));
	assert_int_equal(list.count, 2);
	assert_true(list.ports[0] != 53 && list.ports[1] != 53);
	assert_true(trace_ports_expire(&list, 1000));
	assert_int_equal(list.count, 1);
	assert_int_equal(list.ports[0], 443);
}

static void test_it_is_bounded(unused void **state)
{
	struct trace_ports list = {0};

	for (uint16_t i = 0; i < TRACE_PORTS_MAX; i++)
		assert_int_equal(trace_ports_add(&list, i, 100), 0);
	assert_int_equal(trace_ports_add(&list, TRACE_PORTS_MAX, 100), -ENOSPC);
	trace_ports_remove_last(&list);
	assert_int_equal(trace_ports_add(&list, TRACE_PORTS_MAX, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_goes_at_its_time),
		cmocka_unit_test(test_it_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
