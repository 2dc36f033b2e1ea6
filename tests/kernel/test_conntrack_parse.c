/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Real messages of the kernel, read by us and by libnetfilter_conntrack: both must say the same. */

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "sources/conntrack_parse.h"
#include "support/conntrack_recorder.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

static const struct conntrack_timeouts no_timeouts;

static int set_up(unused void **state)
{
	if (network_namespace_enter() < 0 || network_namespace_track() < 0 ||
	    network_namespace_set("netfilter/nf_conntrack_acct", "1") < 0)
		return -1;
	return network_namespace_set("netfilter/nf_conntrack_timestamp", "1");
}

static uint16_t port(const struct nf_conntrack *entry, enum nf_conntrack_attr attribute)
{
	return ntohs(nfct_get_attr_u16(entry, attribute));
}

static void compare_addresses(const struct nf_conntrack *entry, const struct flow_event *event)
{
	bool v4 = event->key.family == IP_FAMILY_V4;
	size_t length = v4 ? 4 : 16;

	assert_memory_equal(event->key.tuple.src.bytes,
			    nfct_get_attr(entry, v4 ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV6_SRC),
			    length);
	assert_memory_equal(event->key.tuple.dst.bytes,
			    nfct_get_attr(entry, v4 ? ATTR_ORIG_IPV4_DST : ATTR_ORIG_IPV6_DST),
			    length);
	assert_memory_equal(event->reply.src.bytes,
			    nfct_get_attr(entry, v4 ? ATTR_REPL_IPV4_SRC : ATTR_REPL_IPV6_SRC),
			    length);
	assert_memory_equal(event->reply.dst.bytes,
			    nfct_get_attr(entry, v4 ? ATTR_REPL_IPV4_DST : ATTR_REPL_IPV6_DST),
			    length);
}

static void compare_ports(const struct nf_conntrack *entry, const struct flow_event *event)
{
	if (nfct_attr_is_set(entry, ATTR_ICMP_TYPE)) {
		assert_int_equal(event->key.tuple.dst_port,
				 nfct_get_attr_u8(entry, ATTR_ICMP_TYPE) * 256 +
					 nfct_get_attr_u8(entry, ATTR_ICMP_CODE));
		return;
	}
	assert_int_equal(event->key.tuple.src_port, port(entry, ATTR_ORIG_PORT_SRC));
	assert_int_equal(event->key.tuple.dst_port, port(entry, ATTR_ORIG_PORT_DST));
	assert_int_equal(event->reply.src_port, port(entry, ATTR_REPL_PORT_SRC));
	assert_int_equal(event->reply.dst_port, port(entry, ATTR_REPL_PORT_DST));
}

static void compare_counters(const struct nf_conntrack *entry, const struct flow_event *event)
{
	assert_int_equal(event->has_counters, nfct_attr_is_set(entry, ATTR_ORIG_COUNTER_PACKETS));
	if (!event->has_counters)
		return;
	assert_int_equal(event->counters.in_packets,
			 nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_PACKETS));
	assert_int_equal(event->counters.in_bytes,
			 nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_BYTES));
	assert_int_equal(event->counters.out_packets,
			 nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_PACKETS));
	assert_int_equal(event->counters.out_bytes,
			 nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_BYTES));
}

/* Whether the message was one that we take in. */
static bool compare(const struct conntrack_seen *seen)
{
	int64_t offset_ns = clock_wall_offset_ns();
	const struct wall_steps wall = {
		.periods = {{.from_ns = 1, .until_ns = 1, .offset_ns = offset_ns}}, .count = 1};
	struct conntrack_parse_context context = {
		.timeouts = &no_timeouts, .now_ns = clock_now_ns(), .wall = &wall};
	const struct nf_conntrack *entry = seen->entry;
	struct flow_event event;
	int r = conntrack_parse(seen->message, false, &context, &event);

	if (r == CONNTRACK_PARSE_OTHER)
		return false;
	assert_int_equal(r, CONNTRACK_PARSED);
	assert_int_equal(event.key.protocol, nfct_get_attr_u8(entry, ATTR_ORIG_L4PROTO));
	assert_int_equal(event.conntrack_id, nfct_get_attr_u32(entry, ATTR_ID));
	assert_int_equal(event.tcp_state, nfct_get_attr_u8(entry, ATTR_TCP_STATE));
	assert_false(event.is_translated);
	compare_addresses(entry, &event);
	compare_ports(entry, &event);
	compare_counters(entry, &event);
	if (nfct_attr_is_set(entry, ATTR_TIMESTAMP_START))
		assert_int_equal((int64_t)event.start_ns + offset_ns,
				 nfct_get_attr_u64(entry, ATTR_TIMESTAMP_START));
	return true;
}

static bool is_destroy_of_udp(const struct conntrack_seen *seen, unused const void *userdata)
{
	return seen->type == NFCT_T_DESTROY &&
	       nfct_get_attr_u8(seen->entry, ATTR_ORIG_L4PROTO) == IPPROTO_UDP &&
	       nfct_get_attr_u8(seen->entry, ATTR_ORIG_L3PROTO) == AF_INET6;
}

static bool is_new_udp6(const struct conntrack_seen *seen, unused const void *userdata)
{
	return seen->type == NFCT_T_NEW &&
	       nfct_get_attr_u8(seen->entry, ATTR_ORIG_L4PROTO) == IPPROTO_UDP &&
	       nfct_get_attr_u8(seen->entry, ATTR_ORIG_L3PROTO) == AF_INET6;
}

static void make_traffic(int family)
{
	struct traffic_pair stream = traffic_open(family, SOCK_STREAM, 0);
	struct traffic_pair datagram;

	traffic_exchange(&stream, 5000);
	traffic_close(&stream);
	traffic_ping(family, 77);
	datagram = traffic_open(family, SOCK_DGRAM, 0);
	traffic_exchange(&datagram, 100);
	traffic_close(&datagram);
}

static void test_we_and_the_library_read_the_same(unused void **state)
{
	struct conntrack_recorder *recorder = conntrack_recorder_open();
	const struct conntrack_seen *seen;
	size_t count, compared = 0;

	assert_non_null(recorder);
	make_traffic(AF_INET);
	make_traffic(AF_INET6);
	seen = conntrack_recorder_wait(recorder, is_new_udp6, NULL);
	assert_non_null(seen);
	assert_int_equal(conntrack_recorder_remove(seen->entry), 0);
	assert_non_null(conntrack_recorder_wait(recorder, is_destroy_of_udp, NULL));
	assert_int_equal(conntrack_recorder_dump(recorder), 0);
	count = conntrack_recorder_read(recorder);
	for (size_t i = 0; i < count; i++)
		compared += compare(conntrack_recorder_get(recorder, i));
	/* NEW of six flows, the close of two connections, one DESTROY at least. */
	if (compared < 9)
		print_error("%zu of %zu messages were ours\n", compared, count);
	assert_true(compared >= 9);
	conntrack_recorder_close(recorder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_we_and_the_library_read_the_same, set_up),
	};

	if (set_up(NULL) < 0) {
		printf("skipped: no network namespace, or nft cannot track there\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
