/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

#define AT(milliseconds) (1000 * NS_PER_SEC + (milliseconds)*NS_PER_MS)

static const uint64_t delays_ms[WATCH_STAGES] = {10, 40, 160, 640};

static void samples_become_rarer(unused void **state)
{
	struct watch_list list;
	struct watch watch;

	watch_list_init(&list);
	watch_init(&watch);
	assert_int_equal(watch_list_get_due(&list), UINT64_MAX);
	watch_list_add(&list, &watch, AT(0));
	for (size_t i = 0; i < WATCH_STAGES; i++) {
		assert_int_equal(watch_list_get_due(&list), AT(delays_ms[i]));
		assert_null(watch_list_take(&list, AT(delays_ms[i]) - 1));
		assert_ptr_equal(watch_list_take(&list, AT(delays_ms[i])), &watch);
	}
	assert_int_equal(watch_list_get_due(&list), UINT64_MAX);
	assert_null(watch_list_take(&list, UINT64_MAX - 1));
}

static void another_flow_starts_it_anew(unused void **state)
{
	struct watch_list list;
	struct watch watch;

	watch_list_init(&list);
	watch_init(&watch);
	watch_list_add(&list, &watch, AT(0));
	assert_ptr_equal(watch_list_take(&list, AT(10)), &watch);
	watch_list_add(&list, &watch, AT(20));
	assert_int_equal(watch_list_get_due(&list), AT(30));
	watch_list_remove(&watch);
	assert_int_equal(watch_list_get_due(&list), UINT64_MAX);
	watch_list_remove(&watch);
}

enum { WATCHED = 40, STEPS = 20000, SEEDS = 5 };

struct model {
	bool is_watched;
	uint64_t begin_ns;
	size_t stage;
};

static void check_taken(struct watch_list *list, struct watch *watched, struct model *models,
			uint64_t now_ns)
{
	struct watch *taken;

	while ((taken = watch_list_take(list, now_ns))) {
		struct model *model = &models[taken - watched];

		assert_true(model->is_watched);
		assert_true(model->begin_ns + delays_ms[model->stage] * NS_PER_MS <= now_ns);
		model->is_watched = ++model->stage < WATCH_STAGES;
	}
	for (size_t i = 0; i < WATCHED; i++)
		assert_true(!models[i].is_watched ||
			    models[i].begin_ns + delays_ms[models[i].stage] * NS_PER_MS > now_ns);
}

static void list_behaves_like_the_model(unused void **state)
{
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		struct watch watched[WATCHED];
		struct model models[WATCHED] = {0};
		struct watch_list list;
		uint64_t now_ns = AT(0);

		srand(seed);
		watch_list_init(&list);
		for (size_t i = 0; i < WATCHED; i++)
			watch_init(&watched[i]);
		for (size_t step = 0; step < STEPS; step++) {
			size_t i = (size_t)rand() % WATCHED;

			now_ns += (uint64_t)rand() % (uint64_t)(3 * NS_PER_MS);
			check_taken(&list, watched, models, now_ns);
			if (rand() % 8 == 0) {
				watch_list_remove(&watched[i]);
				models[i].is_watched = false;
			} else if (rand() % 16 == 0) {
				watch_list_add(&list, &watched[i], now_ns);
				models[i] = (struct model){true, now_ns, 0};
			}
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_become_rarer),
		cmocka_unit_test(another_flow_starts_it_anew),
		cmocka_unit_test(list_behaves_like_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
