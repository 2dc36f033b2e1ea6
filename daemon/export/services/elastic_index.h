/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Names of indexes, and the index template (composable: PUT /_index_template/NAME) that tells
 * Elasticsearch 7.8 and later and OpenSearch what the fields are. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* The longest name that Elasticsearch takes is 255 bytes. */
enum { ELASTIC_INDEX_NAME_SIZE = 256 };

/* The index of a document: "pattern" (checked by the configuration) with the conversions of
 * strftime(3) filled in for its "@timestamp", in UTC. A document is always of the same index, however
 * late it is sent. 0; -EBADMSG: it has no such time near its begin; -ENAMETOOLONG. */
int elastic_index_format(const char *pattern, const uint8_t *document, size_t length,
			 char ret[ELASTIC_INDEX_NAME_SIZE]);

/* The name with "*" from the first conversion on: "procflow-*". */
void elastic_index_make_wildcard(const char *pattern, char ret[ELASTIC_INDEX_NAME_SIZE]);

struct elastic_index_template {
	const char *pattern; /* as in elastic_index_format() */
	bool is_ecs;	     /* schema ecs, or the names of the catalogue */
	bool is_data_stream;
};

/* Adds the body of the request. An allocation that failed shows in "out". */
void elastic_index_add_template(struct buffer *out, const struct elastic_index_template *options);
