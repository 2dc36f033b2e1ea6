/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "record_packets.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/macros.h"
#include "packet_prefixes.h"

static void test_what_is_not_known_is_left_out(unused void **state)
{
	struct packet_details details = {0};
	struct flow_record record = {.key.protocol = IPPROTO_UDP};

	record_packets_add(&details, (struct text){0}, &record);
	assert_true(record.parts == 0);
	details.first_ns = 1;
	details.initiator = PACKET_SIDE_HIGH;
	details.ends[PACKET_SIDE_LOW] = (struct packet_end){.packets = 1, .tos = 4};
	record_packets_add(&details, (struct text){0}, &record);
	assert_true(record.parts == RECORD_RESPONDER_PACKETS);
	assert_int_equal(record.packets.dst_tos, 4);
}

static void test_all_of_it(unused void **state)
{
	struct packet_details details = {
		.first_ns = 1,
		.initiator = PACKET_SIDE_LOW,
		.ends = {{.packets = 2,
			  .tos = 8,
			  .min_ttl = 60,
			  .max_ttl = 61,
			  .tcp_flags = 2,
			  .in_interface = 3,
			  .out_interface = 4,
			  .mac = {1},
			  .has_mac = true,
			  .fragments = 1},
			 {.packets = 1, .tcp_flags = 0x12, .has_gid = true, .gid = 7}},
		.vlans = {100, 200},
		.has_mark = true,
		.mark = 42,
		.server = {.us = 5, .is_known = true},
	};
	struct flow_record record = {.key.protocol = IPPROTO_TCP};

	record_packets_add(&details, text_from("web"), &record);
	assert_true(record.parts ==
		    (RECORD_TCP_FLAGS | RECORD_CLIENT_FLAGS | RECORD_SERVER_FLAGS |
		     RECORD_INITIATOR_PACKETS | RECORD_RESPONDER_PACKETS | RECORD_INPUT |
		     RECORD_OUTPUT | RECORD_SOURCE_MAC | RECORD_VLAN | RECORD_FRAGMENTS |
		     RECORD_MARK | RECORD_PREFIX | RECORD_SERVER_LATENCY |
		     RECORD_END(RECORD_DST, END_SOCKET_GROUP)));
	assert_int_equal(record.tcp_flags, 0x12);
	assert_int_equal(record.packets.client_flags, 2);
	assert_int_equal(record.packets.input_interface, 3);
	assert_int_equal(record.packets.output_interface, 4);
	assert_int_equal(record.packets.vlan, 100);
	assert_int_equal(record.packets.max_ttl, 61);
	assert_int_equal(record.packets.server_latency_us, 5);
	assert_int_equal(record.dst.gid, 7);
}

/* Whose process is known has its groups from there. */
static void test_no_group_beside_a_process(unused void **state)
{
	struct packet_details details = {.first_ns = 1,
					 .ends = {{.packets = 1, .has_gid = true, .gid = 7}}};
	struct flow_record record = {.parts = RECORD_END(RECORD_SRC, END_PROCESS)};

	record_packets_add(&details, (struct text){0}, &record);
	assert_false(record.parts & RECORD_END(RECORD_SRC, END_SOCKET_GROUP));
}

static void test_prefixes(unused void **state)
{
	static struct packet_prefixes prefixes;
	char text[200] = "";

	assert_int_equal(packet_prefixes_add(&prefixes, (struct text){0}), 0);
	assert_int_equal(packet_prefixes_add(&prefixes, text_from("a")), 1);
	assert_int_equal(packet_prefixes_add(&prefixes, text_from("ab")), 2);
	assert_int_equal(packet_prefixes_add(&prefixes, text_from("a")), 1);
	assert_int_equal(packet_prefixes_get(&prefixes, 2).length, 2);
	assert_true(text_is_empty(packet_prefixes_get(&prefixes, 0)));
	assert_true(text_is_empty(packet_prefixes_get(&prefixes, 3)));
	for (int i = 0; i < 300; i++) {
		text[0] = (char)(i / 256 + 'a');
		text[1] = (char)(i % 256);
		packet_prefixes_add(&prefixes, (struct text){text, sizeof(text)});
	}
	assert_int_equal(packet_prefixes_get(&prefixes, 255).length, PACKET_PREFIX_BYTES);
	text[0] = 'z';
	assert_int_equal(packet_prefixes_add(&prefixes, (struct text){text, 9}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_known_is_left_out),
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_no_group_beside_a_process),
		cmocka_unit_test(test_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
