/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "attribution/newborns.h"
#include "base/macros.h"

enum { MOST = 8, PIDS = 20, ROUNDS = 20000 };

static pid_t pid_at(struct newborns *newborns, size_t place)
{
	list_for_each (node, newborns_get_all(newborns))
		if (place-- == 0)
			return container_of(node, struct newborn, node)->pid;
	return 0;
}

static void test_last_comes_first(unused void **state)
{
	struct newborns *newborns;
	struct newborn *found;

	assert_int_equal(newborns_new(MOST, &newborns), 0);
	for (pid_t pid = 1; pid <= 3; pid++)
		assert_int_equal(newborns_add(newborns, &(struct newborn){.pid = pid}),
				 NEWBORNS_ADDED);
	/* The number was given out again. */
	assert_int_equal(newborns_add(newborns, &(struct newborn){.pid = 1, .began_ns = 9}),
			 NEWBORNS_ADDED);
	assert_int_equal(pid_at(newborns, 0), 1);
	assert_int_equal(pid_at(newborns, 1), 3);
	assert_int_equal(pid_at(newborns, 2), 2);
	assert_int_equal(pid_at(newborns, 3), 0);
	found = newborns_find(newborns, 1);
	assert_non_null(found);
	assert_true(found->began_ns == 9);
	newborns_remove(newborns, found);
	assert_null(newborns_find(newborns, 1));
	newborns_clear(newborns);
	assert_int_equal(pid_at(newborns, 0), 0);
	newborns_free(newborns);
}

/* Against a plain array, the last one first. */
static void test_random_against_model(unused void **state)
{
	struct newborns *newborns;
	pid_t model[MOST + 1] = {0};
	size_t count = 0;
	unsigned seed = 7;

	assert_int_equal(newborns_new(MOST, &newborns), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		pid_t pid = 1 + rand_r(&seed) % PIDS;
		struct newborn *found = newborns_find(newborns, pid);
		size_t at = 0;

		while (at < count && model[at] != pid)
			at++;
		assert_int_equal(found != NULL, at < count);
		if (found) {
			for (count--; at < count; at++)
				model[at] = model[at + 1];
			if (rand_r(&seed) % 2) {
				newborns_remove(newborns, found);
				continue;
			}
		}
		assert_int_equal(newborns_add(newborns, &(struct newborn){.pid = pid}),
				 count == MOST ? NEWBORNS_DROPPED : NEWBORNS_ADDED);
		for (size_t i = count < MOST ? count++ : MOST - 1; i > 0; i--)
			model[i] = model[i - 1];
		model[0] = pid;
		for (size_t i = 0; i < count; i++)
			assert_int_equal(pid_at(newborns, i), model[i]);
		assert_int_equal(pid_at(newborns, count), 0);
	}
	newborns_free(newborns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_comes_first),
		cmocka_unit_test(test_random_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
