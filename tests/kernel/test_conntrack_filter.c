/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Socket filters on the event channel, over real connections: what libnetfilter_conntrack's state
 * filter lets through, and why the daemon has one of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "base/macros.h"
#include "sources/conntrack_filter.h"
#include "support/conntrack_recorder.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

/* "filtered" has the filter under test, "all" has none: what "all" has seen and "filtered" has not
 * was filtered, not late, because the kernel serves both in one call. */
struct fixture {
	struct conntrack_recorder *all, *filtered;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	if (network_namespace_enter() < 0 || network_namespace_track() < 0)
		return -1;
	fixture.all = conntrack_recorder_open();
	fixture.filtered = conntrack_recorder_open();
	*state = &fixture;
	return fixture.all && fixture.filtered ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	conntrack_recorder_close(fixture->all);
	conntrack_recorder_close(fixture->filtered);
	return 0;
}

struct wanted {
	enum nf_conntrack_msg_type type;
	uint16_t client_port;
	int tcp_state; /* -1: any */
};

static bool is_wanted(const struct conntrack_seen *seen, const void *userdata)
{
	const struct wanted *wanted = userdata;

	return seen->type == wanted->type &&
	       nfct_get_attr_u16(seen->entry, ATTR_ORIG_PORT_SRC) == htons(wanted->client_port) &&
	       (wanted->tcp_state < 0 ||
		nfct_get_attr_u8(seen->entry, ATTR_TCP_STATE) == wanted->tcp_state);
}

static size_t count(struct conntrack_recorder *recorder, struct wanted wanted)
{
	size_t all = conntrack_recorder_read(recorder), found = 0;

	for (size_t i = 0; i < all; i++)
		found += is_wanted(conntrack_recorder_get(recorder, i), &wanted);
	return found;
}

/* Returns the DESTROY event. */
static const struct conntrack_seen *wait_and_remove(struct fixture *fixture, struct wanted wanted)
{
	const struct conntrack_seen *seen =
		conntrack_recorder_wait(fixture->all, is_wanted, &wanted);

	assert_non_null(seen);
	assert_int_equal(conntrack_recorder_remove(seen->entry), 0);
	wanted.type = NFCT_T_DESTROY;
	wanted.tcp_state = -1;
	seen = conntrack_recorder_wait(fixture->all, is_wanted, &wanted);
	assert_non_null(seen);
	return seen;
}

/* One connection that closes, one that is reset, one UDP exchange; each is then removed. */
struct ports {
	uint16_t closed, reset, udp;
};

static struct ports make_traffic(struct fixture *fixture)
{
	struct traffic_pair closed = traffic_open(AF_INET, SOCK_STREAM, 0);
	struct traffic_pair reset = traffic_open(AF_INET, SOCK_STREAM, 0);
	struct traffic_pair udp = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct ports ports = {closed.client_port, reset.client_port, udp.client_port};

	traffic_exchange(&closed, 10);
	traffic_exchange(&reset, 10);
	traffic_exchange(&udp, 10);
	traffic_close(&closed);
	traffic_reset(&reset);
	traffic_close(&udp);
	wait_and_remove(fixture,
			(struct wanted){NFCT_T_UPDATE, ports.closed, TCP_CONNTRACK_TIME_WAIT});
	wait_and_remove(fixture, (struct wanted){NFCT_T_UPDATE, ports.reset, TCP_CONNTRACK_CLOSE});
	wait_and_remove(fixture, (struct wanted){NFCT_T_NEW, ports.udp, -1});
	return ports;
}

static void ours_passes_new_destroy_and_the_end_of_tcp(void **state)
{
	struct fixture *fixture = *state;
	struct conntrack_recorder *filtered = fixture->filtered;
	struct ports ports;

	assert_int_equal(conntrack_filter_attach(conntrack_recorder_get_fd(filtered)), 0);
	ports = make_traffic(fixture);
	/* Without the filter there is more to see, or this test would show nothing. */
	assert_true(count(fixture->all, (struct wanted){NFCT_T_UPDATE, ports.closed, -1}) > 1);
	assert_true(count(fixture->all, (struct wanted){NFCT_T_UPDATE, ports.udp, -1}) > 0);
	for (size_t i = 0; i < 3; i++) {
		uint16_t port = (uint16_t[]){ports.closed, ports.reset, ports.udp}[i];

		assert_int_equal(count(filtered, (struct wanted){NFCT_T_NEW, port, -1}), 1);
		assert_int_equal(count(filtered, (struct wanted){NFCT_T_DESTROY, port, -1}), 1);
		assert_int_equal(count(filtered, (struct wanted){NFCT_T_UPDATE, port, -1}),
				 port != ports.udp);
	}
	assert_int_equal(count(filtered, (struct wanted){NFCT_T_UPDATE, ports.closed,
							 TCP_CONNTRACK_TIME_WAIT}),
			 1);
	assert_int_equal(
		count(filtered, (struct wanted){NFCT_T_UPDATE, ports.reset, TCP_CONNTRACK_CLOSE}),
		1);
}

static void attach_library_filter(struct conntrack_recorder *recorder)
{
	struct nfct_filter *filter = nfct_filter_create();
	struct nfct_filter_proto time_wait = {IPPROTO_TCP, TCP_CONNTRACK_TIME_WAIT};
	struct nfct_filter_proto closed = {IPPROTO_TCP, TCP_CONNTRACK_CLOSE};

	nfct_filter_add_attr(filter, NFCT_FILTER_L4PROTO_STATE, &time_wait);
	nfct_filter_add_attr(filter, NFCT_FILTER_L4PROTO_STATE, &closed);
	assert_int_equal(nfct_filter_attach(conntrack_recorder_get_fd(recorder), filter), 0);
	nfct_filter_destroy(filter);
}

static void library_state_filter_drops_new_of_tcp(void **state)
{
	struct fixture *fixture = *state;
	struct ports ports;

	attach_library_filter(fixture->filtered);
	ports = make_traffic(fixture);
	assert_int_equal(count(fixture->filtered, (struct wanted){NFCT_T_NEW, ports.closed, -1}),
			 0);
	assert_int_equal(count(fixture->filtered, (struct wanted){NFCT_T_UPDATE, ports.closed, -1}),
			 1);
}

static void library_state_filter_passes_every_update_of_udp(void **state)
{
	struct fixture *fixture = *state;
	struct ports ports;

	attach_library_filter(fixture->filtered);
	ports = make_traffic(fixture);
	assert_int_equal(count(fixture->filtered, (struct wanted){NFCT_T_UPDATE, ports.udp, -1}),
			 count(fixture->all, (struct wanted){NFCT_T_UPDATE, ports.udp, -1}));
}

/* An entry that goes while it is established (conntrack -D, early drop) has that state in its
 * DESTROY event. */
static void library_state_filter_drops_destroy_in_other_states(void **state)
{
	struct fixture *fixture = *state;
	const struct conntrack_seen *destroy;
	struct traffic_pair pair;

	attach_library_filter(fixture->filtered);
	pair = traffic_open(AF_INET, SOCK_STREAM, 0);
	traffic_exchange(&pair, 10);
	destroy = wait_and_remove(fixture, (struct wanted){NFCT_T_UPDATE, pair.client_port,
							   TCP_CONNTRACK_ESTABLISHED});
	if (!nfct_attr_is_set(destroy->entry, ATTR_TCP_STATE)) {
		traffic_reset(&pair);
		print_message("skipped: DESTROY events carry no TCP state (Linux 5.12)\n");
		skip();
	}
	assert_int_equal(
		count(fixture->filtered, (struct wanted){NFCT_T_DESTROY, pair.client_port, -1}), 0);
	traffic_reset(&pair);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define in_namespace(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		in_namespace(ours_passes_new_destroy_and_the_end_of_tcp),
		in_namespace(library_state_filter_drops_new_of_tcp),
		in_namespace(library_state_filter_passes_every_update_of_udp),
		in_namespace(library_state_filter_drops_destroy_in_other_states),
	};

	if (network_namespace_enter() < 0 || network_namespace_track() < 0) {
		puts("skipped: needs CAP_SYS_ADMIN, CAP_NET_ADMIN and nf_tables with ct");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
