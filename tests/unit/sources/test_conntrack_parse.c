/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/conntrack_parse.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

enum { NOW_S = 5000, WALL_S = 1700000000 };

static const struct conntrack_timeouts timeouts = {
	.ns =
		{
			[CONNTRACK_TIMEOUT_UDP] = 30 * NS_PER_SEC,
			[CONNTRACK_TIMEOUT_UDP_STREAM] = 120 * NS_PER_SEC,
			[CONNTRACK_TIMEOUT_ICMP] = 30 * NS_PER_SEC,
			[CONNTRACK_TIMEOUT_TCP_ESTABLISHED] = 432000 * NS_PER_SEC,
			[CONNTRACK_TIMEOUT_TCP_TIME_WAIT] = 120 * NS_PER_SEC,
			[CONNTRACK_TIMEOUT_TCP_RETRANSMITTED] = 300 * NS_PER_SEC,
			[CONNTRACK_TIMEOUT_TCP_UNACKNOWLEDGED] = 200 * NS_PER_SEC,
		},
};

static const struct wall_steps wall = {
	.periods = {{.from_ns = 1, .until_ns = 1, .offset_ns = (int64_t)(WALL_S * NS_PER_SEC)}},
	.count = 1,
};

static const struct conntrack_parse_context context = {
	.timeouts = &timeouts,
	.now_ns = NOW_S * NS_PER_SEC,
	.wall = &wall,
};

/* What a test says about an entry; what is 0 or NULL is left out. */
struct entry {
	uint8_t protocol;
	const char *src, *dst, *reply_src, *reply_dst;
	uint16_t src_port, dst_port, reply_src_port, reply_dst_port;
	uint16_t icmp_id, zone;
	uint8_t icmp_type, icmp_code;
	uint32_t id, status, timeout;
	uint64_t packets, bytes, start_s, stop_s;
	uint8_t tcp_state;
};

static void put_address(struct nlmsghdr *message, const char *text, bool is_src)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1) {
		mnl_attr_put(message, is_src ? CTA_IP_V4_SRC : CTA_IP_V4_DST, 4, bytes);
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
	mnl_attr_put(message, is_src ? CTA_IP_V6_SRC : CTA_IP_V6_DST, 16, bytes);
}

static void put_tuple(struct nlmsghdr *message, const struct entry *entry, bool is_reply)
{
	struct nlattr *tuple =
		mnl_attr_nest_start(message, is_reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
	struct nlattr *part = mnl_attr_nest_start(message, CTA_TUPLE_IP);

	put_address(message, is_reply ? entry->reply_src : entry->src, true);
	put_address(message, is_reply ? entry->reply_dst : entry->dst, false);
	mnl_attr_nest_end(message, part);
	part = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, entry->protocol);
	if (entry->protocol == IPPROTO_ICMP) {
		mnl_attr_put_u16(message, CTA_PROTO_ICMP_ID, htons(entry->icmp_id));
		mnl_attr_put_u8(message, CTA_PROTO_ICMP_TYPE, is_reply ? 0 : entry->icmp_type);
		mnl_attr_put_u8(message, CTA_PROTO_ICMP_CODE, entry->icmp_code);
	} else {
		mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT,
				 htons(is_reply ? entry->reply_src_port : entry->src_port));
		mnl_attr_put_u16(message, CTA_PROTO_DST_PORT,
				 htons(is_reply ? entry->reply_dst_port : entry->dst_port));
	}
	mnl_attr_nest_end(message, part);
	mnl_attr_nest_end(message, tuple);
}

static void put_counters(struct nlmsghdr *message, uint16_t type, uint64_t packets, uint64_t bytes)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put_u64(message, CTA_COUNTERS_PACKETS, htobe64(packets));
	mnl_attr_put_u64(message, CTA_COUNTERS_BYTES, htobe64(bytes));
	mnl_attr_nest_end(message, nest);
}

static void put_rest(struct nlmsghdr *message, const struct entry *entry)
{
	struct nlattr *nest, *inner;

	mnl_attr_put_u32(message, CTA_ID, htonl(entry->id));
	mnl_attr_put_u32(message, CTA_STATUS, htonl(entry->status));
	if (entry->zone)
		mnl_attr_put_u16(message, CTA_ZONE, htons(entry->zone));
	if (entry->timeout)
		mnl_attr_put_u32(message, CTA_TIMEOUT, htonl(entry->timeout));
	if (entry->packets) {
		put_counters(message, CTA_COUNTERS_ORIG, entry->packets, entry->bytes);
		put_counters(message, CTA_COUNTERS_REPLY, entry->packets / 2, entry->bytes / 2);
	}
	if (entry->start_s) {
		nest = mnl_attr_nest_start(message, CTA_TIMESTAMP);
		mnl_attr_put_u64(message, CTA_TIMESTAMP_START,
				 htobe64(entry->start_s * NS_PER_SEC));
		if (entry->stop_s)
			mnl_attr_put_u64(message, CTA_TIMESTAMP_STOP,
					 htobe64(entry->stop_s * NS_PER_SEC));
		mnl_attr_nest_end(message, nest);
	}
	if (entry->tcp_state) {
		nest = mnl_attr_nest_start(message, CTA_PROTOINFO);
		inner = mnl_attr_nest_start(message, CTA_PROTOINFO_TCP);
		mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_STATE, entry->tcp_state);
		mnl_attr_nest_end(message, inner);
		mnl_attr_nest_end(message, nest);
	}
}

static struct nlmsghdr *make_message(void *buffer, uint8_t type, uint16_t flags,
				     const struct entry *entry)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header;

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	message->nlmsg_flags = flags;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = strchr(entry->src, ':') ? AF_INET6 : AF_INET;
	header->version = NFNETLINK_V0;
	put_tuple(message, entry, false);
	put_tuple(message, entry, true);
	put_rest(message, entry);
	return message;
}

static const struct entry web = {
	.protocol = IPPROTO_TCP,
	.src = "10.0.0.5",
	.dst = "10.0.0.9",
	.reply_src = "10.0.0.9",
	.reply_dst = "10.0.0.5",
	.src_port = 50684,
	.dst_port = 80,
	.reply_src_port = 80,
	.reply_dst_port = 50684,
	.id = 0xcafe,
	.tcp_state = TCP_CONNTRACK_SYN_SENT,
};

static int parse(uint8_t type, uint16_t flags, bool is_answer, const struct entry *entry,
		 struct flow_event *ret)
{
	char buffer[2048] = {0};

	return conntrack_parse(make_message(buffer, type, flags, entry), is_answer, &context, ret);
}

static void test_new(unused void **state)
{
	struct flow_event event;

	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, false, &web, &event),
			 0);
	assert_int_equal(event.type, FLOW_EVENT_NEW);
	assert_int_equal(event.key.family, IP_FAMILY_V4);
	assert_int_equal(event.key.protocol, IPPROTO_TCP);
	assert_int_equal(event.key.tuple.src_port, 50684);
	assert_int_equal(event.key.tuple.dst_port, 80);
	assert_memory_equal(event.key.tuple.src.bytes, "\x0a\x00\x00\x05\x00", 5);
	assert_int_equal(event.conntrack_id, 0xcafe);
	assert_false(event.has_counters);
	assert_false(event.is_translated);
	assert_int_equal(event.start_ns, 0);
}

/* Linux 6.14 and later. */
static struct nlmsghdr *make_timed(void *buffer, uint16_t flags, uint64_t event_wall_ns)
{
	struct entry entry = web;
	struct nlmsghdr *message;

	entry.tcp_state = flags ? TCP_CONNTRACK_SYN_SENT : TCP_CONNTRACK_TIME_WAIT;
	message = make_message(buffer, IPCTNL_MSG_CT_NEW, flags, &entry);
	mnl_attr_put_u64(message, 27, htobe64(event_wall_ns));
	return message;
}

static void test_event_has_its_time(unused void **state)
{
	struct conntrack_parse_context late = context;
	uint64_t wall_ns = (WALL_S + NOW_S) * NS_PER_SEC;
	char buffer[2048] = {0};
	struct flow_event event;

	late.not_before_ns = late.now_ns - NS_PER_SEC;
	assert_int_equal(conntrack_parse(make_timed(buffer, NLM_F_CREATE, wall_ns - 5), false,
					 &late, &event),
			 CONNTRACK_PARSED);
	assert_int_equal(event.start_ns, NOW_S * NS_PER_SEC - 5);
	assert_int_equal(conntrack_parse(make_timed(buffer, 0, wall_ns - 7), false, &late, &event),
			 CONNTRACK_PARSED);
	assert_int_equal(event.type, FLOW_EVENT_CLOSED);
	assert_int_equal(event.last_packet_ns, NOW_S * NS_PER_SEC - 7);
	/* It was not there when the events were read last. */
	wall_ns -= NS_PER_SEC + 1;
	assert_int_equal(
		conntrack_parse(make_timed(buffer, NLM_F_CREATE, wall_ns), false, &late, &event),
		CONNTRACK_PARSED);
	assert_int_equal(event.start_ns, 0);
	assert_int_equal(conntrack_parse(make_timed(buffer, 0, wall_ns), false, &late, &event),
			 CONNTRACK_PARSED);
	assert_int_equal(event.last_packet_ns, 0);
}

static void test_updates_count_only_when_they_close(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;

	entry.tcp_state = TCP_CONNTRACK_ESTABLISHED;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, 0, false, &entry, &event), CONNTRACK_PARSE_OTHER);
	entry.tcp_state = TCP_CONNTRACK_TIME_WAIT;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, 0, false, &entry, &event), 0);
	assert_int_equal(event.type, FLOW_EVENT_CLOSED);
}

static void test_destroy_has_totals_and_times(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;

	entry.tcp_state = TCP_CONNTRACK_TIME_WAIT;
	entry.packets = 10;
	entry.bytes = 1000;
	entry.start_s = WALL_S + NOW_S - 200;
	entry.stop_s = WALL_S + NOW_S - 1;
	assert_int_equal(parse(IPCTNL_MSG_CT_DELETE, 0, false, &entry, &event), 0);
	assert_int_equal(event.type, FLOW_EVENT_DESTROY);
	assert_true(event.has_counters);
	assert_int_equal(event.counters.in_bytes, 1000);
	assert_int_equal(event.counters.in_packets, 10);
	assert_int_equal(event.counters.out_bytes, 500);
	assert_int_equal(event.counters.out_packets, 5);
	assert_int_equal(event.start_ns, (NOW_S - 200) * NS_PER_SEC);
	assert_int_equal(event.stop_ns, (NOW_S - 1) * NS_PER_SEC);
	assert_int_equal(event.last_packet_ns, (NOW_S - 121) * NS_PER_SEC);
	assert_false(event.is_early);
}

static void test_destroy_before_its_time(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;

	entry.tcp_state = TCP_CONNTRACK_ESTABLISHED;
	entry.start_s = WALL_S + NOW_S - 20;
	entry.stop_s = WALL_S + NOW_S - 1;
	assert_int_equal(parse(IPCTNL_MSG_CT_DELETE, 0, false, &entry, &event), 0);
	assert_true(event.is_early);
	assert_int_equal(event.last_packet_ns, event.stop_ns);
}

static void test_listed_tells_the_last_packet(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;

	entry.protocol = IPPROTO_UDP;
	entry.tcp_state = 0;
	entry.timeout = 22;
	entry.packets = 2;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_MULTI, true, &entry, &event), 0);
	assert_int_equal(event.type, FLOW_EVENT_LISTED);
	assert_int_equal(event.last_packet_ns, (NOW_S - 8) * NS_PER_SEC);
	entry.status = IPS_ASSURED;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_MULTI, true, &entry, &event), 0);
	assert_int_equal(event.last_packet_ns, (NOW_S - 98) * NS_PER_SEC);
	assert_false(event.is_offloaded);
	entry.status = IPS_ASSURED | IPS_OFFLOAD;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_MULTI, true, &entry, &event), 0);
	assert_true(event.is_offloaded);
	/* The administrator lowered the sysctl meanwhile: not known, rather than in the future. */
	entry.timeout = 500;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_MULTI, true, &entry, &event), 0);
	assert_int_equal(event.last_packet_ns, 0);
}

static uint64_t list_established(uint64_t up_s, uint32_t left_s, uint64_t begun_before_s)
{
	struct conntrack_parse_context long_up = context;
	struct entry entry = web;
	char buffer[2048] = {0};
	struct flow_event event;

	long_up.now_ns = up_s * NS_PER_SEC;
	entry.tcp_state = TCP_CONNTRACK_ESTABLISHED;
	entry.timeout = left_s;
	entry.start_s = begun_before_s ? WALL_S + up_s - begun_before_s : 0;
	assert_int_equal(
		conntrack_parse(make_message(buffer, IPCTNL_MSG_CT_NEW, NLM_F_MULTI, &entry), true,
				&long_up, &event),
		CONNTRACK_PARSED);
	assert_int_equal(event.type, FLOW_EVENT_LISTED);
	return event.last_packet_ns;
}

/* The timeout was a shorter one, or the machine or the entry is too young for what seems to have passed. */
static void test_listed_with_a_last_packet_that_cannot_be(unused void **state)
{
	enum { LONG_S = 1000000, TIMEOUT_S = 432000 };

	assert_int_equal(list_established(LONG_S, TIMEOUT_S - 7, 0), (LONG_S - 7) * NS_PER_SEC);
	assert_int_equal(list_established(LONG_S, TIMEOUT_S - 7, 7), (LONG_S - 7) * NS_PER_SEC);
	assert_int_equal(list_established(LONG_S, TIMEOUT_S - 7, 6), 0);
	assert_int_equal(list_established(LONG_S, 301, 0),
			 (LONG_S - (TIMEOUT_S - 301)) * NS_PER_SEC);
	assert_int_equal(list_established(LONG_S, 300, 0), 0);
	assert_int_equal(list_established(LONG_S, 100, 0), 0);
	assert_int_equal(list_established(NOW_S, TIMEOUT_S - NOW_S + 1, 0), NS_PER_SEC);
	assert_int_equal(list_established(NOW_S, TIMEOUT_S - NOW_S, 0), 0);
}

/* Without a begin nobody knows whether its timeout ran out. */
static void test_destroyed_with_a_last_packet_that_cannot_be(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;

	entry.tcp_state = TCP_CONNTRACK_ESTABLISHED;
	entry.start_s = entry.stop_s = 0;
	assert_int_equal(parse(IPCTNL_MSG_CT_DELETE, 0, false, &entry, &event), 0);
	assert_int_equal(event.last_packet_ns, 0);
	assert_false(event.is_early);
}

static void test_translated(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;

	entry.reply_dst = "192.0.2.1";
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_CREATE, false, &entry, &event), 0);
	assert_true(event.is_translated);
	assert_memory_equal(event.reply.dst.bytes, "\xc0\x00\x02\x01", 4);
	entry = web;
	entry.reply_src_port = 8080; /* redirected */
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_CREATE, false, &entry, &event), 0);
	assert_true(event.is_translated);
	assert_int_equal(event.reply.src_port, 8080);
}

static void test_icmp(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;

	entry.protocol = IPPROTO_ICMP;
	entry.tcp_state = 0;
	entry.icmp_id = 4242;
	entry.icmp_type = 8;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_CREATE, false, &entry, &event), 0);
	assert_int_equal(event.key.icmp_id, 4242);
	assert_int_equal(event.key.tuple.src_port, 0);
	assert_int_equal(event.key.tuple.dst_port, 8 * 256);
	assert_false(event.is_translated);
}

static void test_ipv6_and_zone(unused void **state)
{
	struct entry entry = web;
	struct flow_event event;
	uint8_t address[16];

	entry.src = entry.reply_dst = "2001:db8::1";
	entry.dst = entry.reply_src = "2001:db8::2";
	entry.zone = 7;
	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_CREATE, false, &entry, &event), 0);
	assert_int_equal(event.key.family, IP_FAMILY_V6);
	assert_int_equal(event.key.zone, 7);
	inet_pton(AF_INET6, "2001:db8::2", address);
	assert_memory_equal(event.key.tuple.dst.bytes, address, 16);
	assert_false(event.is_translated);
}

static void test_not_ours(unused void **state)
{
	char buffer[2048] = {0};
	struct nlmsghdr *message = make_message(buffer, IPCTNL_MSG_CT_NEW, NLM_F_CREATE, &web);
	struct flow_event event;

	message->nlmsg_type = NFNL_SUBSYS_QUEUE << 8;
	assert_int_equal(conntrack_parse(message, false, &context, &event), -EBADMSG);
	message = make_message(buffer, IPCTNL_MSG_CT_NEW, NLM_F_CREATE, &web);
	message->nlmsg_len = NLMSG_HDRLEN + 2;
	assert_int_equal(conntrack_parse(message, false, &context, &event), -EBADMSG);
	message->nlmsg_len = NLMSG_HDRLEN + sizeof(struct nfgenmsg);
	assert_int_equal(conntrack_parse(message, false, &context, &event), -EBADMSG);
}

/* Every message that is cut or scrambled is either read or refused; the sanitisers watch the
 * bounds. */
static void test_scrambled(unused void **state)
{
	struct entry entry = web;
	unsigned seed = 1;

	entry.packets = 3;
	entry.start_s = WALL_S;
	entry.stop_s = WALL_S + 1;
	for (unsigned round = 0; round < 20000; round++) {
		char buffer[2048] = {0};
		struct nlmsghdr *message =
			make_message(buffer, round % 2 ? IPCTNL_MSG_CT_NEW : IPCTNL_MSG_CT_DELETE,
				     NLM_F_CREATE, &entry);
		uint32_t length = message->nlmsg_len;
		struct flow_event event;
		void *exact;
		int r;

		for (unsigned i = 0; i < 3; i++)
			buffer[NLMSG_HDRLEN + (unsigned)rand_r(&seed) % (length - NLMSG_HDRLEN)] =
				(char)rand_r(&seed);
		message->nlmsg_len =
			NLMSG_HDRLEN + (unsigned)rand_r(&seed) % (length - NLMSG_HDRLEN + 1);
		exact = malloc(message->nlmsg_len);
		assert_non_null(exact);
		memcpy(exact, message, message->nlmsg_len);
		r = conntrack_parse(exact, false, &context, &event);
		assert_true(r == 0 || r == CONNTRACK_PARSE_OTHER || r == -EBADMSG);
		free(exact);
	}
}

static void test_query_names_the_entry(unused void **state)
{
	char buffer[512];
	struct flow_event event;
	struct nlmsghdr *message;

	assert_int_equal(parse(IPCTNL_MSG_CT_NEW, NLM_F_CREATE, false, &web, &event), 0);
	event.key.zone = 9;
	message = conntrack_encode_query(buffer, &event.key);
	/* What the kernel would parse: read back as an entry that has the one tuple. */
	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	struct flow_event back;
	assert_int_equal(conntrack_parse(message, true, &context, &back), 0);
	assert_memory_equal(&back.key, &event.key, sizeof(back.key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_event_has_its_time),
		cmocka_unit_test(test_updates_count_only_when_they_close),
		cmocka_unit_test(test_destroy_has_totals_and_times),
		cmocka_unit_test(test_destroy_before_its_time),
		cmocka_unit_test(test_listed_tells_the_last_packet),
		cmocka_unit_test(test_listed_with_a_last_packet_that_cannot_be),
		cmocka_unit_test(test_destroyed_with_a_last_packet_that_cannot_be),
		cmocka_unit_test(test_translated),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_ipv6_and_zone),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_scrambled),
		cmocka_unit_test(test_query_names_the_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
