/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Objects of one size, given out from large pieces of memory that are kept until the end: no header
 * an object, no fragmentation, and a pointer to an object that was given back still points at
 * readable memory (its first pointer-sized bytes are the free list's). */

#include <stdbool.h>
#include <stddef.h>

struct slab {
	size_t object_size;
	void *free_list;
	void *pieces;
	size_t piece_left; /* objects of the newest piece that were never given out */
};

/* "object_size" at least sizeof(void *), a multiple of 8. */
void slab_init(struct slab *slab, size_t object_size);
void slab_fini(struct slab *slab);

/* Not zeroed. NULL when memory ran out. */
void *slab_take(struct slab *slab);
void slab_give(struct slab *slab, void *object);

/* Walks over the objects that were ever given out when it began, those that were given back among
 * them: whoever walks must know these by something in them that slab_give() leaves alone. Objects may
 * come and go meanwhile; each is met once. Starts with a cursor of 0; NULL at the end. */
struct slab_cursor {
	const void *piece;
	size_t next;
	bool has_begun;
};
void *slab_next(const struct slab *slab, struct slab_cursor *cursor);
