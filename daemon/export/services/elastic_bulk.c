/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/services/elastic_bulk.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/text.h"

void elastic_bulk_add(struct buffer *out, const char *index, bool is_data_stream,
		      const struct chunk_document *document, const uint8_t *line)
{
	buffer_add_format(out,
			  "{\"%s\":{\"_index\":\"%s\",\"_id\":\"%" PRIu64 "-%" PRIu64 "-%016" PRIx64
			  "\"}}\n",
			  is_data_stream ? "create" : "index", index, document->flow_id,
			  document->number, hash_bytes(0, line, document->length));
	buffer_add(out, line, document->length);
	buffer_add_byte(out, '\n');
}

int elastic_bulk_compress(struct buffer *out, const uint8_t *bytes, size_t length)
{
	enum { GZIP = 16, MEMORY_LEVEL = 8 };
	z_stream stream = {0};
	size_t before = out->length, bound;
	uint8_t *at;
	int r;

	if (length > UINT_MAX || deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + GZIP,
					      MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&stream, (uLong)length);
	at = buffer_extend(out, bound);
	if (!at) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_in = (Bytef *)(uintptr_t)bytes;
	stream.avail_in = (uInt)length;
	stream.next_out = at;
	stream.avail_out = (uInt)bound;
	r = deflate(&stream, Z_FINISH);
	out->length = before + stream.total_out;
	deflateEnd(&stream);
	return r == Z_STREAM_END ? 0 : -ENOMEM;
}

enum elastic_fate elastic_fate_of(long status)
{
	if (status >= 200 && status < 300)
		return ELASTIC_SENT;
	switch (status) {
	case 401: /* what an operator can mend, and then the records go */
	case 403:
	case 404:
	case 408:
	case 429:
		return ELASTIC_RETRY;
	case 409: /* "create": it is there already */
		return ELASTIC_SENT;
	default:
		return status >= 400 && status < 500 ? ELASTIC_REFUSED : ELASTIC_RETRY;
	}
}

/* What a server writes goes to the log: bounded, and without control characters. */
static void copy_reason(json_t *error, char ret[ELASTIC_REASON_SIZE])
{
	const char *type = json_string_value(json_object_get(error, "type"));
	const char *reason = json_string_value(json_object_get(error, "reason"));
	char both[ELASTIC_REASON_SIZE];
	size_t length;

	if (json_is_string(error))
		reason = json_string_value(error);
	if (!type && !reason)
		return;
	snprintf(both, sizeof(both), "%s%s%s", type ? type : "", type && reason ? ": " : "",
		 reason ? reason : "");
	length = text_sanitise(text_from(both), ret, ELASTIC_REASON_SIZE - 1);
	ret[length] = '\0';
}

static void count_fate(enum elastic_fate fate, json_t *error, struct elastic_answer *answer)
{
	switch (fate) {
	case ELASTIC_SENT:
		answer->sent++;
		break;
	case ELASTIC_REFUSED:
		answer->refused++;
		if (!*answer->refused_reason)
			copy_reason(error, answer->refused_reason);
		break;
	default:
		answer->retry++;
		if (!*answer->retry_reason)
			copy_reason(error, answer->retry_reason);
	}
}

/* {"index":{"status":201}}: the one member is named by what was asked. */
static json_t *find_result(json_t *item)
{
	void *first = json_object_iter(item);

	return first ? json_object_iter_value(first) : NULL;
}

static bool is_answer(json_t *items, size_t count)
{
	if (!json_is_array(items) || json_array_size(items) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!json_is_integer(
			    json_object_get(find_result(json_array_get(items, i)), "status")))
			return false;
	return true;
}

int elastic_bulk_read_answer(const char *bytes, size_t length, size_t count, uint8_t fates[],
			     struct elastic_answer *ret)
{
	json_t *answer = json_loadb(bytes, length, 0, NULL);
	json_t *items = json_object_get(answer, "items");

	if (!is_answer(items, count)) {
		json_decref(answer);
		return -EBADMSG;
	}
	*ret = (struct elastic_answer){0};
	for (size_t i = 0; i < count; i++) {
		json_t *result = find_result(json_array_get(items, i));
		json_int_t status = json_integer_value(json_object_get(result, "status"));
		enum elastic_fate fate =
			elastic_fate_of(status > 0 && status < 1000 ? (long)status : 0);

		fates[i] = (uint8_t)fate;
		count_fate(fate, json_object_get(result, "error"), ret);
	}
	json_decref(answer);
	return 0;
}

void elastic_bulk_read_error(const char *bytes, size_t length, char ret[ELASTIC_REASON_SIZE])
{
	json_t *answer = json_loadb(bytes, length, 0, NULL);

	*ret = '\0';
	copy_reason(json_object_get(answer, "error"), ret);
	json_decref(answer);
}
