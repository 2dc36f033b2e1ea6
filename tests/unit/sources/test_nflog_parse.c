/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/nflog_parse.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libnetfilter_log/libnetfilter_log.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/if_arp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "support/packet_builder.h"

enum { NOW_S = 5000, WALL_S = 1700000000, VLAN = 20, LINK_HEADER = 21, VLAN_CONTROL = 2 };

static const struct nflog_parse_context context = {
	.now_ns = NOW_S * NS_PER_SEC,
	.wall_offset_ns = (int64_t)((WALL_S - NOW_S) * NS_PER_SEC),
};

static struct nlmsghdr *begin(char buffer[4096], uint8_t family)
{
	struct nlmsghdr *message = nflog_nlmsg_put_header(buffer, NFULNL_MSG_PACKET, family, 32);
	struct nfulnl_msg_packet_hdr header = {.hw_protocol = htons(ETH_P_IP), .hook = 1};

	mnl_attr_put(message, NFULA_PACKET_HDR, sizeof(header), &header);
	return message;
}

static void put_payload(struct nlmsghdr *message)
{
	struct packet_builder builder = {0};

	packet_builder_add_ipv4(&builder, IPPROTO_UDP, 0, 0);
	packet_builder_add_udp(&builder, 10);
	packet_builder_finish(&builder);
	mnl_attr_put(message, NFULA_PAYLOAD, builder.length, builder.bytes);
}

static void put_time(struct nlmsghdr *message, uint64_t seconds, uint64_t microseconds)
{
	struct nfulnl_msg_packet_timestamp stamp = {.sec = htobe64(seconds),
						    .usec = htobe64(microseconds)};

	mnl_attr_put(message, NFULA_TIMESTAMP, sizeof(stamp), &stamp);
}

static void put_source(struct nlmsghdr *message)
{
	struct nfulnl_msg_packet_hw address = {.hw_addrlen = htons(6),
					       .hw_addr = {2, 0, 0, 0, 0, 10}};

	mnl_attr_put(message, NFULA_HWADDR, sizeof(address), &address);
	mnl_attr_put_u16(message, NFULA_HWTYPE, htons(ARPHRD_ETHER));
}

static void put_all(struct nlmsghdr *message)
{
	put_time(message, WALL_S - 1, 250);
	put_source(message);
	mnl_attr_put_u32(message, NFULA_MARK, htonl(77));
	mnl_attr_put_u32(message, NFULA_IFINDEX_INDEV, htonl(3));
	mnl_attr_put_u32(message, NFULA_IFINDEX_OUTDEV, htonl(4));
	mnl_attr_put_strz(message, NFULA_PREFIX, "web ");
	mnl_attr_put_u32(message, NFULA_UID, htonl(1000));
	mnl_attr_put_u32(message, NFULA_GID, htonl(100));
	mnl_attr_put_u32(message, NFULA_SEQ, htonl(9));
	put_payload(message);
}

static struct packet_event parse(const struct nlmsghdr *message)
{
	struct packet_event event;
	enum packet_fault fault;

	assert_int_equal(nflog_parse(message, &context, &event, &fault), NFLOG_PARSED);
	assert_int_equal(fault, PACKET_FINE);
	return event;
}

static void test_all_attributes(unused void **state)
{
	char buffer[4096];
	struct nlmsghdr *message = begin(buffer, AF_INET);
	struct packet_event event;

	put_all(message);
	event = parse(message);
	assert_int_equal(event.packet.bytes, 38);
	assert_int_equal(event.packet.key.tuple.dst_port, 2000);
	assert_int_equal(event.clock, PACKET_CLOCK_STAMPED);
	assert_true(event.is_received_here);
	assert_false(event.is_sent_here);
	assert_true(event.when_ns == (NOW_S - 1) * NS_PER_SEC + 250000);
	assert_true(event.has_source_mac);
	assert_memory_equal(event.source_mac, "\2\0\0\0\0\12", 6);
	assert_true(event.has_mark);
	assert_int_equal(event.mark, 77);
	assert_int_equal(event.in_interface, 3);
	assert_int_equal(event.out_interface, 4);
	assert_int_equal(event.prefix.length, 4);
	assert_memory_equal(event.prefix.at, "web ", 4);
	assert_true(event.has_uid && event.has_gid && event.has_sequence);
	assert_int_equal(event.uid, 1000);
	assert_int_equal(event.gid, 100);
	assert_int_equal(event.sequence, 9);
	assert_int_equal(event.tracking, PACKET_TRACKING_UNKNOWN);
}

/* What libnetfilter_log makes of the same message. */
static void test_agrees_with_the_library(unused void **state)
{
	struct nlattr *attributes[NFULA_MAX + 1] = {0};
	struct nfulnl_msg_packet_hw *address;
	struct packet_event event;
	char buffer[4096];
	struct nlmsghdr *message = begin(buffer, AF_INET);

	put_all(message);
	event = parse(message);
	assert_int_equal(nflog_nlmsg_parse(message, attributes), MNL_CB_OK);
	address = mnl_attr_get_payload(attributes[NFULA_HWADDR]);
	assert_memory_equal(event.source_mac, address->hw_addr, 6);
	assert_int_equal(event.mark, ntohl(mnl_attr_get_u32(attributes[NFULA_MARK])));
	assert_int_equal(event.in_interface,
			 ntohl(mnl_attr_get_u32(attributes[NFULA_IFINDEX_INDEV])));
	assert_int_equal(event.out_interface,
			 ntohl(mnl_attr_get_u32(attributes[NFULA_IFINDEX_OUTDEV])));
	assert_int_equal(event.uid, ntohl(mnl_attr_get_u32(attributes[NFULA_UID])));
	assert_int_equal(event.gid, ntohl(mnl_attr_get_u32(attributes[NFULA_GID])));
	assert_int_equal(event.sequence, ntohl(mnl_attr_get_u32(attributes[NFULA_SEQ])));
	assert_memory_equal(event.prefix.at, mnl_attr_get_str(attributes[NFULA_PREFIX]),
			    event.prefix.length);
	assert_int_equal(mnl_attr_get_payload_len(attributes[NFULA_PAYLOAD]), 38);
}

static void test_times(unused void **state)
{
	static const struct {
		uint64_t seconds, microseconds;
		enum packet_clock clock;
	} cases[] = {
		{WALL_S - 2, 0, PACKET_CLOCK_STAMPED},
		{WALL_S + 5, 0, PACKET_CLOCK_STAMPED /* not in the future */},
		{WALL_S - 300, 0, PACKET_CLOCK_VAGUE},
		{0, 5, PACKET_CLOCK_VAGUE},
		{UINT64_MAX, 0, PACKET_CLOCK_VAGUE},
		{WALL_S, UINT64_MAX, PACKET_CLOCK_VAGUE},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		char buffer[4096];
		struct nlmsghdr *message = begin(buffer, AF_INET);
		struct packet_event event;

		put_time(message, cases[i].seconds, cases[i].microseconds);
		put_payload(message);
		event = parse(message);
		assert_int_equal(event.clock, cases[i].clock);
		assert_true(event.when_ns <= context.now_ns);
		if (i > 0)
			assert_true(event.when_ns == context.now_ns);
	}
}

static void test_own_prefixes(unused void **state)
{
	static const struct {
		const char *prefix;
		enum packet_tracking tracking;
		enum packet_clock clock;
		bool is_kept;
	} cases[] = {
		{"procflow/t", PACKET_IS_TRACKED, PACKET_CLOCK_VAGUE, false},
		{"procflow/u!", PACKET_IS_UNTRACKED, PACKET_CLOCK_PROMPT, false},
		{"procflow/a", PACKET_TRACKING_UNKNOWN, PACKET_CLOCK_VAGUE, false},
		{"procflow", PACKET_TRACKING_UNKNOWN, PACKET_CLOCK_VAGUE, true},
		{"their procflow/t", PACKET_TRACKING_UNKNOWN, PACKET_CLOCK_VAGUE, true},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		char buffer[4096];
		struct nlmsghdr *message = begin(buffer, AF_INET);
		struct packet_event event;

		mnl_attr_put_strz(message, NFULA_PREFIX, cases[i].prefix);
		put_payload(message);
		event = parse(message);
		assert_int_equal(event.tracking, cases[i].tracking);
		assert_int_equal(event.clock, cases[i].clock);
		assert_int_equal(event.prefix.length,
				 cases[i].is_kept ? strlen(cases[i].prefix) : 0);
	}
}

/* A frame on a bridge with two tags: the kernel keeps the outer one beside the packet. */
static void test_vlan_in_vlan_on_a_bridge(unused void **state)
{
	char buffer[4096];
	struct nlmsghdr *message = nflog_nlmsg_put_header(buffer, NFULNL_MSG_PACKET, AF_BRIDGE, 32);
	struct nfulnl_msg_packet_hdr header = {.hw_protocol = htons(ETH_P_8021Q), .hook = 2};
	struct packet_builder link = {0}, builder = {0};
	struct nlattr *nest;
	struct packet_event event;

	mnl_attr_put(message, NFULA_PACKET_HDR, sizeof(header), &header);
	nest = mnl_attr_nest_start(message, VLAN);
	mnl_attr_put_u16(message, 1, htons(ETH_P_8021AD));
	mnl_attr_put_u16(message, VLAN_CONTROL, htons(0x2000 | 300));
	mnl_attr_nest_end(message, nest);
	packet_builder_add_ethernet(&link, ETH_P_8021Q);
	mnl_attr_put(message, LINK_HEADER, link.length, link.bytes);
	mnl_attr_put_u16(message, NFULA_HWTYPE, htons(ARPHRD_ETHER));
	packet_builder_add_u16(&builder, 42);
	packet_builder_add_u16(&builder, ETH_P_IPV6);
	packet_builder_add_ipv6(&builder, IPPROTO_UDP);
	packet_builder_add_udp(&builder, 1);
	packet_builder_finish(&builder);
	mnl_attr_put(message, NFULA_PAYLOAD, builder.length, builder.bytes);
	event = parse(message);
	assert_int_equal(event.packet.vlan, 300);
	assert_int_equal(event.packet.key.family, IP_FAMILY_V6);
	assert_true(event.has_source_mac);
	assert_memory_equal(event.source_mac, "\2\0\0\0\0\12", 6);
}

static void test_loopback_has_no_mac(unused void **state)
{
	char buffer[4096];
	struct nlmsghdr *message = begin(buffer, AF_INET);
	struct nfulnl_msg_packet_hw address = {.hw_addrlen = htons(6)};

	mnl_attr_put(message, NFULA_HWADDR, sizeof(address), &address);
	mnl_attr_put_u16(message, NFULA_HWTYPE, htons(ARPHRD_LOOPBACK));
	put_payload(message);
	assert_false(parse(message).has_source_mac);
}

static void put_tuple(struct nlmsghdr *message)
{
	struct nlattr *tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_IP);

	mnl_attr_put_u32(message, CTA_IP_V4_SRC, htonl(0x0a000002));
	mnl_attr_put_u32(message, CTA_IP_V4_DST, htonl(0x0a000001));
	mnl_attr_nest_end(message, nest);
	nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_UDP);
	mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(2000));
	mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(1000));
	mnl_attr_nest_end(message, nest);
	mnl_attr_nest_end(message, tuple);
}

static void test_conntrack_entry(unused void **state)
{
	struct nflog_parse_context with_entries = context;
	char buffer[4096];
	struct nlmsghdr *message = begin(buffer, AF_INET);
	struct nlattr *nest;
	struct packet_event event;
	enum packet_fault fault;

	with_entries.has_conntrack = true;
	put_payload(message);
	assert_int_equal(nflog_parse(message, &with_entries, &event, &fault), NFLOG_PARSED);
	assert_int_equal(event.tracking, PACKET_IS_UNTRACKED);
	nest = mnl_attr_nest_start(message, NFULA_CT);
	put_tuple(message);
	mnl_attr_put_u32(message, CTA_ID, htonl(4711));
	mnl_attr_nest_end(message, nest);
	assert_int_equal(nflog_parse(message, &with_entries, &event, &fault), NFLOG_PARSED);
	assert_int_equal(event.tracking, PACKET_IS_TRACKED);
	assert_true(event.has_conntrack);
	assert_int_equal(event.conntrack_id, 4711);
	assert_int_equal(event.conntrack_key.tuple.src_port, 2000);
	assert_int_equal(event.conntrack_key.family, IP_FAMILY_V4);
}

static void test_faults_keep_what_is_beside_the_packet(unused void **state)
{
	char buffer[4096];
	struct nlmsghdr *message = begin(buffer, AF_INET);
	struct packet_event event;
	enum packet_fault fault;

	mnl_attr_put_u32(message, NFULA_SEQ, htonl(12));
	mnl_attr_put(message, NFULA_PAYLOAD, 8, "\105\0\0\40\0\0\0");
	assert_int_equal(nflog_parse(message, &context, &event, &fault), NFLOG_PARSE_FAULTY);
	assert_int_equal(fault, PACKET_CUT);
	assert_int_equal(event.sequence, 12);
	/* Without a payload at all (NFULNL_COPY_META). */
	message = begin(buffer, AF_INET6);
	assert_int_equal(nflog_parse(message, &context, &event, &fault), NFLOG_PARSE_FAULTY);
	assert_int_equal(fault, PACKET_CUT);
}

static void test_other_messages(unused void **state)
{
	struct packet_event event;
	enum packet_fault fault;
	char buffer[4096];
	struct nlmsghdr *message = begin(buffer, AF_INET);

	message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	assert_int_equal(nflog_parse(message, &context, &event, &fault), NFLOG_PARSE_OTHER);
	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8;
	assert_int_equal(nflog_parse(message, &context, &event, &fault), NFLOG_PARSE_OTHER);
	message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	message->nlmsg_len = sizeof(struct nlmsghdr) + 2;
	assert_int_equal(nflog_parse(message, &context, &event, &fault), -EBADMSG);
}

static void test_short_attributes(unused void **state)
{
	static const uint16_t types[] = {NFULA_PACKET_HDR,    NFULA_MARK,   NFULA_TIMESTAMP,
					 NFULA_IFINDEX_INDEV, NFULA_HWADDR, NFULA_UID,
					 NFULA_GID,	      NFULA_SEQ,    NFULA_HWTYPE};

	for (size_t i = 0; i < array_length(types); i++) {
		char buffer[4096];
		struct nlmsghdr *message = begin(buffer, AF_INET);
		struct packet_event event;
		enum packet_fault fault;

		mnl_attr_put(message, types[i], 1, "x");
		put_payload(message);
		assert_int_equal(nflog_parse(message, &context, &event, &fault), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_attributes),
		cmocka_unit_test(test_agrees_with_the_library),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_own_prefixes),
		cmocka_unit_test(test_vlan_in_vlan_on_a_bridge),
		cmocka_unit_test(test_loopback_has_no_mac),
		cmocka_unit_test(test_conntrack_entry),
		cmocka_unit_test(test_faults_keep_what_is_beside_the_packet),
		cmocka_unit_test(test_other_messages),
		cmocka_unit_test(test_short_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
