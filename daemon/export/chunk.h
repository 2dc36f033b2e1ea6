/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A finished piece of what an exporter sends: whole lines, one message, or a list of documents. The
 * encoder makes it, the outbox owns it until the delivery says what became of its records. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"

/* Where one record stands in the chunk's bytes, without the end of its line. flow_id and number (of
 * the record among those of its flow) together name the record for ever, over restarts too. */
struct chunk_document {
	uint64_t flow_id, number;
	uint32_t offset, length;
};

#define CHUNK_NOT_SPOOLED UINT64_MAX

struct chunk {
	struct list_node node; /* the outbox's */
	uint64_t order;	       /* the outbox's: chunks go out by it */
	uint64_t spool_at;     /* its place in the spool, or CHUNK_NOT_SPOOLED */
	uint32_t sent;	       /* records in front of "begin" */
	struct buffer bytes;
	struct buffer documents; /* struct chunk_document each; empty where nobody wants them */
	size_t begin;		 /* bytes in front of it are delivered already */
	uint32_t records;	 /* that are not delivered already */
	uint32_t templates;
	uint32_t data_records;	  /* with options data: what IPFIX's sequence counts */
	uint64_t packets, octets; /* of the flows in it, where known: both directions */
	bool is_lines;		  /* may be sent in parts, each of whole lines */
	bool is_preamble;	  /* belongs to one connection: templates in front of all else */
};

/* Keeps one chunk that is done for the next one, so that the usual way allocates nothing. */
struct chunk_pool {
	struct chunk *spare;
};

/* An empty chunk, or NULL. */
struct chunk *chunk_new(struct chunk_pool *pool);
/* Accepts NULL. */
void chunk_free(struct chunk_pool *pool, struct chunk *chunk);
void chunk_pool_fini(struct chunk_pool *pool);

static inline size_t chunk_count_documents(const struct chunk *chunk)
{
	return chunk->documents.length / sizeof(struct chunk_document);
}

/* The documents, borrowed; chunk_count_documents() of them. */
static inline const struct chunk_document *chunk_get_documents(const struct chunk *chunk)
{
	return (const struct chunk_document *)(const void *)chunk->documents.bytes;
}

/* How many lines end in the bytes from "begin" up to "end". */
uint32_t chunk_count_lines(const struct chunk *chunk, size_t end);
/* Forgets the bytes and documents in front of "begin". */
void chunk_cut_sent(struct chunk *chunk);
/* Where the last line that ends at or before "end" ends; "begin" where none does. */
size_t chunk_find_line_end(const struct chunk *chunk, size_t end);
