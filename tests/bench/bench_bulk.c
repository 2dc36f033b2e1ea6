/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a record costs on its way into a _bulk request beside its line: index name, id and action; and
 * gzip. Batches of a thousand, medians of the rounds. */

#include <stdio.h>
#include <stdlib.h>

#include "export/json.h"
#include "export/services/elastic_bulk.h"
#include "export/services/elastic_index.h"
#include "golden/records.h"

enum { ROUNDS = 15, BATCH = 1000 };

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double ns[ROUNDS])
{
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	return ns[ROUNDS / 2];
}

static void make_body(struct buffer *body, const struct buffer *lines,
		      const struct chunk_document *documents)
{
	char index[ELASTIC_INDEX_NAME_SIZE];

	for (size_t i = 0; i < BATCH; i++) {
		const uint8_t *line = lines->bytes + documents[i].offset;

		if (elastic_index_format("procflow-%Y.%m.%d", line, documents[i].length, index) ==
		    0)
			elastic_bulk_add(body, index, false, &documents[i], line);
	}
}

int main(void)
{
	static struct chunk_document documents[BATCH];
	double body_ns[ROUNDS], gzip_ns[ROUNDS];
	struct buffer lines, body, packed;

	buffer_init(&lines);
	buffer_init(&body);
	buffer_init(&packed);
	for (unsigned i = 0; i < BATCH; i++) {
		struct flow_record record = records_make(i % RECORDS_COUNT);
		size_t before = lines.length;

		record.flow_id = i;
		record.start_ms += i;
		record.key.tuple.src_port = (uint16_t)(40000 + i);
		json_encode_record(&lines, &record);
		documents[i] =
			(struct chunk_document){.flow_id = i,
						.number = 1,
						.offset = (uint32_t)before,
						.length = (uint32_t)(lines.length - before - 1)};
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t begun_ns = clock_now_ns(), packed_ns;

		buffer_clear(&body);
		make_body(&body, &lines, documents);
		packed_ns = clock_now_ns();
		body_ns[round] = (double)(packed_ns - begun_ns) / BATCH;
		buffer_clear(&packed);
		elastic_bulk_compress(&packed, body.bytes, body.length);
		gzip_ns[round] = (double)(clock_now_ns() - packed_ns) / BATCH;
	}
	printf("body %.0f ns a record, gzip %.0f ns; %zu bytes a record become %zu\n",
	       median(body_ns), median(gzip_ns), body.length / BATCH, packed.length / BATCH);
	buffer_fini(&lines);
	buffer_fini(&body);
	buffer_fini(&packed);
	return 0;
}
