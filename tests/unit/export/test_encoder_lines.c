/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <string.h>

#include "export/encoder.h"

enum { MOST_CHUNKS = 16 };

struct fixture {
	struct chunk_pool pool;
	struct chunk *chunks[MOST_CHUNKS];
	size_t count;
	struct encoder *encoder;
};

static void emit(void *userdata, struct chunk *chunk)
{
	struct fixture *fixture = userdata;

	assert_true(fixture->count < MOST_CHUNKS);
	fixture->chunks[fixture->count++] = chunk;
}

static void encode(struct fixture *fixture, bool with_documents, unsigned records)
{
	static const struct exporter_context context = {.loop = NULL};
	static const struct config_exporter config = {.type = CONFIG_EXPORTER_JSON};
	struct exporter_counters counters = {0};
	const struct encoder_options options = {.config = &config,
						.context = &context,
						.pool = &fixture->pool,
						.counters = &counters,
						.chunk_bytes = 1 << 16,
						.chunk_records = 4,
						.with_documents = with_documents,
						.emit = emit,
						.userdata = fixture};
	struct flow_record record = records_make(RECORD_CURL);

	assert_int_equal(encoder_new(&options, &fixture->encoder), 0);
	for (unsigned i = 0; i < records; i++) {
		record.flow_id = 100 + i;
		record.number = i + 1;
		encoder_add(fixture->encoder, &record);
	}
	encoder_finish(fixture->encoder);
	encoder_finish(fixture->encoder);
	encoder_free(fixture->encoder);
}

static void clear(struct fixture *fixture)
{
	while (fixture->count > 0)
		chunk_free(&fixture->pool, fixture->chunks[--fixture->count]);
	chunk_pool_fini(&fixture->pool);
}

static void test_chunks_are_bounded_by_records(unused void **state)
{
	struct fixture fixture = {0};

	encode(&fixture, false, 10);
	assert_int_equal(fixture.count, 3);
	assert_int_equal(fixture.chunks[0]->records, 4);
	assert_int_equal(fixture.chunks[2]->records, 2);
	for (size_t i = 0; i < fixture.count; i++) {
		struct chunk *chunk = fixture.chunks[i];

		assert_int_equal(chunk_count_lines(chunk, chunk->bytes.length), chunk->records);
		assert_int_equal(chunk_count_documents(chunk), 0);
	}
	clear(&fixture);
}

/* Each document is its line without the newline, under the record's own names. */
static void test_documents(unused void **state)
{
	struct fixture fixture = {0};
	uint64_t flow_id = 100;

	encode(&fixture, true, 10);
	for (size_t i = 0; i < fixture.count; i++) {
		const struct chunk *chunk = fixture.chunks[i];
		const struct chunk_document *documents = chunk_get_documents(chunk);
		size_t at = 0;

		assert_int_equal(chunk_count_documents(chunk), chunk->records);
		for (size_t j = 0; j < chunk->records; j++) {
			assert_int_equal(documents[j].offset, at);
			at += documents[j].length;
			assert_int_equal(chunk->bytes.bytes[at], '\n');
			assert_int_equal(chunk->bytes.bytes[at++ - 1], '}');
			assert_int_equal(documents[j].flow_id, flow_id);
			assert_int_equal(documents[j].number, flow_id++ - 99);
		}
		assert_int_equal(at, chunk->bytes.length);
	}
	assert_int_equal(flow_id, 110);
	clear(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks_are_bounded_by_records),
		cmocka_unit_test(test_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
