/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/retired_flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

static void test_oldest_is_forgotten(unused void **state)
{
	struct retired_flows retired;

	retired_flows_init(&retired, 2);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(
			retired_flows_add(&retired, &(struct retired_flow){.hash = i,
									   .conntrack_id = i,
									   .retired_ns = i * 10}),
			0);
	assert_null(retired_flows_find(&retired, 1, 1));
	assert_non_null(retired_flows_find(&retired, 2, 2));
	assert_non_null(retired_flows_find(&retired, 3, 3));
	assert_null(retired_flows_find(&retired, 3, 4));
	assert_int_equal(retired.forgotten, 1);
	assert_true(retired_flows_may_have_forgotten(&retired, 0));
	assert_true(retired_flows_may_have_forgotten(&retired, 10));
	assert_false(retired_flows_may_have_forgotten(&retired, 11));
	retired_flows_fini(&retired);
}

static void test_nothing_forgotten_at_first(unused void **state)
{
	struct retired_flows retired;

	retired_flows_init(&retired, 2);
	assert_false(retired_flows_may_have_forgotten(&retired, 0));
	retired_flows_fini(&retired);
}

/* Against a plain array that holds the same, oldest first. */
static void test_random_against_model(unused void **state)
{
	enum { BOUND = 50, STEPS = 20000, NAMES = 120 };
	struct retired_flows retired;
	uint32_t model[BOUND + 1], count = 0;
	unsigned seed = 7;

	retired_flows_init(&retired, BOUND);
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t name = (uint32_t)rand_r(&seed) % NAMES;
		uint32_t at = 0;
		struct retired_flow *found = retired_flows_find(&retired, name, name);

		while (at < count && model[at] != name)
			at++;
		assert_int_equal(found != NULL, at < count);
		if (at < count) {
			assert_int_equal(found->flow_id, name);
			for (uint32_t i = at; i + 1 < count; i++)
				model[i] = model[i + 1];
			count--;
		}
		if (rand_r(&seed) % 3 == 0) {
			if (found)
				retired_flows_remove(&retired, found);
			continue;
		}
		assert_int_equal(
			retired_flows_add(&retired, &(struct retired_flow){.hash = name,
									   .conntrack_id = name,
									   .flow_id = name}),
			0);
		model[count++] = name;
		if (count > BOUND) {
			for (uint32_t i = 0; i + 1 < count; i++)
				model[i] = model[i + 1];
			count--;
		}
	}
	retired_flows_fini(&retired);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oldest_is_forgotten),
		cmocka_unit_test(test_nothing_forgotten_at_first),
		cmocka_unit_test(test_random_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
