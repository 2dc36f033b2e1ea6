/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "attribution/lost_spans.h"
#include "base/macros.h"

enum { END = 4096 };

static bool model_touch(const bool model[END], uint64_t from, uint64_t until)
{
	for (uint64_t at = from; at <= until; at++)
		if (model[at])
			return true;
	return false;
}

static void check_order(const struct lost_spans *lost)
{
	assert_true(lost->count <= LOST_SPANS_MAX);
	for (size_t i = 0; i < lost->count; i++) {
		assert_true(lost->spans[i].from_ns <= lost->spans[i].until_ns);
		if (i > 0)
			assert_true(lost->spans[i].from_ns > lost->spans[i - 1].until_ns);
	}
}

/* Exact as long as they are few. */
static void test_few_against_model(unused void **state)
{
	srandom(6);
	for (int round = 0; round < 300; round++) {
		struct lost_spans lost = {0};
		bool model[END] = {false};

		for (int i = 0; i < LOST_SPANS_MAX; i++) {
			uint64_t from = (uint64_t)random() % (END - 64);
			uint64_t until = from + (uint64_t)random() % 32;

			lost_spans_add(&lost, from, until);
			memset(model + from, true, until - from + 1);
			check_order(&lost);
			from = (uint64_t)random() % (END - 64);
			until = from + (uint64_t)random() % 64;
			assert_int_equal(lost_spans_touch(&lost, from, until),
					 model_touch(model, from, until));
		}
	}
}

/* With too many, more is lost than was, never less. */
static void test_many_are_never_less(unused void **state)
{
	srandom(7);
	for (int round = 0; round < 100; round++) {
		struct lost_spans lost = {0};
		bool model[END] = {false};

		for (int i = 0; i < 4 * LOST_SPANS_MAX; i++) {
			uint64_t from = (uint64_t)random() % (END - 64);

			lost_spans_add(&lost, from, from + 1);
			memset(model + from, true, 2);
			check_order(&lost);
		}
		for (uint64_t at = 0; at < END; at++)
			if (model[at])
				assert_true(lost_spans_touch(&lost, at, at));
	}
}

static void test_expiry(unused void **state)
{
	struct lost_spans lost = {0};

	lost_spans_add(&lost, 10, 20);
	lost_spans_add(&lost, 30, 40);
	lost_spans_expire(&lost, 20);
	assert_true(lost_spans_touch(&lost, 20, 20));
	lost_spans_expire(&lost, 21);
	assert_false(lost_spans_touch(&lost, 0, 29));
	assert_true(lost_spans_touch(&lost, 0, 30));
	lost_spans_expire(&lost, UINT64_MAX);
	assert_false(lost_spans_touch(&lost, 0, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_against_model),
		cmocka_unit_test(test_many_are_never_less),
		cmocka_unit_test(test_expiry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
