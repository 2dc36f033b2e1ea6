/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/wall_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

#define S      NS_PER_SEC
#define DAY    (86400 * S)
#define OFFSET (1795436375 * S)

static void test_clock_that_is_never_set(unused void **state)
{
	struct wall_steps steps = {.count = 0};

	assert_int_equal(wall_steps_place(&steps, OFFSET, 5 * S), 0);
	wall_steps_observe(&steps, 100 * S, OFFSET);
	/* An hour of slewing is no step. */
	wall_steps_observe(&steps, 3700 * S, OFFSET + 1800 * NS_PER_MS);
	assert_int_equal(steps.count, 1);
	wall_steps_observe(&steps, 3701 * S, OFFSET);
	assert_int_equal(steps.count, 2);
	steps.count = 0;
	wall_steps_observe(&steps, 100 * S, OFFSET);
	assert_int_equal(wall_steps_place(&steps, OFFSET + 150 * S, 200 * S), 150 * S);
	assert_int_equal(wall_steps_place(&steps, OFFSET + 50 * S, 200 * S), 50 * S);
	assert_int_equal(wall_steps_place(&steps, OFFSET - 50 * S, 200 * S), 1);
	assert_int_equal(wall_steps_place(&steps, OFFSET + 201 * S, 200 * S), 200 * S);
	assert_int_equal(wall_steps_place(&steps, UINT64_MAX, 200 * S), 200 * S);
}

/* A day one way, noticed 3 s later, and back: what was stamped before, between and after. */
static void test_a_day(unused void **state)
{
	for (int sign = -1; sign <= 1; sign += 2) {
		int64_t other = (int64_t)OFFSET + sign * (int64_t)DAY;
		struct wall_steps steps = {.count = 0};

		wall_steps_observe(&steps, 100 * S, OFFSET);
		wall_steps_observe(&steps, 197 * S, OFFSET);
		wall_steps_observe(&steps, 200 * S, other);
		assert_int_equal(wall_steps_place(&steps, OFFSET + 150 * S, 250 * S), 150 * S);
		assert_int_equal(wall_steps_place(&steps, OFFSET + 50 * S, 250 * S), 50 * S);
		assert_int_equal(wall_steps_place(&steps, (uint64_t)other + 199 * S, 250 * S),
				 199 * S);
		assert_int_equal(wall_steps_place(&steps, (uint64_t)other + 240 * S, 250 * S),
				 240 * S);
		wall_steps_observe(&steps, 300 * S, OFFSET);
		assert_int_equal(wall_steps_place(&steps, (uint64_t)other + 240 * S, 350 * S),
				 240 * S);
		assert_int_equal(wall_steps_place(&steps, OFFSET + 150 * S, 350 * S), 150 * S);
		assert_int_equal(wall_steps_place(&steps, OFFSET + 340 * S, 350 * S), 340 * S);
		/* No clock ever said so. */
		assert_int_equal(wall_steps_place(&steps, OFFSET + 2 * DAY, 350 * S), 0);
	}
}

/* A minute back: the wall clock said some times twice. */
static void test_what_was_twice(unused void **state)
{
	struct wall_steps steps = {.count = 0};

	wall_steps_observe(&steps, 100 * S, OFFSET);
	wall_steps_observe(&steps, 200 * S, OFFSET);
	wall_steps_observe(&steps, 200 * S, OFFSET - 60 * S);
	assert_int_equal(wall_steps_place(&steps, OFFSET + 180 * S, 300 * S), 0);
	assert_int_equal(wall_steps_place(&steps, OFFSET + 130 * S, 300 * S), 130 * S);
	assert_int_equal(wall_steps_place(&steps, OFFSET + 220 * S, 300 * S), 280 * S);
}

static void test_oldest_are_forgotten(unused void **state)
{
	struct wall_steps steps = {.count = 0};

	for (unsigned i = 0; i < 20; i++)
		wall_steps_observe(&steps, (100 + i) * S, (int64_t)(OFFSET + i * DAY));
	assert_int_equal(steps.count, WALL_STEPS_MAX);
	assert_int_equal(wall_steps_place(&steps, OFFSET + 19 * DAY + 130 * S, 140 * S), 130 * S);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_that_is_never_set),
		cmocka_unit_test(test_a_day),
		cmocka_unit_test(test_what_was_twice),
		cmocka_unit_test(test_oldest_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
