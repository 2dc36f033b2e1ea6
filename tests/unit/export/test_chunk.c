/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/chunk.h"

static void test_a_chunk_comes_back_empty(unused void **state)
{
	struct chunk_pool pool = {0};
	struct chunk *chunk = chunk_new(&pool), *other = chunk_new(&pool);
	size_t capacity;

	buffer_add_text(&chunk->bytes, "abc");
	capacity = chunk->bytes.capacity;
	chunk->records = 3;
	chunk->is_lines = true;
	chunk_free(&pool, chunk);
	chunk_free(&pool, other);
	chunk_free(&pool, NULL);
	assert_ptr_equal(chunk_new(&pool), chunk);
	assert_int_equal(chunk->bytes.length, 0);
	assert_int_equal(chunk->bytes.capacity, capacity);
	assert_int_equal(chunk->records, 0);
	assert_false(chunk->is_lines);
	chunk_free(&pool, chunk);
	chunk_pool_fini(&pool);
	chunk_pool_fini(&pool);
}

static void test_lines(unused void **state)
{
	struct chunk_pool pool = {0};
	struct chunk *chunk = chunk_new(&pool);

	buffer_add_text(&chunk->bytes, "one\ntwo\nthree\n");
	assert_int_equal(chunk_count_lines(chunk, chunk->bytes.length), 3);
	assert_int_equal(chunk_count_lines(chunk, 7), 1);
	assert_int_equal(chunk_find_line_end(chunk, 3), 0);
	assert_int_equal(chunk_find_line_end(chunk, 4), 4);
	assert_int_equal(chunk_find_line_end(chunk, 13), 8);
	chunk->begin = 8;
	assert_int_equal(chunk_find_line_end(chunk, 12), 8);
	assert_int_equal(chunk_count_lines(chunk, chunk->bytes.length), 1);
	assert_int_equal(chunk_count_lines(chunk, 8), 0);
	chunk_free(&pool, chunk);
	chunk_pool_fini(&pool);
}

/* For another outbox: what was delivered of it is forgotten, with its documents. */
static void test_what_was_sent_is_cut(unused void **state)
{
	const struct chunk_document documents[] = {{1, 0, 0, 3}, {2, 0, 4, 3}, {3, 0, 8, 5}};
	struct chunk_pool pool = {0};
	struct chunk *chunk = chunk_new(&pool);

	buffer_add_text(&chunk->bytes, "one\ntwo\nthree\n");
	buffer_add(&chunk->documents, documents, sizeof(documents));
	chunk->records = 2;
	chunk->sent = 1;
	chunk->begin = 4;
	chunk_cut_sent(chunk);
	assert_int_equal(chunk->begin, 0);
	assert_int_equal(chunk->sent, 0);
	assert_int_equal(chunk->bytes.length, 10);
	assert_memory_equal(chunk->bytes.bytes, "two\nthree\n", 10);
	assert_int_equal(chunk_count_documents(chunk), 2);
	assert_int_equal(chunk_get_documents(chunk)[0].flow_id, 2);
	assert_int_equal(chunk_get_documents(chunk)[1].offset, 4);
	chunk_free(&pool, chunk);
	chunk_pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chunk_comes_back_empty),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_what_was_sent_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
