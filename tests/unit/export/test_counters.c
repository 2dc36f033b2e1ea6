/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/counters.h"

static void test_all_drops_are_in_the_sum(unused void **state)
{
	const struct exporter_counters counters = {.sent_records = 1000,
						   .dropped_queue_full = 1,
						   .dropped_unreachable = 2,
						   .dropped_too_large = 4,
						   .dropped_refused = 8,
						   .dropped_no_memory = 16,
						   .dropped_spool = 32};

	assert_int_equal(exporter_counters_sum_dropped(&counters), 63);
}

static void test_waiting_is_the_rest(unused void **state)
{
	struct exporter_counters counters = {
		.accepted_records = 100, .sent_records = 50, .dropped_refused = 7};

	exporter_counters_update_waiting(&counters);
	assert_int_equal(counters.waiting_records, 43);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_drops_are_in_the_sum),
		cmocka_unit_test(test_waiting_is_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
