/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Random taking and giving back; each object carries a pattern of its own, so that two that overlap
 * show. */

#include <setjmp.h>
#include <stdarg.h>
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
		cmocka_unit_test(test_usable_after_fini),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
