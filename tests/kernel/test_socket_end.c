/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the kernel announces of TCP sockets that end, as sources/socket_end leans on it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include "base/clock.h"
#include "netlink/channel.h"
#include "sources/socket_end.h"
#include "support/actor.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

enum { MOST = 256, BYTES = 10000, DEADLINE_S = 20 };

struct seen {
	struct socket_end_event events[MOST];
	size_t count;
};

static struct loop *loop;
static struct socket_end *source;
static struct seen seen;

static void on_end(void *userdata, const struct socket_end_event *event)
{
	struct seen *all = userdata;

	if (all->count < MOST)
		all->events[all->count++] = *event;
}

static const struct socket_end_event *find(uint16_t local_port, bool is_elsewhere)
{
	for (size_t i = 0; i < seen.count; i++)
		if (seen.events[i].socket.local_port == local_port &&
		    seen.events[i].is_elsewhere == is_elsewhere)
			return &seen.events[i];
	return NULL;
}

static const struct socket_end_event *wait_for(uint16_t local_port, bool is_elsewhere)
{
	uint64_t deadline_ns = clock_now_ns() + DEADLINE_S * NS_PER_SEC;

	while (!find(local_port, is_elsewhere) && clock_now_ns() < deadline_ns) {
		socket_end_drain(source);
		usleep(1000);
	}
	assert_non_null(find(local_port, is_elsewhere));
	return find(local_port, is_elsewhere);
}

static int set_up(void **state)
{
	struct socket_end_options options = {
		.all_namespaces = true, .on_end = on_end, .userdata = &seen};
	int everywhere;

	(void)state;
	seen.count = 0;
	if (loop_new(&loop) < 0 || socket_end_new(loop, &options, &everywhere, &source) < 0)
		return -1;
	return everywhere;
}

static int tear_down(void **state)
{
	(void)state;
	socket_end_free(source);
	source = NULL;
	loop_free(loop);
	return 0;
}

static void both_sockets_of_a_connection_are_told(int family)
{
	struct traffic_pair pair = traffic_open(family, SOCK_STREAM, 0);
	const struct socket_end_event *end;

	traffic_exchange(&pair, BYTES);
	traffic_close(&pair);
	end = wait_for(pair.client_port, false);
	assert_int_equal(end->socket.remote_port, pair.server_port);
	assert_int_equal(end->socket.family, family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6);
	assert_true(end->quality.has_counters);
	assert_int_equal(end->quality.retransmissions, 0);
	assert_int_equal(tcp_quality_get_delivered(&end->quality, true), BYTES);
	assert_true(end->quality.rtt_us > 0);
	assert_true(end->quality.min_rtt_us > 0 && end->quality.min_rtt_us <= NS_PER_SEC / 1000);
	end = wait_for(pair.server_port, false);
	assert_int_equal(end->socket.remote_port, pair.client_port);
	assert_int_equal(tcp_quality_get_delivered(&end->quality, false), BYTES);
}

static void test_ipv4(void **state)
{
	(void)state;
	both_sockets_of_a_connection_are_told(AF_INET);
	/* The listener that traffic_open() made. */
	assert_true(socket_end_get_counters(source)->unconnected >= 1);
}

static void test_ipv6(void **state)
{
	(void)state;
	both_sockets_of_a_connection_are_told(AF_INET6);
}

/* SO_LINGER 0 disconnects the socket: nothing of the connection is left, not even the peer. */
static void test_a_reset_socket_has_no_peer(void **state)
{
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);

	(void)state;
	traffic_exchange(&pair, 10);
	traffic_reset(&pair);
	(void)wait_for(pair.server_port, false);
	assert_null(find(pair.client_port, false));
}

/* Gives the namespace of "pid" a number here, as a wire to it would. */
static void give_number(pid_t pid, uint32_t number)
{
	uint8_t bytes[64] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *request = mnl_nlmsg_put_header(bytes);
	struct rtgenmsg *family = mnl_nlmsg_put_extra_header(request, sizeof(*family));
	struct netlink_channel *channel;

	request->nlmsg_type = RTM_NEWNSID;
	request->nlmsg_flags = NLM_F_ACK;
	family->rtgen_family = AF_UNSPEC;
	mnl_attr_put_u32(request, NETNSA_PID, (uint32_t)pid);
	mnl_attr_put_u32(request, NETNSA_NSID, number);
	assert_int_equal(netlink_channel_open(NETLINK_ROUTE, &channel), 0);
	assert_int_equal(netlink_channel_request(channel, request, NULL, NULL), 0);
	netlink_channel_close(channel);
}

static int64_t do_unshare(int64_t argument)
{
	(void)argument;
	return network_namespace_enter();
}

static int64_t do_connect(int64_t argument)
{
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);

	(void)argument;
	traffic_exchange(&pair, BYTES);
	traffic_close(&pair);
	return pair.client_port;
}

static uint16_t connect_in(const struct actor *actor)
{
	int64_t port = actor_tell(actor, do_connect, 0);

	assert_true(port > 0);
	return (uint16_t)port;
}

static void test_a_namespace_is_heard_once_it_has_a_number(void **state)
{
	struct actor actor = actor_start();
	uint16_t before, after;

	(void)state;
	assert_int_equal(actor_tell(&actor, do_unshare, 0), 0);
	before = connect_in(&actor);
	give_number(actor.pid, 1234);
	after = connect_in(&actor);
	assert_int_equal(wait_for(after, true)->namespace, 1234);
	assert_null(find(after, false));
	assert_null(find(before, true));
	actor_stop(&actor);
}

/* Ours may be given a number, too, and Linux 6.18 does not tell it; it is ours all the same. */
static void test_our_own_namespace_with_a_number(void **state)
{
	struct traffic_pair pair;

	give_number(getpid(), 7);
	tear_down(state);
	assert_int_equal(set_up(state), 0);
	pair = traffic_open(AF_INET, SOCK_STREAM, 0);
	traffic_close(&pair);
	(void)wait_for(pair.client_port, false);
	assert_null(find(pair.client_port, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ipv4, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ipv6, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_reset_socket_has_no_peer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_namespace_is_heard_once_it_has_a_number,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_our_own_namespace_with_a_number, set_up,
						tear_down),
	};

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
