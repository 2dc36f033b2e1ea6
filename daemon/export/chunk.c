/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void empty(struct chunk *chunk)
{
	struct buffer bytes = chunk->bytes, documents = chunk->documents;

	buffer_clear(&bytes);
	buffer_clear(&documents);
	*chunk = (struct chunk){
		.bytes = bytes, .documents = documents, .spool_at = CHUNK_NOT_SPOOLED};
	list_init(&chunk->node);
}

static void destroy(struct chunk *chunk)
{
	buffer_fini(&chunk->bytes);
	buffer_fini(&chunk->documents);
	free(chunk);
}

struct chunk *chunk_new(struct chunk_pool *pool)
{
	struct chunk *chunk = steal_pointer(&pool->spare);

	if (chunk)
		return chunk;
	chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		return NULL;
	buffer_init(&chunk->bytes);
	buffer_init(&chunk->documents);
	list_init(&chunk->node);
	chunk->spool_at = CHUNK_NOT_SPOOLED;
	return chunk;
}

void chunk_free(struct chunk_pool *pool, struct chunk *chunk)
{
	if (!chunk)
		return;
	list_remove(&chunk->node);
	if (pool->spare) {
		destroy(chunk);
		return;
	}
	empty(chunk);
	pool->spare = chunk;
}

void chunk_pool_fini(struct chunk_pool *pool)
{
	if (pool->spare)
		destroy(steal_pointer(&pool->spare));
}

uint32_t chunk_count_lines(const struct chunk *chunk, size_t end)
{
	const uint8_t *at = chunk->bytes.bytes + chunk->begin, *stop = chunk->bytes.bytes + end;
	uint32_t lines = 0;

	while (at < stop && (at = memchr(at, '\n', (size_t)(stop - at)))) {
		lines++;
		at++;
	}
	return lines;
}

size_t chunk_find_line_end(const struct chunk *chunk, size_t end)
{
	while (end > chunk->begin && chunk->bytes.bytes[end - 1] != '\n')
		end--;
	return end;
}

void chunk_cut_sent(struct chunk *chunk)
{
	struct chunk_document *documents = (struct chunk_document *)(void *)chunk->documents.bytes;
	size_t count = chunk_count_documents(chunk);

	if (chunk->begin == 0)
		return;
	chunk->bytes.length -= chunk->begin;
	memmove(chunk->bytes.bytes, chunk->bytes.bytes + chunk->begin, chunk->bytes.length);
	if (count >= chunk->records && count > 0) {
		memmove(documents, documents + count - chunk->records,
			chunk->records * sizeof(*documents));
		chunk->documents.length = chunk->records * sizeof(*documents);
		for (size_t i = 0; i < chunk->records; i++)
			documents[i].offset -= (uint32_t)chunk->begin;
	}
	chunk->begin = 0;
	chunk->sent = 0;
}
