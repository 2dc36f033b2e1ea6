/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What ctnetlink announces about a flow, and what it keeps to itself
 * (net/netfilter/nf_conntrack_netlink.c, ctnetlink_conntrack_event()). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "base/clock.h"
#include "base/macros.h"
#include "support/conntrack_entry.h"
#include "support/conntrack_recorder.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

/* What a test waits for: the event of a type for a flow by its client's port, and of TCP by its
 * state (0: any). */
struct wanted {
	enum nf_conntrack_msg_type type;
	uint16_t client_port;
	uint8_t tcp_state;
};

static bool is_wanted(const struct conntrack_seen *seen, const void *userdata)
{
	const struct wanted *wanted = userdata;

	return seen->type == wanted->type &&
	       nfct_get_attr_u16(seen->entry, ATTR_ORIG_PORT_SRC) == htons(wanted->client_port) &&
	       (!wanted->tcp_state ||
		nfct_get_attr_u8(seen->entry, ATTR_TCP_STATE) == wanted->tcp_state);
}

static const struct nf_conntrack *wait_event(struct conntrack_recorder *recorder,
					     struct wanted wanted)
{
	const struct conntrack_seen *seen = conntrack_recorder_wait(recorder, is_wanted, &wanted);

	assert_non_null(seen);
	return seen->entry;
}

static bool has_counters(const struct nf_conntrack *entry)
{
	return nfct_attr_is_set(entry, ATTR_ORIG_COUNTER_BYTES) ||
	       nfct_attr_is_set(entry, ATTR_REPL_COUNTER_PACKETS);
}

static bool has_timestamps(const struct nf_conntrack *entry)
{
	return nfct_attr_is_set(entry, ATTR_TIMESTAMP_START) ||
	       nfct_attr_is_set(entry, ATTR_TIMESTAMP_STOP);
}

static int set_up(void **state)
{
	if (network_namespace_enter() < 0 || network_namespace_track() < 0 ||
	    network_namespace_set("netfilter/nf_conntrack_acct", "1") < 0 ||
	    network_namespace_set("netfilter/nf_conntrack_timestamp", "1") < 0)
		return -1;
	*state = conntrack_recorder_open();
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	conntrack_recorder_close(*state);
	return 0;
}

static void only_destroy_carries_counters_and_timestamps(void **state)
{
	struct conntrack_recorder *recorder = *state;
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);
	uint16_t port = pair.client_port;
	const struct nf_conntrack *entry;

	traffic_exchange(&pair, 1000);
	entry = wait_event(recorder, (struct wanted){NFCT_T_NEW, port, 0});
	assert_false(has_counters(entry));
	assert_false(has_timestamps(entry));
	traffic_close(&pair);
	entry = wait_event(recorder, (struct wanted){NFCT_T_UPDATE, port, TCP_CONNTRACK_TIME_WAIT});
	assert_false(has_counters(entry));
	assert_false(has_timestamps(entry));
	assert_int_equal(conntrack_recorder_remove(entry), 0);
	entry = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, port, 0});
	assert_true(nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_BYTES) > 1000);
	assert_true(nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_BYTES) > 1000);
	assert_true(nfct_attr_is_set(entry, ATTR_TIMESTAMP_START));
	assert_true(nfct_attr_is_set(entry, ATTR_TIMESTAMP_STOP));
}

static void query_at_time_wait_gives_the_final_counters(void **state)
{
	static const enum nf_conntrack_attr counters[] = {
		ATTR_ORIG_COUNTER_BYTES, ATTR_ORIG_COUNTER_PACKETS, ATTR_REPL_COUNTER_BYTES,
		ATTR_REPL_COUNTER_PACKETS};
	struct conntrack_recorder *recorder = *state;
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);
	uint16_t port = pair.client_port;
	const struct nf_conntrack *update, *destroy;
	struct nf_conntrack *answer;

	traffic_exchange(&pair, 5000);
	traffic_close(&pair);
	update =
		wait_event(recorder, (struct wanted){NFCT_T_UPDATE, port, TCP_CONNTRACK_TIME_WAIT});
	answer = conntrack_recorder_query(update);
	assert_non_null(answer);
	assert_int_equal(conntrack_recorder_remove(update), 0);
	destroy = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, port, 0});
	for (size_t i = 0; i < array_length(counters); i++) {
		assert_true(nfct_get_attr_u64(answer, counters[i]) > 0);
		assert_int_equal(nfct_get_attr_u64(answer, counters[i]),
				 nfct_get_attr_u64(destroy, counters[i]));
	}
	assert_true(nfct_attr_is_set(answer, ATTR_TIMESTAMP_START));
	assert_false(nfct_attr_is_set(answer, ATTR_TIMESTAMP_STOP));
	nfct_destroy(answer);
}

static void timestamps_are_wall_clock_nanoseconds(void **state)
{
	struct conntrack_recorder *recorder = *state;
	uint64_t before = clock_wall_ns(), start, stop;
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	const struct nf_conntrack *entry;

	traffic_exchange(&pair, 10);
	entry = wait_event(recorder, (struct wanted){NFCT_T_NEW, pair.client_port, 0});
	assert_int_equal(conntrack_recorder_remove(entry), 0);
	entry = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, pair.client_port, 0});
	start = nfct_get_attr_u64(entry, ATTR_TIMESTAMP_START);
	stop = nfct_get_attr_u64(entry, ATTR_TIMESTAMP_STOP);
	assert_in_range(start, before, stop);
	assert_in_range(stop, start, clock_wall_ns());
	traffic_close(&pair);
}

static void without_accounting_counters_are_absent_not_zero(void **state)
{
	struct conntrack_recorder *recorder = *state;
	const struct nf_conntrack *entry;
	struct traffic_pair pair;

	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_acct", "0"), 0);
	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_timestamp", "0"), 0);
	pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	traffic_exchange(&pair, 10);
	entry = wait_event(recorder, (struct wanted){NFCT_T_NEW, pair.client_port, 0});
	assert_int_equal(conntrack_recorder_remove(entry), 0);
	entry = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, pair.client_port, 0});
	assert_false(has_counters(entry));
	assert_false(has_timestamps(entry));
	traffic_close(&pair);
}

static size_t count_events(struct conntrack_recorder *recorder, struct wanted wanted)
{
	size_t all = conntrack_recorder_read(recorder), count = 0;

	for (size_t i = 0; i < all; i++)
		count += is_wanted(conntrack_recorder_get(recorder, i), &wanted);
	return count;
}

/* The same client port to the same server port, by a new socket. */
static void udp_port_reuse_gives_no_new_event(void **state)
{
	struct conntrack_recorder *recorder = *state;
	struct traffic_pair first = traffic_open(AF_INET, SOCK_DGRAM, 0), other;
	struct sockaddr_in server = {.sin_family = AF_INET,
				     .sin_port = htons(first.server_port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint16_t port = first.client_port;
	const struct nf_conntrack *entry;

	traffic_exchange(&first, 100);
	wait_event(recorder, (struct wanted){NFCT_T_NEW, port, 0});
	close(first.client);
	other = traffic_open(AF_INET, SOCK_DGRAM, port);
	assert_int_equal(connect(other.client, (struct sockaddr *)&server, sizeof(server)), 0);
	first.client = other.client;
	traffic_exchange(&first, 100);
	entry = conntrack_recorder_get(recorder, 0)->entry;
	assert_int_equal(conntrack_recorder_remove(entry), 0);
	entry = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, port, 0});
	assert_int_equal(count_events(recorder, (struct wanted){NFCT_T_NEW, port, 0}), 1);
	assert_int_equal(nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_PACKETS), 2);
	close(other.client);
	close(other.server);
	close(first.server);
}

static bool is_listed(const struct conntrack_seen *seen, const void *userdata)
{
	const struct wanted *wanted = userdata;

	return (seen->message->nlmsg_flags & NLM_F_MULTI) && is_wanted(seen, wanted);
}

static void id_is_the_same_in_new_dump_query_and_destroy(void **state)
{
	struct conntrack_recorder *recorder = *state;
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct wanted listed = {NFCT_T_UPDATE, pair.client_port, 0};
	const struct conntrack_seen *dumped;
	const struct nf_conntrack *entry;
	struct nf_conntrack *answer;
	uint32_t id;

	traffic_exchange(&pair, 10);
	entry = wait_event(recorder, (struct wanted){NFCT_T_NEW, pair.client_port, 0});
	id = nfct_get_attr_u32(entry, ATTR_ID);
	assert_int_not_equal(id, 0);
	assert_int_equal(conntrack_recorder_dump(recorder), 0);
	dumped = conntrack_recorder_wait(recorder, is_listed, &listed);
	assert_non_null(dumped);
	assert_int_equal(nfct_get_attr_u32(dumped->entry, ATTR_ID), id);
	answer = conntrack_recorder_query(entry);
	assert_non_null(answer);
	assert_int_equal(nfct_get_attr_u32(answer, ATTR_ID), id);
	nfct_destroy(answer);
	assert_int_equal(conntrack_recorder_remove(entry), 0);
	entry = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, pair.client_port, 0});
	assert_int_equal(nfct_get_attr_u32(entry, ATTR_ID), id);
	traffic_close(&pair);
}

/* The states of the NEW and UPDATE events of one connection, in order. */
static size_t read_states(struct conntrack_recorder *recorder, uint16_t port, uint8_t *out,
			  size_t size)
{
	size_t all = conntrack_recorder_read(recorder), count = 0;

	for (size_t i = 0; i < all && count < size; i++) {
		const struct conntrack_seen *seen = conntrack_recorder_get(recorder, i);

		if (nfct_get_attr_u16(seen->entry, ATTR_ORIG_PORT_SRC) == htons(port) &&
		    seen->type != NFCT_T_DESTROY)
			out[count++] = nfct_get_attr_u8(seen->entry, ATTR_TCP_STATE);
	}
	return count;
}

static void tcp_states_of_a_normal_close(void **state)
{
	static const uint8_t expected[] = {TCP_CONNTRACK_SYN_SENT,    TCP_CONNTRACK_SYN_RECV,
					   TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_FIN_WAIT,
					   TCP_CONNTRACK_LAST_ACK,    TCP_CONNTRACK_TIME_WAIT};
	struct conntrack_recorder *recorder = *state;
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);
	uint16_t port = pair.client_port;
	uint8_t states[16];

	traffic_exchange(&pair, 10);
	traffic_close(&pair);
	wait_event(recorder, (struct wanted){NFCT_T_UPDATE, port, TCP_CONNTRACK_TIME_WAIT});
	assert_int_equal(read_states(recorder, port, states, sizeof(states)), sizeof(expected));
	assert_memory_equal(states, expected, sizeof(expected));
}

static void tcp_states_of_a_reset(void **state)
{
	static const uint8_t expected[] = {TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_RECV,
					   TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_CLOSE};
	struct conntrack_recorder *recorder = *state;
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);
	uint16_t port = pair.client_port;
	uint8_t states[16];

	traffic_exchange(&pair, 10);
	traffic_reset(&pair);
	wait_event(recorder, (struct wanted){NFCT_T_UPDATE, port, TCP_CONNTRACK_CLOSE});
	assert_int_equal(read_states(recorder, port, states, sizeof(states)), sizeof(expected));
	assert_memory_equal(states, expected, sizeof(expected));
}

static void destroy_tells_the_last_tcp_state(void **state)
{
	struct conntrack_recorder *recorder = *state;
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);
	uint16_t port = pair.client_port;
	const struct nf_conntrack *entry;

	traffic_close(&pair);
	entry = wait_event(recorder, (struct wanted){NFCT_T_UPDATE, port, TCP_CONNTRACK_TIME_WAIT});
	assert_int_equal(conntrack_recorder_remove(entry), 0);
	entry = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, port, 0});
	if (!nfct_attr_is_set(entry, ATTR_TCP_STATE)) {
		print_message("skipped: DESTROY events carry no TCP state (Linux 5.12)\n");
		skip();
	}
	assert_int_equal(nfct_get_attr_u8(entry, ATTR_TCP_STATE), TCP_CONNTRACK_TIME_WAIT);
}

static bool is_icmp_new(const struct conntrack_seen *seen, const void *userdata)
{
	return seen->type == NFCT_T_NEW &&
	       nfct_get_attr_u8(seen->entry, ATTR_ORIG_L4PROTO) == *(const uint8_t *)userdata;
}

static void check_ping(struct conntrack_recorder *recorder, int family, uint8_t protocol,
		       uint8_t request_type)
{
	const struct conntrack_seen *seen;

	traffic_ping(family, 4711);
	seen = conntrack_recorder_wait(recorder, is_icmp_new, &protocol);
	assert_non_null(seen);
	assert_int_equal(nfct_get_attr_u8(seen->entry, ATTR_ICMP_TYPE), request_type);
	assert_int_equal(nfct_get_attr_u8(seen->entry, ATTR_ICMP_CODE), 0);
	assert_int_equal(ntohs(nfct_get_attr_u16(seen->entry, ATTR_ICMP_ID)), 4711);
	assert_false(nfct_attr_is_set(seen->entry, ATTR_ORIG_PORT_SRC));
}

static void icmp_has_id_type_and_code(void **state)
{
	check_ping(*state, AF_INET, IPPROTO_ICMP, ICMP_ECHO);
}

static void icmpv6_has_id_type_and_code(void **state)
{
	check_ping(*state, AF_INET6, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST);
}

/* Both directions in a zone: CTA_ZONE at the top level, which the library calls ATTR_ZONE. */
static void zone_of_both_directions_is_attr_zone(void **state)
{
	struct conntrack_recorder *recorder = *state;
	const struct nf_conntrack *entry;
	struct traffic_pair pair;

	assert_int_equal(network_namespace_run_nft(
				 "table inet test_zone {"
				 "	chain out { type filter hook output priority raw;"
				 "		meta l4proto udp ct zone set 7; };"
				 "	chain pre { type filter hook prerouting priority raw;"
				 "		meta l4proto udp ct zone set 7; }; }"),
			 0);
	pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	traffic_exchange(&pair, 10);
	entry = wait_event(recorder, (struct wanted){NFCT_T_NEW, pair.client_port, 0});
	assert_int_equal(nfct_get_attr_u16(entry, ATTR_ZONE), 7);
	assert_false(nfct_attr_is_set(entry, ATTR_ORIG_ZONE));
	assert_int_equal(conntrack_recorder_remove(entry), 0);
	entry = wait_event(recorder, (struct wanted){NFCT_T_DESTROY, pair.client_port, 0});
	assert_int_equal(nfct_get_attr_u16(entry, ATTR_ZONE), 7);
	traffic_close(&pair);
}

/* A zone of one direction only stands in that direction's tuple: CTA_TUPLE_ZONE. A question may
 * name it as CTA_ZONE all the same. */
static void zone_of_the_original_direction_is_attr_orig_zone(void **state)
{
	struct conntrack_recorder *recorder = *state;
	const struct nf_conntrack *entry;
	struct nf_conntrack *question, *answer;
	struct traffic_pair pair;

	assert_int_equal(network_namespace_run_nft(
				 "table inet test_zone {"
				 "	chain out { type filter hook output priority raw;"
				 "		meta l4proto udp ct original zone set 9; }; }"),
			 0);
	pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	traffic_exchange(&pair, 10);
	entry = wait_event(recorder, (struct wanted){NFCT_T_NEW, pair.client_port, 0});
	assert_int_equal(nfct_get_attr_u16(entry, ATTR_ORIG_ZONE), 9);
	assert_false(nfct_attr_is_set(entry, ATTR_ZONE));
	assert_false(nfct_attr_is_set(entry, ATTR_REPL_ZONE));
	question = nfct_clone(entry);
	nfct_set_attr_u16(question, ATTR_ZONE, 9);
	answer = conntrack_recorder_query(question);
	assert_non_null(answer);
	assert_int_equal(nfct_get_attr_u32(answer, ATTR_ID), nfct_get_attr_u32(entry, ATTR_ID));
	nfct_destroy(answer);
	nfct_destroy(question);
	traffic_close(&pair);
}

/* What the injector of the benchmarks can and cannot make. */
static void counters_cannot_be_set_from_outside(void **state)
{
	struct conntrack_recorder *recorder = *state;
	struct conntrack_entry entry = {
		.timeout_s = 60, .family = AF_INET, .protocol = IPPROTO_UDP};
	struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
	char buffer[1024];
	struct nlmsghdr *message = conntrack_entry_put_create(buffer, &entry);
	struct nlattr *counters = mnl_attr_nest_start(message, CTA_COUNTERS_ORIG);
	const struct nf_conntrack *made;
	struct nf_conntrack *answer;

	mnl_attr_put_u64(message, CTA_COUNTERS_PACKETS, htobe64(5));
	mnl_attr_put_u64(message, CTA_COUNTERS_BYTES, htobe64(500));
	mnl_attr_nest_end(message, counters);
	assert_true(mnl_socket_sendto(socket, message, message->nlmsg_len) > 0);
	made = wait_event(recorder, (struct wanted){NFCT_T_NEW, CONNTRACK_ENTRY_FIRST_PORT, 0});
	answer = conntrack_recorder_query(made);
	assert_non_null(answer);
	assert_true(nfct_attr_is_set(answer, ATTR_ORIG_COUNTER_BYTES));
	assert_int_equal(nfct_get_attr_u64(answer, ATTR_ORIG_COUNTER_BYTES), 0);
	assert_int_equal(nfct_get_attr_u64(answer, ATTR_ORIG_COUNTER_PACKETS), 0);
	nfct_destroy(answer);
	mnl_socket_close(socket);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define in_namespace(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		in_namespace(only_destroy_carries_counters_and_timestamps),
		in_namespace(query_at_time_wait_gives_the_final_counters),
		in_namespace(timestamps_are_wall_clock_nanoseconds),
		in_namespace(without_accounting_counters_are_absent_not_zero),
		in_namespace(udp_port_reuse_gives_no_new_event),
		in_namespace(id_is_the_same_in_new_dump_query_and_destroy),
		in_namespace(tcp_states_of_a_normal_close),
		in_namespace(tcp_states_of_a_reset),
		in_namespace(destroy_tells_the_last_tcp_state),
		in_namespace(icmp_has_id_type_and_code),
		in_namespace(icmpv6_has_id_type_and_code),
		in_namespace(zone_of_both_directions_is_attr_zone),
		in_namespace(zone_of_the_original_direction_is_attr_orig_zone),
		in_namespace(counters_cannot_be_set_from_outside),
	};

	if (network_namespace_enter() < 0 || network_namespace_track() < 0) {
		puts("skipped: needs CAP_SYS_ADMIN, CAP_NET_ADMIN and nf_tables with ct");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
