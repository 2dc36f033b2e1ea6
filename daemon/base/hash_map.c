/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/hash_map.h"

#include <errno.h>
#include <stdlib.h>

enum { SMALLEST_SIZE = 16 };

/* Where a hash belongs: its share of the slots. Any size will do, so that the map can grow by an eighth
 * and not only by doubling: after growing two thirds of it are filled, 24 bytes a value at most. */
static size_t home_of(uint64_t hash, size_t size)
{
	return (size_t)((__uint128_t)hash * size >> 64);
}

static size_t behind(size_t slot, size_t size)
{
	return slot + 1 == size ? 0 : slot + 1;
}

/* Steps from "from" to "to", around the end. */
static size_t distance(size_t from, size_t to, size_t size)
{
	return to >= from ? to - from : to + size - from;
}

void hash_map_init(struct hash_map *map)
{
	*map = (struct hash_map){0};
}

void hash_map_fini(struct hash_map *map)
{
	free(map->slots);
	hash_map_init(map);
}

static struct hash_slot *find_slot(const struct hash_map *map, uint64_t hash, hash_map_match match,
				   const void *key)
{
	if (map->size == 0)
		return NULL;
	for (size_t i = home_of(hash, map->size); map->slots[i].value; i = behind(i, map->size))
		if (map->slots[i].hash == hash && match(map->slots[i].value, key))
			return &map->slots[i];
	return NULL;
}

void *hash_map_find(const struct hash_map *map, uint64_t hash, hash_map_match match,
		    const void *key)
{
	struct hash_slot *slot = find_slot(map, hash, match, key);

	return slot ? slot->value : NULL;
}

static void place(struct hash_slot *slots, size_t size, uint64_t hash, void *value)
{
	size_t i = home_of(hash, size);

	while (slots[i].value)
		i = behind(i, size);
	slots[i] = (struct hash_slot){.hash = hash, .value = value};
}

static int grow(struct hash_map *map)
{
	size_t size = map->size ? map->size + map->size / 8 : SMALLEST_SIZE;
	struct hash_slot *slots = calloc(size, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->size; i++)
		if (map->slots[i].value)
			place(slots, size, map->slots[i].hash, map->slots[i].value);
	free(map->slots);
	map->slots = slots;
	map->size = size;
	return 0;
}

int hash_map_add(struct hash_map *map, uint64_t hash, void *value)
{
	if ((map->used + 1) * 4 > map->size * 3) {
		int r = grow(map);

		if (r < 0)
			return r;
	}
	place(map->slots, map->size, hash, value);
	map->used++;
	return 0;
}

/* Every entry behind the hole that could not stand nearer to its home moves up (Knuth 6.4, R). */
static void close_hole(struct hash_map *map, size_t hole)
{
	size_t size = map->size;

	for (size_t i = behind(hole, size); map->slots[i].value; i = behind(i, size)) {
		size_t home = home_of(map->slots[i].hash, size);

		if (distance(home, i, size) < distance(hole, i, size))
			continue;
		map->slots[hole] = map->slots[i];
		hole = i;
	}
	map->slots[hole].value = NULL;
}

void *hash_map_remove(struct hash_map *map, uint64_t hash, hash_map_match match, const void *key)
{
	struct hash_slot *slot = find_slot(map, hash, match, key);
	void *value;

	if (!slot)
		return NULL;
	value = slot->value;
	close_hole(map, (size_t)(slot - map->slots));
	map->used--;
	return value;
}

void *hash_map_next(const struct hash_map *map, size_t *position)
{
	while (*position < map->size) {
		void *value = map->slots[(*position)++].value;

		if (value)
			return value;
	}
	return NULL;
}
