/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <string.h>

#include "export/counters.h"

static uint64_t *counter_at(struct exporter_counters *counters, size_t row)
{
	return (uint64_t *)(void *)((char *)counters + exporter_counter_table[row].offset);
}

/* Whoever adds a drop and forgets the sum finds out here. */
static void test_all_drops_are_in_the_sum(unused void **state)
{
	struct exporter_counters counters = {0};
	uint64_t sum = 0;

	for (size_t i = 0; i < exporter_counter_count; i++) {
		*counter_at(&counters, i) = 1ull << i;
		if (strncmp(exporter_counter_table[i].name, "dropped_", 8) == 0)
			sum += 1ull << i;
	}
	assert_true(sum > 0);
	assert_int_equal(exporter_counters_sum_dropped(&counters), sum);
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
