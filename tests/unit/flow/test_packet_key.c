/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/packet_key.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/macros.h"

static struct flow_key make(uint8_t protocol, uint32_t src, uint16_t src_port, uint32_t dst,
			    uint16_t dst_port)
{
	return (struct flow_key){.family = IP_FAMILY_V4,
				 .protocol = protocol,
				 .tuple = {.src = ip_address_from_v4(htonl(src)),
					   .dst = ip_address_from_v4(htonl(dst)),
					   .src_port = src_port,
					   .dst_port = dst_port}};
}

static void test_both_directions_share_a_key(unused void **state)
{
	static const struct {
		uint32_t a, b;
		uint16_t a_port, b_port;
	} cases[] = {{1, 2, 1000, 80}, {2, 1, 80, 1000}, {7, 7, 1, 2}, {7, 7, 2, 1}};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct flow_key there =
			make(IPPROTO_TCP, cases[i].a, cases[i].a_port, cases[i].b, cases[i].b_port);
		struct flow_key back =
			make(IPPROTO_TCP, cases[i].b, cases[i].b_port, cases[i].a, cases[i].a_port);
		struct flow_key key, other, oriented;
		int side = packet_key_make(&there, &key);

		assert_int_equal(packet_key_make(&back, &other), !side);
		assert_true(flow_key_equal(&key, &other));
		oriented = packet_key_orient(&key, (enum packet_side)side);
		assert_true(flow_key_equal(&oriented, &there));
		oriented = packet_key_orient(&key, (enum packet_side) !side);
		assert_true(flow_key_equal(&oriented, &back));
	}
}

static void test_echo_is_one_flow(unused void **state)
{
	struct flow_key asks = make(IPPROTO_ICMP, 9, 0, 3, 8 << 8);
	struct flow_key answers = make(IPPROTO_ICMP, 3, 0, 9, 0);
	struct flow_key key, other;

	asks.icmp_id = answers.icmp_id = 5;
	assert_int_equal(packet_key_make(&asks, &key), PACKET_SIDE_LOW);
	assert_int_equal(packet_key_make(&answers, &other), PACKET_SIDE_HIGH);
	assert_true(flow_key_equal(&key, &other));
	assert_true(flow_key_equal(&key, &asks));
	assert_true(packet_key_is_answer(&answers));
	assert_false(packet_key_is_answer(&asks));
	/* Both hosts ping each other under one id: two flows. */
	asks = make(IPPROTO_ICMP, 3, 0, 9, 8 << 8);
	asks.icmp_id = 5;
	assert_int_equal(packet_key_make(&asks, &other), PACKET_SIDE_LOW);
	assert_false(flow_key_equal(&key, &other));
}

static void test_neighbours_are_no_flow(unused void **state)
{
	struct flow_key solicitation = make(IPPROTO_ICMPV6, 1, 0, 2, 135 << 8), key;

	assert_int_equal(packet_key_make(&solicitation, &key), PACKET_KEY_NO_FLOW);
}

/* 10.0.0.1 -> 192.0.2.1:80, which is 10.0.0.2:8080 in truth, behind 203.0.113.1. */
static void test_translated_packets(unused void **state)
{
	struct flow_key flow = make(IPPROTO_TCP, 0x0a000001, 1000, 0xc0000201, 80), expected;
	struct flow_tuple reply = {.src = ip_address_from_v4(htonl(0x0a000002)),
				   .dst = ip_address_from_v4(htonl(0xcb007101)),
				   .src_port = 8080,
				   .dst_port = 61000};
	struct flow_key key = packet_key_of_flow(&flow, &reply);

	expected = make(IPPROTO_TCP, 0x0a000001, 1000, 0x0a000002, 8080);
	assert_true(flow_key_equal(&key, &expected));
	key = packet_key_of_flow(&flow, NULL);
	assert_true(flow_key_equal(&key, &flow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_directions_share_a_key),
		cmocka_unit_test(test_echo_is_one_flow),
		cmocka_unit_test(test_neighbours_are_no_flow),
		cmocka_unit_test(test_translated_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
