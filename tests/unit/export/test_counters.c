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

static void test_one_goes_on_for_another(unused void **state)
{
	struct exporter_counters counters = {.accepted_records = 3, .retried_records = 1};
	const struct exporter_counters more = {.accepted_records = 4, .retried_records = 5};

	exporter_counters_add(&counters, &more);
	assert_int_equal(counters.accepted_records, 7);
	assert_int_equal(counters.retried_records, 6); /* the last member */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_drops_are_in_the_sum),
		cmocka_unit_test(test_one_goes_on_for_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
