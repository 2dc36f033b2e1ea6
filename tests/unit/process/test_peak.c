/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/peak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SAMPLES = 400, ROUNDS = 200 };

static uint64_t brute_force(const struct peak_entry *samples, size_t count, uint64_t since_ns)
{
	uint64_t most = 0;

	for (size_t i = 0; i < count; i++)
		if (samples[i].taken_ns >= since_ns && samples[i].value > most)
			most = samples[i].value;
	return most;
}

static void empty_has_no_maximum(void **state)
{
	struct peak peak = {0};

	(void)state;
	assert_int_equal(peak_find(&peak, 0), 0);
	peak_add(&peak, 10, 5);
	assert_int_equal(peak_find(&peak, 10), 5);
	assert_int_equal(peak_find(&peak, 11), 0);
}

static void maximum_since_any_time_is_brute_forces(void **state)
{
	static struct peak_entry samples[SAMPLES];

	(void)state;
	for (unsigned seed = 0; seed < ROUNDS; seed++) {
		struct peak peak = {0};
		uint64_t now = 0;

		srand(seed);
		for (size_t i = 0; i < SAMPLES; i++) {
			/* Few values, so that the list never has to leave one out. */
			now += (uint64_t)(rand() % 3);
			samples[i] = (struct peak_entry){now, 1 + (uint64_t)(rand() % 20)};
			peak_add(&peak, now, samples[i].value);
			for (unsigned j = 0; j < 5; j++) {
				uint64_t since = (uint64_t)rand() % (now + 2);
				uint64_t found = peak_find(&peak, since);
				uint64_t right = brute_force(samples, i + 1, since);

				if (found != right)
					print_error("seed %u, sample %zu\n", seed, i);
				assert_int_equal(found, right);
			}
		}
	}
}

static void full_list_errs_little_and_never_upwards(void **state)
{
	static struct peak_entry samples[SAMPLES];
	struct peak peak = {0};
	uint64_t value = 1000000;

	(void)state;
	srand(7);
	for (size_t i = 0; i < SAMPLES; i++) {
		value -= 1 + (uint64_t)(rand() % 1000);
		samples[i] = (struct peak_entry){i, value};
		peak_add(&peak, i, value);
	}
	for (size_t since = 0; since < SAMPLES; since++) {
		uint64_t right = brute_force(samples, SAMPLES, since);
		uint64_t found = peak_find(&peak, since);

		assert_true(found <= right);
		assert_true(right - found <= 2 * (1000000 - value) / (PEAK_ENTRIES - 1));
	}
	assert_int_equal(peak_find(&peak, SAMPLES - 1), value);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_has_no_maximum),
		cmocka_unit_test(maximum_since_any_time_is_brute_forces),
		cmocka_unit_test(full_list_errs_little_and_never_upwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
