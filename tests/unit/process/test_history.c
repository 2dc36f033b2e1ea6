/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

#define INTERVAL    NS_PER_SEC
#define AT(seconds) ((uint64_t)((1000 + (double)(seconds)) * 1e9))

static struct history_entry make_entry(uint64_t taken_ns, uint64_t cpu_ms, uint32_t memory_kib)
{
	return (struct history_entry){.taken_ns = taken_ns,
				      .cpu_ns = cpu_ms * NS_PER_MS,
				      .iowait_ns = cpu_ms * NS_PER_MS / 2,
				      .minor_faults = (uint32_t)cpu_ms * 3,
				      .major_faults = (uint32_t)cpu_ms,
				      .memory_kib = memory_kib,
				      .peak_kib = memory_kib};
}

static void add(struct history *history, uint64_t taken_ns, uint64_t cpu_ms, uint32_t memory_kib)
{
	struct history_entry entry = make_entry(taken_ns, cpu_ms, memory_kib);

	history_add(history, &entry, INTERVAL);
}

static struct history_entry find(const struct history *history, uint64_t when_ns)
{
	struct history_entry entry;

	assert_true(history_find(history, when_ns, &entry));
	return entry;
}

static void empty_history_knows_nothing(unused void **state)
{
	struct history history;
	struct history_entry entry;

	history_init(&history);
	assert_false(history_find(&history, AT(1), &entry));
	assert_null(history_find_after(&history, 0));
	assert_int_equal(history_find_peak(&history, 0, UINT64_MAX), 0);
	history_fini(&history);
}

static void usage_rises_evenly_between_samples(unused void **state)
{
	struct history history;
	struct history_entry entry;

	history_init(&history);
	add(&history, AT(1), 100, 40);
	add(&history, AT(2), 300, 80);
	entry = find(&history, AT(1.25));
	assert_int_equal(entry.taken_ns, AT(1.25));
	assert_int_equal(entry.cpu_ns, 150 * NS_PER_MS);
	assert_int_equal(entry.iowait_ns, 75 * NS_PER_MS);
	assert_int_equal(entry.minor_faults, 450);
	assert_int_equal(entry.major_faults, 150);
	assert_int_equal(entry.memory_kib, 40);
	assert_int_equal(find(&history, AT(1)).cpu_ns, 100 * NS_PER_MS);
	assert_int_equal(find(&history, AT(2)).memory_kib, 80);
	/* Nothing is made up beyond what was sampled. */
	assert_int_equal(find(&history, AT(0)).taken_ns, AT(1));
	assert_int_equal(find(&history, AT(9)).taken_ns, AT(2));
	assert_int_equal(history_find_after(&history, AT(1) - 1)->taken_ns, AT(1));
	assert_int_equal(history_find_after(&history, AT(1))->taken_ns, AT(2));
	assert_null(history_find_after(&history, AT(2)));
	history_fini(&history);
}

static void faults_beyond_32_bits_are_differences(unused void **state)
{
	struct history_entry first = {.taken_ns = AT(1), .minor_faults = UINT32_MAX - 9};
	struct history_entry second = {.taken_ns = AT(2), .minor_faults = 10};
	struct history history;

	history_init(&history);
	history_add(&history, &first, INTERVAL);
	history_add(&history, &second, INTERVAL);
	assert_int_equal(find(&history, AT(1.5)).minor_faults, 0);
	history_fini(&history);
}

static void idle_process_takes_no_room(unused void **state)
{
	struct history history;

	history_init(&history);
	for (int i = 0; i < 100000; i++)
		add(&history, AT(i), 70, 40);
	assert_int_equal(history.count, 2);
	add(&history, AT(100000), 90, 40);
	/* What it did it did in the last second, and not all day long. */
	assert_int_equal(find(&history, AT(99999)).cpu_ns, 70 * NS_PER_MS);
	assert_int_equal(find(&history, AT(99999.5)).cpu_ns, 80 * NS_PER_MS);
	history_fini(&history);
}

static void time_never_goes_back(unused void **state)
{
	struct history history;

	history_init(&history);
	add(&history, AT(5), 10, 40);
	add(&history, AT(4), 20, 30);
	assert_int_equal(history.count, 1);
	assert_int_equal(find(&history, AT(5)).cpu_ns, 20 * NS_PER_MS);
	assert_int_equal(history_find_peak(&history, AT(5), AT(5)), 40);
	history_fini(&history);
}

static void stopped_machine_is_a_gap(unused void **state)
{
	struct history history;

	history_init(&history);
	add(&history, AT(1), 10, 40);
	add(&history, AT(2), 20, 40);
	add(&history, AT(90000), 30, 40);
	assert_int_equal(find(&history, AT(1.5)).cpu_ns, 15 * NS_PER_MS);
	assert_int_equal(find(&history, AT(2)).cpu_ns, 20 * NS_PER_MS);
	assert_in_range(find(&history, AT(45000)).cpu_ns, 24 * NS_PER_MS, 26 * NS_PER_MS);
	history_fini(&history);
}

static void peak_is_that_of_the_span(unused void **state)
{
	static const uint32_t memory[] = {10, 50, 20, 90, 5};
	struct history history;

	history_init(&history);
	for (size_t i = 0; i < array_length(memory); i++)
		add(&history, AT(i), i, memory[i]);
	assert_int_equal(history_find_peak(&history, 0, UINT64_MAX), 90);
	assert_int_equal(history_find_peak(&history, AT(0), AT(2.5)), 50);
	assert_int_equal(history_find_peak(&history, AT(2), AT(2)), 20);
	assert_int_equal(history_find_peak(&history, AT(1.5), AT(1.9)), 0);
	assert_int_equal(history_find_peak(&history, AT(3.5), AT(9)), 5);
	history_fini(&history);
}

enum { STEPS = 20000, SEEDS = 6, BUSY_SECONDS = 120 };

struct model {
	struct history_entry entries[STEPS];
	size_t count;
};

static uint64_t find_true_cpu(const struct model *model, uint64_t when_ns)
{
	size_t low = 0, high = model->count - 1;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (model->entries[middle].taken_ns <= when_ns)
			low = middle;
		else
			high = middle;
	}
	return model->entries[low].cpu_ns;
}

/* Whatever was dropped, the answer for a time lies between what was true an interval (an eighth of
 * the age, where that is more) before it and after it; faster sampling than the promise has room for may
 * double that. */
static void check_error(const struct history *history, const struct model *model, uint64_t now_ns)
{
	uint64_t first_ns = model->entries[0].taken_ns;
	uint64_t age_ns = (uint64_t)rand() % (now_ns - first_ns + 1) >> (rand() % 16);
	uint64_t when_ns = now_ns - age_ns;
	uint64_t slack_ns = 2 * (age_ns / 8 > INTERVAL ? age_ns / 8 : INTERVAL);
	uint64_t from_ns = when_ns > first_ns + slack_ns ? when_ns - slack_ns : first_ns;
	uint64_t cpu_ns = find(history, when_ns).cpu_ns;

	assert_true(cpu_ns >= find_true_cpu(model, from_ns));
	if (when_ns + slack_ns < now_ns)
		assert_true(cpu_ns <= find_true_cpu(model, when_ns + slack_ns));
}

static void check_order(const struct history *history)
{
	assert_in_range(history->count, 1, 256);
	for (uint32_t i = 1; i < history->count; i++) {
		assert_true(history->entries[i - 1].taken_ns < history->entries[i].taken_ns);
		assert_true(history->entries[i - 1].cpu_ns <= history->entries[i].cpu_ns);
	}
}

static void old_samples_are_thinned_within_bounds(unused void **state)
{
	struct model *model = calloc(1, sizeof(*model));

	for (unsigned seed = 0; seed < SEEDS; seed++) {
		/* From every second up to every few milliseconds. */
		uint64_t step_ns = 2 * INTERVAL >> seed;
		uint64_t now_ns = AT(0), cpu_ms = 0;
		uint32_t largest = 0;
		struct history history;

		srand(seed);
		history_init(&history);
		for (model->count = 0; model->count < STEPS;) {
			uint32_t memory = (uint32_t)rand() % 100000;

			now_ns += 1 + (uint64_t)rand() % step_ns;
			cpu_ms += (uint64_t)rand() % 3;
			largest = memory > largest ? memory : largest;
			model->entries[model->count++] = make_entry(now_ns, cpu_ms, memory);
			add(&history, now_ns, cpu_ms, memory);
			assert_int_equal(history_find_peak(&history, 0, now_ns), largest);
			assert_int_equal(find(&history, now_ns).cpu_ns, cpu_ms * NS_PER_MS);
			check_error(&history, model, now_ns);
			if (model->count % 100 == 0)
				check_order(&history);
		}
		history_fini(&history);
	}
	free(model);
}

/* A sample a second, and nothing else: the last two minutes are there whole. */
static void two_minutes_are_kept_whole(unused void **state)
{
	struct history history;

	history_init(&history);
	for (uint64_t i = 0; i < 5000; i++) {
		add(&history, AT(i), i * i, 40);
		for (uint64_t age = 0; i >= BUSY_SECONDS && age < BUSY_SECONDS; age += 7)
			assert_int_equal(find(&history, AT(i - age)).cpu_ns,
					 (i - age) * (i - age) * NS_PER_MS);
	}
	history_fini(&history);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_history_knows_nothing),
		cmocka_unit_test(usage_rises_evenly_between_samples),
		cmocka_unit_test(faults_beyond_32_bits_are_differences),
		cmocka_unit_test(idle_process_takes_no_room),
		cmocka_unit_test(time_never_goes_back),
		cmocka_unit_test(stopped_machine_is_a_gap),
		cmocka_unit_test(peak_is_that_of_the_span),
		cmocka_unit_test(old_samples_are_thinned_within_bounds),
		cmocka_unit_test(two_minutes_are_kept_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
