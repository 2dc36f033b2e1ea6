/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/macros.h"
#include "sources/trace_cpus.h"

static struct trace_cpus cpus;

static void test_lists(unused void **state)
{
	assert_int_equal(trace_cpus_parse("0\n", &cpus), 0);
	assert_int_equal(cpus.count, 1);
	assert_true(cpus.online[0]);
	assert_int_equal(trace_cpus_parse("0-2,5,8191", &cpus), 0);
	assert_int_equal(cpus.count, 5);
	assert_true(cpus.online[2] && cpus.online[5] && cpus.online[8191]);
	assert_false(cpus.online[3] || cpus.online[4]);
	assert_int_equal(trace_cpus_parse("0-1,1-2\n", &cpus), 0);
	assert_int_equal(cpus.count, 3);
}

static void test_nonsense(unused void **state)
{
	static const char *const texts[] = {
		"",    "\n",	",", "0,",   "3-1",  "0-",   "-1",
		"0 1", "0\n\n", "x", "8192", "0-9x", " 0\n", "99999999999999999999"};

	assert_int_equal(trace_cpus_parse("7\n", &cpus), 0);
	for (size_t i = 0; i < array_length(texts); i++)
		assert_int_equal(trace_cpus_parse(texts[i], &cpus), -EINVAL);
	assert_int_equal(cpus.count, 1);
	assert_true(cpus.online[7]);
}

static void test_system_has_one(unused void **state)
{
	assert_int_equal(trace_cpus_read(&cpus), 0);
	assert_true(cpus.count > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_system_has_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
