/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

static void test_every_ten_minutes(unused void **state)
{
	struct summary summary;
	char text[256];

	summary_init(&summary, 5 * NS_PER_SEC);
	assert_false(summary_is_due(&summary, 605 * NS_PER_SEC - 1));
	assert_true(summary_is_due(&summary, 605 * NS_PER_SEC));
	summary_tell(&summary,
		     &(struct summary_values){.flows = 10,
					      .records = 20,
					      .events = 30,
					      .lost = 4,
					      .cpu_ns = 50 * NS_PER_MS,
					      .open_flows = 6,
					      .memory_bytes = 7168},
		     608 * NS_PER_SEC, text, sizeof(text));
	assert_string_equal(text,
			    "in ten minutes: 10 flows, 20 records, 30 events, 4 losses (procflow "
			    "status names them), 50 ms of CPU; now 6 flows open, 7 KiB of memory");
	assert_false(summary_is_due(&summary, 1208 * NS_PER_SEC - 1));
	assert_true(summary_is_due(&summary, 1208 * NS_PER_SEC));
}

/* A reload took away an exporter, and what it had lost with it. */
static void test_only_what_rose(unused void **state)
{
	struct summary_values values = {.flows = 10, .lost = 1000};
	struct summary summary;
	char text[256];

	summary_init(&summary, 0);
	summary_tell(&summary, &values, 0, text, sizeof(text));
	values = (struct summary_values){.flows = 13, .lost = 1};
	summary_tell(&summary, &values, 0, text, sizeof(text));
	assert_string_equal(text,
			    "in ten minutes: 3 flows, 0 records, 0 events, 0 losses (procflow "
			    "status names them), 0 ms of CPU; now 0 flows open, 0 KiB of memory");
	values.lost = 3;
	summary_tell(&summary, &values, 0, text, sizeof(text));
	assert_string_equal(text,
			    "in ten minutes: 0 flows, 0 records, 0 events, 2 losses (procflow "
			    "status names them), 0 ms of CPU; now 0 flows open, 0 KiB of memory");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_ten_minutes),
		cmocka_unit_test(test_only_what_rose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
