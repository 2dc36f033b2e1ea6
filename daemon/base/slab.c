/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/slab.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_OBJECTS = 256 };

struct piece {
	struct piece *next;
	char objects[];
};

void slab_init(struct slab *slab, size_t object_size)
{
	*slab = (struct slab){.object_size = object_size};
}

void slab_fini(struct slab *slab)
{
	struct piece *piece = slab->pieces;

	while (piece) {
		struct piece *next = piece->next;

		free(piece);
		piece = next;
	}
	slab_init(slab, slab->object_size);
}

void *slab_take(struct slab *slab)
{
	struct piece *piece = slab->pieces;
	void *object = slab->free_list;

	if (object) {
		memcpy(&slab->free_list, object, sizeof(void *));
		return object;
	}
	if (slab->piece_left == 0) {
		piece = malloc(sizeof(*piece) + slab->object_size * PIECE_OBJECTS);
		if (!piece)
			return NULL;
		piece->next = slab->pieces;
		slab->pieces = piece;
		slab->piece_left = PIECE_OBJECTS;
	}
	return piece->objects + slab->object_size * --slab->piece_left;
}

void slab_give(struct slab *slab, void *object)
{
	memcpy(object, &slab->free_list, sizeof(void *));
	slab->free_list = object;
}

/* Pieces are added at the head, and the newest one is given out from its end on: what comes while
 * somebody walks lies where the walk does not go any more. */
void *slab_next(const struct slab *slab, struct slab_cursor *cursor)
{
	const struct piece *piece = cursor->piece;

	if (!cursor->has_begun) {
		*cursor = (struct slab_cursor){
			.piece = slab->pieces, .next = slab->piece_left, .has_begun = true};
		piece = cursor->piece;
	}
	if (piece && cursor->next == PIECE_OBJECTS) {
		cursor->piece = piece = piece->next;
		cursor->next = 0;
	}
	if (!piece)
		return NULL;
	return (char *)piece->objects + slab->object_size * cursor->next++;
}
