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
