/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/macros.h"
#include "sources/trace_setup.h"

static void cgroups_are_told_where_perf_is_not_of_v1(unused void **state)
{
	assert_true(trace_setup_has_cgroups("0::/user.slice\n"));
	assert_true(trace_setup_has_cgroups("9:name=systemd:/\n4:cpu,cpuacct:/a\n0::/\n"));
	assert_true(trace_setup_has_cgroups("0::/perf_event\n"));
	assert_true(trace_setup_has_cgroups("4:memory:/a,perf_event:/b\n0::/"));
	assert_true(trace_setup_has_cgroups("4:perf_events:/\n"));
	assert_true(trace_setup_has_cgroups(""));
	assert_false(trace_setup_has_cgroups("4:perf_event:/\n0::/\n"));
	assert_false(trace_setup_has_cgroups("9:cpu:/\n4:net_cls,perf_event:/\n"));
	assert_false(trace_setup_has_cgroups("4:perf_event,net_cls:/"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cgroups_are_told_where_perf_is_not_of_v1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
