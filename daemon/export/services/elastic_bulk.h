/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The body of a _bulk request, and what the answer says of each document. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "export/chunk.h"

/* Adds two lines: what to do, and the document. Its id is flow id, record number and a hash of
 * itself (flow ids begin again with a reboot, and with other hosts), so that one that is sent again
 * is not stored twice. Data streams take "create" only. */
void elastic_bulk_add(struct buffer *out, const char *index, bool is_data_stream,
		      const struct chunk_document *document, const uint8_t *line);

/* Adds the bytes as gzip (RFC 1952). 0, or -ENOMEM. */
int elastic_bulk_compress(struct buffer *out, const uint8_t *bytes, size_t length);

enum elastic_fate {
	ELASTIC_UNKNOWN, /* not answered yet */
	ELASTIC_SENT,
	ELASTIC_RETRY,	/* not now: too many requests, no shard, a right that is missing */
	ELASTIC_REFUSED /* never: it does not fit the index */
};

/* What an HTTP status means: for one document, and for a whole request. */
enum elastic_fate elastic_fate_of(long status);

enum { ELASTIC_REASON_SIZE = 256 };

struct elastic_answer {
	uint32_t sent, retry, refused;
	char refused_reason[ELASTIC_REASON_SIZE]; /* of the first one, for people; or empty */
	char retry_reason[ELASTIC_REASON_SIZE];
};

/* Reads the answer to a request with "count" documents: the fate of each into "fates". 0; -EBADMSG:
 * it is no such answer, and nothing was written. */
int elastic_bulk_read_answer(const char *bytes, size_t length, size_t count, uint8_t fates[],
			     struct elastic_answer *ret);

/* The reason in the answer to a request that failed as a whole, for people; empty where there is
 * none. */
void elastic_bulk_read_error(const char *bytes, size_t length, char ret[ELASTIC_REASON_SIZE]);
