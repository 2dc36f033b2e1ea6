/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Random taking and giving back; each object carries a pattern of its own, so that two that overlap
 * show. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "base/macros.h"
#include "base/slab.h"

enum { OBJECTS = 2000, TURNS = 30000 };

static void fill(void *object, size_t size, unsigned number)
{
	memset(object, (int)(number * 7 + 1) & 0xff, size);
	memcpy(object, &number, sizeof(number));
}

static void check(const void *object, size_t size, unsigned number)
{
	const uint8_t *bytes = object;
	unsigned found;

	memcpy(&found, object, sizeof(found));
	assert_int_equal(found, number);
	for (size_t i = sizeof(number); i < size; i++)
		assert_int_equal(bytes[i], (number * 7 + 1) & 0xff);
}

static void run(size_t size, uint64_t seed)
{
	static void *objects[OBJECTS];
	struct slab slab;

	memset(objects, 0, sizeof(objects));
	slab_init(&slab, size);
	for (uint64_t turn = 0; turn < TURNS; turn++) {
		unsigned number = (unsigned)(hash_u64(seed, turn) % OBJECTS);

		if (objects[number]) {
			check(objects[number], size, number);
			slab_give(&slab, objects[number]);
			objects[number] = NULL;
			continue;
		}
		objects[number] = slab_take(&slab);
		assert_non_null(objects[number]);
		assert_int_equal((uintptr_t)objects[number] % 8, 0);
		fill(objects[number], size, number);
	}
	for (unsigned number = 0; number < OBJECTS; number++)
		if (objects[number])
			check(objects[number], size, number);
	slab_fini(&slab);
}

static void test_random_operations(unused void **state)
{
	run(8, 1);
	run(24, 2);
	run(296, 3);
}

static void test_what_was_given_back_is_used_again(unused void **state)
{
	struct slab slab;
	void *first, *second;

	slab_init(&slab, 16);
	first = slab_take(&slab);
	second = slab_take(&slab);
	assert_ptr_not_equal(first, second);
	slab_give(&slab, first);
	slab_give(&slab, second);
	assert_ptr_equal(slab_take(&slab), second);
	assert_ptr_equal(slab_take(&slab), first);
	slab_fini(&slab);
}

struct marked {
	void *links; /* of the free list */
	uint64_t id; /* 0: given back */
};

/* Objects come and go while somebody walks: those that stay are met, and none is met twice. */
static void walk_among_changes(uint64_t seed)
{
	static struct marked *objects[OBJECTS];
	static bool is_met[2 * OBJECTS + TURNS];
	struct slab_cursor cursor = {0};
	uint64_t next_id = 1, first_late, turn = 0;
	struct marked *met;
	struct slab slab;

	memset(objects, 0, sizeof(objects));
	memset(is_met, 0, sizeof(is_met));
	slab_init(&slab, sizeof(struct marked));
	for (size_t i = 0; i < OBJECTS; i += 2) {
		objects[i] = slab_take(&slab);
		objects[i]->id = next_id++;
	}
	first_late = next_id;
	while ((met = slab_next(&slab, &cursor))) {
		size_t i = (size_t)(hash_u64(seed, turn++) % OBJECTS);

		assert_true(met->id < next_id);
		if (met->id) {
			assert_false(is_met[met->id]);
			is_met[met->id] = true;
		}
		if (objects[i] && i % 4 != 0) {
			objects[i]->id = 0;
			slab_give(&slab, objects[i]);
			objects[i] = NULL;
		} else if (!objects[i]) {
			objects[i] = slab_take(&slab);
			objects[i]->id = next_id++;
		}
	}
	for (size_t i = 0; i < OBJECTS; i++)
		if (objects[i] && objects[i]->id < first_late)
			assert_true(is_met[objects[i]->id]);
	assert_null(slab_next(&slab, &cursor));
	slab_fini(&slab);
}

static void test_walk_meets_each_once(unused void **state)
{
	struct slab_cursor cursor = {0};
	struct slab slab;

	slab_init(&slab, 16);
	assert_null(slab_next(&slab, &cursor));
	slab_fini(&slab);
	for (uint64_t seed = 1; seed < 50; seed++)
		walk_among_changes(seed);
}

static void test_usable_after_fini(unused void **state)
{
	struct slab slab;

	slab_init(&slab, 16);
	slab_fini(&slab);
	assert_non_null(slab_take(&slab));
	slab_give(&slab, slab_take(&slab));
	slab_fini(&slab);
	assert_non_null(slab_take(&slab));
	slab_fini(&slab);
	slab_fini(&slab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_what_was_given_back_is_used_again),
		cmocka_unit_test(test_walk_meets_each_once),
		cmocka_unit_test(test_usable_after_fini),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
