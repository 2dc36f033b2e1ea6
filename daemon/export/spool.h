/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Chunks on disk, oldest first: a log of entries with checksums in files of a few MiB. Every chunk
 * is written before it goes out, and its place freed when the collector has it; what is there at the
 * start was not sent by the last run. Survives a crash of the daemon at any moment; what the kernel
 * has not written when the host itself goes down is lost. What is damaged is left out, and the whole
 * entries behind it are found.
 *
 * Entries are in host order: they do not travel between machines. */

#include <stdint.h>

#include "export/chunk.h"

struct spool;

enum {
	SPOOL_FULL = 1, /* it would be larger than "max_bytes" */
	SPOOL_READ = 2, /* nothing that is not in memory */
};

struct spool_options {
	const char *directory, *name;
	uint64_t max_bytes;
	/* Stands for the language of the chunks: entries that were written under another one are
	 * left out. */
	uint64_t format;
};

/* Opens DIRECTORY/NAME, which is made where it is not there. 0; -EBUSY: it is in use; another negative
 * errno. The reason is in the log. */
int spool_open(const struct spool_options *options, struct spool **ret);
/* For another exporter that goes on with it: another bound, and another format of what comes. */
void spool_change(struct spool *spool, uint64_t max_bytes, uint64_t format);
/* Accepts NULL. What is in it stays. */
void spool_close(struct spool *spool);

/* Adds the chunk, behind all others; chunk->spool_at is its place. 0, SPOOL_FULL, or a negative errno,
 * and nothing was added. It counts as unread until spool_skip_unread(). */
int spool_append(struct spool *spool, struct chunk *chunk);
/* What was appended last is kept in memory too; only where nothing else is unread. */
void spool_skip_unread(struct spool *spool);
/* The oldest unread chunk. 0; SPOOL_READ; -ENOMEM. */
int spool_read(struct spool *spool, struct chunk_pool *pool, struct chunk **ret);

/* Where the unread ones begin, and how many records they have. */
uint64_t spool_get_unread_at(const struct spool *spool);
uint64_t spool_count_unread(const struct spool *spool);
/* How many records more than at the last call were found damaged, or of another format. They are not
 * unread any more. Those that were damaged at the start already were never so, and their number is
 * known only as far as their heads are whole. */
uint64_t spool_take_lost(struct spool *spool);

/* All in front of "at" is done; of the chunk there, "sent" records, which end at its byte "begin". */
void spool_set_done(struct spool *spool, uint64_t at, uint64_t begin, uint32_t sent);
