/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

enum { FLOWS = 500, DELAY = 10 };

static void test_each_in_its_time(unused void **state)
{
	struct flow *flows = calloc(FLOWS, sizeof(*flows));
	struct flow_queue queue;

	flow_queue_init(&queue, DELAY);
	assert_int_equal(flow_queue_get_due(&queue), UINT64_MAX);
	for (size_t i = 0; i < FLOWS; i++) {
		flows[i].id = i + 1;
		assert_int_equal(flow_queue_add(&queue, &flows[i], i), 0);
	}
	assert_int_equal(flow_queue_get_due(&queue), DELAY);
	assert_null(flow_queue_take(&queue, DELAY - 1));
	for (size_t i = 0; i < FLOWS; i++)
		assert_ptr_equal(flow_queue_take(&queue, i + DELAY), &flows[i]);
	assert_null(flow_queue_take(&queue, UINT64_MAX - 1));
	flow_queue_fini(&queue);
	free(flows);
}

static void test_those_that_left_are_passed_over(unused void **state)
{
	struct flow flows[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
	struct flow_queue queue;

	flow_queue_init(&queue, DELAY);
	for (size_t i = 0; i < array_length(flows); i++)
		assert_int_equal(flow_queue_add(&queue, &flows[i], 0), 0);
	flows[0].id = 0;  /* left */
	flows[1].id = 77; /* its memory is another flow's */
	assert_ptr_equal(flow_queue_take(&queue, DELAY), &flows[2]);
	assert_null(flow_queue_take(&queue, DELAY));
	flow_queue_fini(&queue);
}

static void test_those_due_soon_share_a_wake_up(unused void **state)
{
	struct flow flows[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
	struct flow_queue queue;

	flow_queue_init(&queue, 80);
	assert_int_equal(flow_queue_get_wake_up(&queue), UINT64_MAX);
	assert_int_equal(flow_queue_add(&queue, &flows[0], 1001), 0);
	assert_int_equal(flow_queue_add(&queue, &flows[1], 1010), 0);
	assert_int_equal(flow_queue_add(&queue, &flows[2], 1011), 0);
	assert_int_equal(flow_queue_get_wake_up(&queue), 1090);
	assert_ptr_equal(flow_queue_take(&queue, 1090), &flows[0]);
	assert_ptr_equal(flow_queue_take(&queue, 1090), &flows[1]);
	assert_null(flow_queue_take(&queue, 1090));
	assert_int_equal(flow_queue_get_wake_up(&queue), 1100);
	flow_queue_fini(&queue);
}

/* Too short to be parted, or far away. */
static void test_a_wake_up_is_never_early(unused void **state)
{
	struct flow flow = {.id = 1};
	struct flow_queue queue;

	flow_queue_init(&queue, 7);
	assert_int_equal(flow_queue_add(&queue, &flow, 100), 0);
	assert_int_equal(flow_queue_get_wake_up(&queue), 107);
	flow_queue_fini(&queue);
	flow_queue_init(&queue, 80);
	assert_int_equal(flow_queue_add(&queue, &flow, 1000), 0);
	assert_int_equal(flow_queue_get_wake_up(&queue), 1080);
	flow_queue_fini(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_in_its_time),
		cmocka_unit_test(test_those_that_left_are_passed_over),
		cmocka_unit_test(test_those_due_soon_share_a_wake_up),
		cmocka_unit_test(test_a_wake_up_is_never_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
