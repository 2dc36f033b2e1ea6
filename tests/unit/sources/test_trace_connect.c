/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/macros.h"
#include "sources/trace_connect.h"

enum { MAX = 8 };

static struct socket_tuple make_socket(uint8_t family, uint16_t local_port, uint16_t remote_port)
{
	return (struct socket_tuple){.local.bytes = {127, 0, 0, 1},
				     .remote.bytes = {10, 0, 0, 1},
				     .local_port = local_port,
				     .remote_port = remote_port,
				     .family = family,
				     .protocol = IPPROTO_TCP};
}

static void add(struct trace_connect *connect, uint8_t family, uint64_t address, pid_t thread,
		uint16_t remote_port)
{
	struct trace_connecting connecting = {.socket = make_socket(family, 0, remote_port),
					      .when_ns = address * 10,
					      .socket_address = address,
					      .pid = thread,
					      .thread = thread};

	assert_int_equal(trace_connect_add(connect, &connecting), 0);
}

static int set_up(void **state)
{
	return trace_connect_new(MAX, (struct trace_connect **)state);
}

static int tear_down(void **state)
{
	trace_connect_free(*state);
	return 0;
}

static void test_lookup_of_thread_joins(void **state)
{
	struct trace_connect *connect = *state;
	struct socket_tuple socket = make_socket(IP_FAMILY_V4, 40000, 80);
	struct socket_tuple other = make_socket(IP_FAMILY_V4, 40000, 81);
	struct trace_connecting told;

	add(connect, IP_FAMILY_V4, 1, 100, 80);
	assert_false(trace_connect_join_lookup(connect, 101, &socket, &told));
	assert_false(trace_connect_join_lookup(connect, 100, &other, &told));
	other = socket;
	other.local.bytes[3] = 2;
	assert_false(trace_connect_join_lookup(connect, 100, &other, &told));
	assert_true(trace_connect_join_lookup(connect, 100, &socket, &told));
	assert_int_equal(told.socket.local_port, 40000);
	assert_int_equal(told.socket_address, 1);
	assert_int_equal(told.when_ns, 10);
	assert_int_equal(told.pid, 100);
	assert_false(trace_connect_join_lookup(connect, 100, &socket, &told));
	assert_false(trace_connect_join_state(connect, 1, &socket, &told));
	assert_int_equal(trace_connect_get_counters(connect)->joined, 1);
	assert_int_equal(trace_connect_get_counters(connect)->pending, 0);
}

static void test_state_joins_by_address(void **state)
{
	struct trace_connect *connect = *state;
	struct socket_tuple socket = make_socket(IP_FAMILY_V6, 40000, 80);
	struct socket_tuple portless = make_socket(IP_FAMILY_V6, 0, 81);
	struct trace_connecting told;

	add(connect, IP_FAMILY_V6, 1, 100, 80);
	add(connect, IP_FAMILY_V6, 2, 100, 81);
	assert_false(trace_connect_join_state(connect, 3, &socket, &told));
	assert_true(trace_connect_join_state(connect, 1, &socket, &told));
	assert_int_equal(told.pid, 100);
	assert_int_equal(told.socket.local_port, 40000);
	assert_false(trace_connect_join_state(connect, 2, &portless, &told));
	assert_int_equal(trace_connect_get_counters(connect)->forgotten, 1);
	assert_int_equal(trace_connect_get_counters(connect)->pending, 0);
}

/* A non-blocking client: several pending connects of one thread; the newest gets the lookup, and
 * the others are still found by their addresses. */
static void test_newest_connect_of_thread_is_meant(void **state)
{
	struct trace_connect *connect = *state;
	struct socket_tuple socket = make_socket(IP_FAMILY_V4, 40000, 80);
	struct trace_connecting told;

	add(connect, IP_FAMILY_V4, 1, 100, 80);
	add(connect, IP_FAMILY_V4, 2, 100, 80);
	assert_true(trace_connect_join_lookup(connect, 100, &socket, &told));
	assert_int_equal(told.socket_address, 2);
	assert_false(trace_connect_join_lookup(connect, 100, &socket, &told));
	assert_true(trace_connect_join_state(connect, 1, &socket, &told));
}

static void test_address_is_reused(void **state)
{
	struct trace_connect *connect = *state;
	struct socket_tuple socket = make_socket(IP_FAMILY_V6, 40000, 81);
	struct trace_connecting told;

	add(connect, IP_FAMILY_V6, 1, 100, 80);
	add(connect, IP_FAMILY_V6, 1, 200, 81);
	assert_int_equal(trace_connect_get_counters(connect)->pending, 1);
	assert_true(trace_connect_join_state(connect, 1, &socket, &told));
	assert_int_equal(told.pid, 200);
}

static void test_oldest_goes_at_the_bound(void **state)
{
	struct trace_connect *connect = *state;
	struct socket_tuple socket = make_socket(IP_FAMILY_V4, 40000, 80);
	struct trace_connecting told;

	for (uint64_t i = 1; i <= MAX + 3; i++)
		add(connect, IP_FAMILY_V4, i, (pid_t)i, 80);
	assert_int_equal(trace_connect_get_counters(connect)->pending, MAX);
	assert_int_equal(trace_connect_get_counters(connect)->dropped, 3);
	for (uint64_t i = 1; i <= MAX + 3; i++)
		assert_int_equal(trace_connect_join_state(connect, i, &socket, &told), i > 3);
	for (pid_t i = 1; i <= MAX + 3; i++)
		assert_false(trace_connect_join_lookup(connect, i, &socket, &told));
}

/* Against an array of what is pending, newest last. */
struct model {
	struct {
		uint64_t address;
		pid_t thread;
		bool is_by_thread;
	} pending[MAX];
	size_t count;
};

static void model_remove(struct model *model, size_t at)
{
	for (model->count--; at < model->count; at++)
		model->pending[at] = model->pending[at + 1];
}

static void model_add(struct model *model, uint64_t address, pid_t thread)
{
	for (size_t i = model->count; i-- > 0;)
		if (model->pending[i].address == address)
			model_remove(model, i);
	if (model->count == MAX)
		model_remove(model, 0);
	for (size_t i = 0; i < model->count; i++)
		if (model->pending[i].thread == thread)
			model->pending[i].is_by_thread = false;
	model->pending[model->count].address = address;
	model->pending[model->count].thread = thread;
	model->pending[model->count++].is_by_thread = true;
}

static void test_random_against_model(void **state)
{
	struct trace_connect *connect = *state;
	struct socket_tuple socket = make_socket(IP_FAMILY_V4, 40000, 80);
	struct model model = {0};

	srandom(3);
	for (int i = 0; i < 200000; i++) {
		uint64_t address = (uint64_t)random() % 12 + 1;
		pid_t thread = (pid_t)(random() % 6 + 1);
		struct trace_connecting told;
		bool joins = true;
		size_t at = 0;

		switch (random() % 3) {
		case 0:
			add(connect, IP_FAMILY_V4, address, thread, 80);
			model_add(&model, address, thread);
			joins = false;
			break;
		case 1:
			while (at < model.count && model.pending[at].address != address)
				at++;
			assert_int_equal(trace_connect_join_state(connect, address, &socket, &told),
					 at < model.count);
			break;
		default:
			while (at < model.count && !(model.pending[at].thread == thread &&
						     model.pending[at].is_by_thread))
				at++;
			assert_int_equal(trace_connect_join_lookup(connect, thread, &socket, &told),
					 at < model.count);
			if (at < model.count)
				assert_int_equal(told.socket_address, model.pending[at].address);
		}
		if (joins && at < model.count)
			model_remove(&model, at);
		assert_int_equal(trace_connect_get_counters(connect)->pending, model.count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lookup_of_thread_joins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_state_joins_by_address, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newest_connect_of_thread_is_meant, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_address_is_reused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_oldest_goes_at_the_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_against_model, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
