/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "status/ranking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

static int compare_falling(const void *a, const void *b)
{
	const uint64_t *first = a, *second = b;

	return *first < *second ? 1 : *first > *second ? -1 : 0;
}

/* Against sorting all of them. */
static void agrees_with_a_model(unused void **state)
{
	srand(11);
	for (int round = 0; round < 500; round++) {
		size_t count = (size_t)rand() % 300, limit = (size_t)rand() % 100;
		struct ranking ranking;
		uint64_t keys[300];

		ranking_init(&ranking, limit);
		for (size_t i = 0; i < count; i++) {
			struct ranking_item item = {.key = (uint64_t)rand() % 50, .number = i};

			keys[i] = item.key;
			assert_int_equal(ranking_add(&ranking, &item), 0);
		}
		ranking_finish(&ranking);
		qsort(keys, count, sizeof(keys[0]), compare_falling);
		assert_int_equal(ranking.count, count < limit ? count : limit);
		for (size_t i = 0; i < ranking.count; i++)
			assert_int_equal(ranking.items[i].key, keys[i]);
		for (size_t i = 1; i < ranking.count; i++)
			assert_true(ranking.items[i].key < ranking.items[i - 1].key ||
				    ranking.items[i].number > ranking.items[i - 1].number);
		ranking_fini(&ranking);
	}
}

static void memory_is_bounded(unused void **state)
{
	struct ranking ranking;

	ranking_init(&ranking, 100);
	for (uint64_t i = 0; i < 100000; i++) {
		struct ranking_item item = {.key = i};

		assert_int_equal(ranking_add(&ranking, &item), 0);
	}
	assert_int_equal(ranking.room, 100);
	ranking_finish(&ranking);
	assert_int_equal(ranking.items[0].key, 99999);
	assert_int_equal(ranking.items[99].key, 99900);
	ranking_fini(&ranking);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_model),
		cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
