/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/ended_sockets.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

enum { KEEP = 1000 };

static struct socket_tuple tuple(uint16_t port)
{
	return (struct socket_tuple){.local = {{10, 0, 0, 1}},
				     .remote = {{10, 0, 0, 2}},
				     .local_port = port,
				     .remote_port = 80,
				     .family = IP_FAMILY_V4,
				     .protocol = IPPROTO_TCP};
}

static void add(struct ended_sockets *sockets, uint16_t port, uint64_t when_ns)
{
	struct socket_end_event event = {
		.socket = tuple(port), .when_ns = when_ns, .quality = {.retransmissions = port}};

	ended_sockets_add(sockets, &event);
}

static void add_elsewhere(struct ended_sockets *sockets, uint16_t port, int32_t namespace)
{
	struct socket_end_event event = {.socket = tuple(port),
					 .when_ns = 1,
					 .namespace = namespace,
					 .is_elsewhere = true,
					 .quality = {.retransmissions = (uint32_t) namespace}};

	ended_sockets_add(sockets, &event);
}

/* Retransmissions, or -1. */
static int64_t take(struct ended_sockets *sockets, uint16_t port, bool is_elsewhere)
{
	struct socket_tuple socket = tuple(port);
	struct tcp_quality quality;

	if (!ended_sockets_take(sockets, &socket, is_elsewhere, &quality))
		return -1;
	return quality.retransmissions;
}

static void each_is_taken_once(unused void **state)
{
	struct ended_sockets sockets;
	struct socket_tuple seven = tuple(7);

	ended_sockets_init(&sockets, 10, KEEP);
	assert_true(ended_sockets_is_empty(&sockets));
	add(&sockets, 7, 1);
	assert_true(ended_sockets_has(&sockets, &seven, false));
	assert_int_equal(take(&sockets, 8, false), -1);
	assert_int_equal(take(&sockets, 7, true), -1);
	assert_int_equal(take(&sockets, 7, false), 7);
	assert_int_equal(take(&sockets, 7, false), -1);
	assert_true(ended_sockets_is_empty(&sockets));
	assert_int_equal(sockets.counters.added, 1);
	assert_int_equal(sockets.counters.joined, 1);
	ended_sockets_fini(&sockets);
}

static void the_end_of_an_earlier_connection_is_forgotten(unused void **state)
{
	struct ended_sockets sockets;
	struct socket_tuple seven = tuple(7), eight = tuple(8);

	ended_sockets_init(&sockets, 10, KEEP);
	add(&sockets, 7, 99);
	add(&sockets, 8, 100);
	ended_sockets_forget(&sockets, &seven, false, 100);
	ended_sockets_forget(&sockets, &eight, false, 100);
	ended_sockets_forget(&sockets, &eight, true, 1000);
	assert_int_equal(take(&sockets, 7, false), -1);
	assert_int_equal(take(&sockets, 8, false), 8);
	assert_int_equal(sockets.counters.stale, 1);
	ended_sockets_fini(&sockets);
}

static void a_tuple_of_two_namespaces_is_told_of_neither(unused void **state)
{
	struct ended_sockets sockets;

	ended_sockets_init(&sockets, 10, KEEP);
	add_elsewhere(&sockets, 7, 3);
	add_elsewhere(&sockets, 7, 4);
	add(&sockets, 7, 1); /* our own is another matter */
	add_elsewhere(&sockets, 8, 3);
	add_elsewhere(&sockets, 8, 3);
	assert_int_equal(take(&sockets, 7, true), -1);
	assert_int_equal(take(&sockets, 7, false), 7);
	assert_int_equal(take(&sockets, 8, true), 3);
	assert_int_equal(sockets.counters.ambiguous, 1);
	assert_true(ended_sockets_is_empty(&sockets));
	ended_sockets_fini(&sockets);
}

static void the_oldest_makes_room(unused void **state)
{
	struct ended_sockets sockets;

	ended_sockets_init(&sockets, 2, KEEP);
	add(&sockets, 1, 1);
	add(&sockets, 2, 2);
	add(&sockets, 1, 3); /* again: now 2 is the oldest */
	add(&sockets, 3, 4);
	assert_int_equal(take(&sockets, 2, false), -1);
	assert_int_equal(take(&sockets, 1, false), 1);
	assert_int_equal(take(&sockets, 3, false), 3);
	assert_int_equal(sockets.counters.forgotten, 1);
	assert_int_equal(sockets.counters.expired, 0);
	ended_sockets_fini(&sockets);
}

static void what_nobody_asks_for_expires(unused void **state)
{
	struct ended_sockets sockets;

	ended_sockets_init(&sockets, 10, KEEP);
	add(&sockets, 1, 1);
	add(&sockets, 2, 2);
	add(&sockets, 3, KEEP + 1);
	assert_int_equal(take(&sockets, 1, false), -1);
	assert_int_equal(take(&sockets, 2, false), 2);
	assert_int_equal(sockets.counters.expired, 1);
	ended_sockets_fini(&sockets);
}

/* Against an array by port: when each was added last; 0: it is not there. */
static void random_against_a_model(unused void **state)
{
	enum { BOUND = 40, STEPS = 50000, PORTS = 100 };
	struct ended_sockets sockets;
	uint64_t model[PORTS] = {0};
	size_t count = 0;
	unsigned seed = 11;

	ended_sockets_init(&sockets, BOUND, STEPS + 1);
	for (uint64_t step = 1; step <= STEPS; step++) {
		uint16_t port = (uint16_t)(rand_r(&seed) % PORTS);

		if (rand_r(&seed) % 3 == 0) {
			assert_int_equal(take(&sockets, port, false), model[port] ? port : -1);
			count -= model[port] != 0;
			model[port] = 0;
			continue;
		}
		if (!model[port] && count++ == BOUND) {
			size_t oldest = PORTS;

			for (size_t i = 0; i < PORTS; i++)
				if (model[i] && (oldest == PORTS || model[i] < model[oldest]))
					oldest = i;
			model[oldest] = 0;
			count--;
		}
		add(&sockets, port, step);
		model[port] = step;
	}
	assert_int_equal(sockets.map.used, count);
	ended_sockets_fini(&sockets);
}

static void delivered_bytes_are_data_only(unused void **state)
{
	struct tcp_quality all = {.acked_bytes = 1002, .data_bytes = 1000};
	struct tcp_quality part = {.acked_bytes = 501, .data_bytes = 1000};
	struct tcp_quality none = {0};

	assert_int_equal(tcp_quality_get_delivered(&all, true), 1000); /* SYN and FIN */
	assert_int_equal(tcp_quality_get_delivered(&all, false), 1000);
	assert_int_equal(tcp_quality_get_delivered(&part, true), 500);
	assert_int_equal(tcp_quality_get_delivered(&part, false), 501); /* the other's SYN */
	assert_int_equal(tcp_quality_get_delivered(&none, true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_taken_once),
		cmocka_unit_test(the_end_of_an_earlier_connection_is_forgotten),
		cmocka_unit_test(a_tuple_of_two_namespaces_is_told_of_neither),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(what_nobody_asks_for_expires),
		cmocka_unit_test(random_against_a_model),
		cmocka_unit_test(delivered_bytes_are_data_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
