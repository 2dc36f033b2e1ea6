/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/split.h"
#include "export/template.h"

static void test_both_ends_change_places(unused void **state)
{
	struct flow_record record = records_make(RECORD_LOOPBACK), reverse, again;

	assert_true(split_make_reverse(&record, &reverse));
	assert_int_equal(reverse.key.tuple.src_port, record.key.tuple.dst_port);
	assert_int_equal(reverse.counters.in_bytes, record.counters.out_bytes);
	assert_int_equal(reverse.counters.out_packets, record.counters.in_packets);
	assert_int_equal(reverse.src.pid, record.dst.pid);
	assert_int_equal(reverse.dst.pid, record.src.pid);
	assert_int_equal(reverse.direction, 2);
	assert_true(split_make_reverse(&reverse, &again));
	assert_int_equal(again.parts, record.parts);
	assert_memory_equal(&again.key.tuple, &record.key.tuple, sizeof(again.key.tuple));
}

static void test_parts_go_with_their_end(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL), reverse;

	assert_true(record.parts & RECORD_END(RECORD_SRC, END_PROCESS));
	assert_false(record.parts & RECORD_END(RECORD_DST, END_PROCESS));
	assert_true(split_make_reverse(&record, &reverse));
	assert_false(reverse.parts & RECORD_END(RECORD_SRC, END_PROCESS));
	assert_true(reverse.parts & RECORD_END(RECORD_DST, END_PROCESS));
	assert_true(reverse.parts & RECORD_COUNTERS);
	assert_true(reverse.parts & RECORD_IPV4);
}

static void test_no_way_back_without_packets(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL), reverse;

	record.counters.out_packets = 0;
	assert_false(split_make_reverse(&record, &reverse));
	record = records_make(RECORD_CURL);
	record.parts &= ~RECORD_COUNTERS;
	assert_false(split_make_reverse(&record, &reverse));
}

/* A client behind SNAT: the answer goes to the public address, and is translated to the client. */
static void test_translation(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL), reverse;

	record.parts |= RECORD_NAT_IPV4 | RECORD_NAT_PORTS;
	record.translated = record.key.tuple;
	record.translated.src = ip_address_from_v4(0x07336458);
	record.translated.src_port = 61234;
	assert_true(split_make_reverse(&record, &reverse));
	assert_true(ip_address_equal(&reverse.key.tuple.dst, &record.translated.src));
	assert_int_equal(reverse.key.tuple.dst_port, 61234);
	assert_true(ip_address_equal(&reverse.key.tuple.src, &record.key.tuple.dst));
	assert_true(ip_address_equal(&reverse.translated.dst, &record.key.tuple.src));
	assert_int_equal(reverse.translated.dst_port, record.key.tuple.src_port);
}

static void test_echo_is_answered(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL), reverse;

	record.parts |= RECORD_ICMP;
	record.key.protocol = 1;
	record.icmp_type = 8;
	record.icmp_code = 0;
	record.key.tuple.src_port = 0;
	record.key.tuple.dst_port = 8 << 8;
	assert_true(split_make_reverse(&record, &reverse));
	assert_int_equal(reverse.icmp_type, 0);
	assert_int_equal(reverse.key.tuple.src_port, 0);
	assert_int_equal(reverse.key.tuple.dst_port, 0);
}

static void test_packets_of_the_other_side(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL), reverse;

	record.parts |=
		RECORD_INITIATOR_PACKETS | RECORD_INPUT | RECORD_CLIENT_FLAGS | RECORD_FRAGMENTS;
	record.packets.src_tos = 0x10;
	record.packets.src_fragments = 3;
	record.packets.client_flags = 0x1b;
	assert_true(split_make_reverse(&record, &reverse));
	assert_false(reverse.parts & (RECORD_INPUT | RECORD_INITIATOR_PACKETS));
	assert_true(reverse.parts & RECORD_RESPONDER_PACKETS);
	assert_int_equal(reverse.packets.dst_tos, 0x10);
	assert_int_equal(reverse.packets.src_fragments, 0);
	assert_int_equal(reverse.packets.dst_fragments, 3);
	assert_true(reverse.parts & RECORD_CLIENT_FLAGS);
	assert_int_equal(reverse.packets.client_flags, 0x1b);
}

static void test_templates_have_one_direction(unused void **state)
{
	for (int format = TEMPLATE_NETFLOW9; format <= TEMPLATE_IPFIX; format++) {
		const struct template_options options = {.format = (enum template_format)format,
							 .set = FIELD_SET_PROCFLOW,
							 .biflow = CONFIG_BIFLOW_SPLIT};
		struct template template;

		template_init(&template, &options, ~RECORD_PROCESS, 256);
		for (size_t i = 0; i < template.field_count; i++) {
			assert_int_not_equal(template.fields[i].id, 23);
			assert_int_not_equal(template.fields[i].id, 24);
			assert_int_not_equal(template.fields[i].pen, FIELD_PEN_REVERSE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ends_change_places),
		cmocka_unit_test(test_parts_go_with_their_end),
		cmocka_unit_test(test_no_way_back_without_packets),
		cmocka_unit_test(test_translation),
		cmocka_unit_test(test_echo_is_answered),
		cmocka_unit_test(test_packets_of_the_other_side),
		cmocka_unit_test(test_templates_have_one_direction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
