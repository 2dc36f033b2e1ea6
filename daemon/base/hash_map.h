/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Open-addressed map from a 64-bit hash to a pointer that the caller owns. Removal shifts the
 * entries behind it back, so there are no tombstones and lookups never degrade. 16 bytes a slot,
 * filled to three quarters at most. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_slot {
	uint64_t hash;
	void *value; /* NULL: free */
};

struct hash_map {
	struct hash_slot *slots;
	size_t size; /* slots */
	size_t used;
};

/* Whether "value" is the one that "key" names; called only where the 64-bit hashes are equal. */
typedef bool (*hash_map_match)(const void *value, const void *key);

void hash_map_init(struct hash_map *map);
/* Frees the slots, not the values. */
void hash_map_fini(struct hash_map *map);

/* The value, borrowed, or NULL. */
void *hash_map_find(const struct hash_map *map, uint64_t hash, hash_map_match match,
		    const void *key);

/* Adds a value (not NULL) that the caller knows not to be there. 0, or -ENOMEM. */
int hash_map_add(struct hash_map *map, uint64_t hash, void *value);

/* Takes the value out and returns it, or NULL where there is none. */
void *hash_map_remove(struct hash_map *map, uint64_t hash, hash_map_match match, const void *key);

/* Walks all values: start with *position == 0; NULL at the end. The map must not change meanwhile.
 */
void *hash_map_next(const struct hash_map *map, size_t *position);
