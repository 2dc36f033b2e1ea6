/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/send_queue.h"

static void add(struct send_queue *queue, uint32_t records, size_t sent)
{
	static const uint8_t bytes[4] = {1, 2, 3, 4};
	struct send_chunk chunk = {.length = sizeof(bytes), .sent = sent, .records = records};

	assert_int_equal(send_queue_add(queue, &chunk, bytes), 0);
}

static void test_first_in_first_out(unused void **state)
{
	struct send_queue queue;

	send_queue_init(&queue);
	assert_null(send_queue_first(&queue));
	for (uint32_t i = 1; i <= 3; i++)
		add(&queue, i, 0);
	assert_int_equal(queue.records, 6);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(send_queue_first(&queue)->records, i);
		assert_int_equal(send_queue_first(&queue)->bytes[3], 4);
		send_queue_remove(&queue, send_queue_first(&queue));
	}
	assert_int_equal(queue.records, 0);
	add(&queue, 1, 0);
	send_queue_fini(&queue);
}

static void test_a_begun_message_is_not_thrown_away(unused void **state)
{
	struct send_queue queue;

	send_queue_init(&queue);
	assert_null(send_queue_find_oldest_whole(&queue));
	add(&queue, 1, 2);
	assert_null(send_queue_find_oldest_whole(&queue));
	add(&queue, 2, 0);
	assert_int_equal(send_queue_find_oldest_whole(&queue)->records, 2);
	send_queue_remove(&queue, send_queue_first(&queue));
	assert_int_equal(send_queue_find_oldest_whole(&queue)->records, 2);
	send_queue_fini(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_in_first_out),
		cmocka_unit_test(test_a_begun_message_is_not_thrown_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
