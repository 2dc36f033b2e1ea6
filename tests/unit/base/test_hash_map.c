/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Random operations on the map and on an array that says what the map must hold. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "base/hash_map.h"
#include "base/macros.h"

enum { KEYS = 600, TURNS = 60000 };

struct entry {
	unsigned key;
	bool is_in, is_seen;
};

struct model {
	struct entry entries[KEYS];
	size_t count;
	/* Few bits that differ make long runs of one home; bits that are set put the homes at the
	 * end of the array, where the runs go round. */
	uint64_t hash_mask, hash_set;
};

static bool match(const void *value, const void *key)
{
	return ((const struct entry *)value)->key == *(const unsigned *)key;
}

static uint64_t hash_of(const struct model *model, unsigned key)
{
	return (hash_u64(3, key) & model->hash_mask) | model->hash_set;
}

static void toggle(struct model *model, struct hash_map *map, unsigned key)
{
	struct entry *entry = &model->entries[key];
	uint64_t hash = hash_of(model, key);

	if (entry->is_in) {
		assert_ptr_equal(hash_map_remove(map, hash, match, &key), entry);
		model->count--;
	} else {
		assert_null(hash_map_remove(map, hash, match, &key));
		assert_int_equal(hash_map_add(map, hash, entry), 0);
		model->count++;
	}
	entry->is_in = !entry->is_in;
}

static void check_all(struct model *model, const struct hash_map *map)
{
	size_t position = 0, seen = 0;
	struct entry *entry;

	for (unsigned key = 0; key < KEYS; key++) {
		entry = hash_map_find(map, hash_of(model, key), match, &key);
		assert_ptr_equal(entry, model->entries[key].is_in ? &model->entries[key] : NULL);
		model->entries[key].is_seen = false;
	}
	while ((entry = hash_map_next(map, &position))) {
		assert_true(entry->is_in);
		assert_false(entry->is_seen);
		entry->is_seen = true;
		seen++;
	}
	assert_int_equal(seen, model->count);
	assert_int_equal(map->used, model->count);
	assert_true(map->used * 4 <= map->size * 3);
}

static void run_against_model(uint64_t seed, uint64_t hash_mask, uint64_t hash_set)
{
	static struct model model;
	struct hash_map map;

	memset(&model, 0, sizeof(model));
	model.hash_mask = hash_mask;
	model.hash_set = hash_set;
	for (unsigned key = 0; key < KEYS; key++)
		model.entries[key].key = key;
	hash_map_init(&map);
	check_all(&model, &map);
	for (uint64_t turn = 0; turn < TURNS; turn++) {
		/* The keys in use grow and shrink, so that all fillings are passed through. */
		unsigned keys = 1 + (unsigned)(turn * 5 / TURNS) * KEYS / 5;

		toggle(&model, &map, (unsigned)(hash_u64(seed, turn) % keys));
		if (turn % 500 == 0)
			check_all(&model, &map);
	}
	check_all(&model, &map);
	hash_map_fini(&map);
	assert_int_equal(map.used, 0);
}

static void test_random_operations(unused void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++)
		run_against_model(seed, UINT64_MAX, 0);
}

/* Many entries with one home, and entries with equal hashes, which only "match" tells apart. */
static void test_random_operations_with_collisions(unused void **state)
{
	run_against_model(4, 0x1f, 0);
	run_against_model(5, 0xff00000000000000, 0);
	run_against_model(6, 0, 0);
}

static void test_random_operations_at_the_end(unused void **state)
{
	run_against_model(7, UINT64_MAX, 0x3fc);
}

static void test_empty_map(unused void **state)
{
	struct hash_map map;
	unsigned key = 1;
	size_t position = 0;

	hash_map_init(&map);
	assert_null(hash_map_find(&map, 1, match, &key));
	assert_null(hash_map_remove(&map, 1, match, &key));
	assert_null(hash_map_next(&map, &position));
	hash_map_fini(&map);
	hash_map_fini(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_random_operations_with_collisions),
		cmocka_unit_test(test_random_operations_at_the_end),
		cmocka_unit_test(test_empty_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
