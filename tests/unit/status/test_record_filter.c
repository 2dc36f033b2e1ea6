/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "status/record_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/macros.h"

static struct flow_tuple make_tuple(const char *src, uint16_t src_port, const char *dst,
				    uint16_t dst_port)
{
	struct flow_tuple tuple = {.src_port = src_port, .dst_port = dst_port};
	enum ip_family family;

	assert_int_equal(ip_address_parse(src, &family, &tuple.src), 0);
	assert_int_equal(ip_address_parse(dst, &family, &tuple.dst), 0);
	return tuple;
}

static bool passes_host(const struct flow *flow, const char *host)
{
	struct control_filter filter = {0};

	assert_int_equal(ip_prefix_parse(host, &filter.host), 0);
	return record_filter_passes_key(&filter, flow);
}

static bool passes_port(const struct flow *flow, uint16_t port)
{
	struct control_filter filter = {.has_port = true, .port = port};

	return record_filter_passes_key(&filter, flow);
}

static void addresses_before_and_after_nat_count(unused void **state)
{
	struct flow_tuple reply = make_tuple("10.0.0.9", 8080, "192.0.2.1", 4000);
	struct flow flow = {.key = {.tuple = make_tuple("10.1.0.1", 4000, "198.51.100.1", 80),
				    .family = IP_FAMILY_V4}};
	struct control_filter none = {0};

	assert_true(record_filter_passes_key(&none, &flow));
	assert_true(passes_host(&flow, "10.1.0.0/16"));
	assert_true(passes_host(&flow, "198.51.100.1"));
	assert_false(passes_host(&flow, "10.0.0.9"));
	assert_false(passes_host(&flow, "::/0"));
	assert_true(passes_port(&flow, 80));
	assert_true(passes_port(&flow, 4000));
	assert_false(passes_port(&flow, 8080));
	flow.reply = &reply;
	assert_true(passes_host(&flow, "10.0.0.9"));
	assert_true(passes_port(&flow, 8080));
	assert_false(passes_port(&flow, 0));
}

static struct flow_record make_record(void)
{
	return (struct flow_record){
		.parts = RECORD_END(RECORD_SRC, END_PROCESS) | RECORD_END(RECORD_SRC, END_USER) |
			 RECORD_END(RECORD_DST, END_USER) | RECORD_END(RECORD_DST, END_CONTAINER),
		.src = {.pid = 7,
			.uid = 1000,
			.name = text_from("curl"),
			.user_name = text_from("alice"),
			.container = text_from("0123456789ab") /* not known by its parts */},
		.dst = {.pid = 9,
			.uid = 33,
			.name = text_from("nginx"),
			.user_name = text_from("www-data"),
			.container = text_from("0123456789ab")},
	};
}

static bool passes(const struct flow_record *record, struct control_filter filter)
{
	return record_filter_passes_ends(&filter, record);
}

static void one_end_has_all_that_is_asked(unused void **state)
{
	struct flow_record record = make_record();

	assert_true(passes(&record, (struct control_filter){0}));
	assert_true(passes(&record, (struct control_filter){.pid = 7}));
	assert_true(passes(&record, (struct control_filter){.pid = 7, .process = "curl"}));
	assert_true(passes(&record, (struct control_filter){.user = "alice", .process = "curl"}));
	assert_true(passes(&record, (struct control_filter){.user = "1000"}));
	assert_false(passes(&record, (struct control_filter){.user = "100"}));
	assert_false(passes(&record, (struct control_filter){.process = "cur"}));
	assert_false(passes(&record, (struct control_filter){.process = "curl2"}));
	/* The user is that of the socket, of which no process is known. */
	assert_true(passes(&record, (struct control_filter){.user = "www-data"}));
	assert_false(passes(&record, (struct control_filter){.pid = 9}));
	assert_false(passes(&record, (struct control_filter){.process = "nginx"}));
	/* Each of these is true of one end only. */
	assert_false(passes(&record, (struct control_filter){.process = "curl", .user = "33"}));
}

static void containers_are_known_by_a_part_of_their_id(unused void **state)
{
	struct flow_record record = make_record();

	assert_true(passes(&record, (struct control_filter){.container = "0123"}));
	assert_true(passes(&record, (struct control_filter){.container = "0123456789ab"}));
	assert_true(passes(&record, (struct control_filter){.container = "0123456789abcdef0"}));
	assert_false(passes(&record, (struct control_filter){.container = "0123456789ac"}));
	assert_false(
		passes(&record, (struct control_filter){.container = "0123", .process = "curl"}));
}

static json_t *encode(const struct flow_record *record, uint64_t begin_ms)
{
	struct buffer out;
	json_t *read;

	buffer_init(&out);
	record_filter_encode(record, begin_ms, &out);
	read = json_loadb((char *)out.bytes, out.length, 0, NULL);
	assert_non_null(read);
	buffer_fini(&out);
	return read;
}

static void object_has_what_is_true_of_an_open_flow(unused void **state)
{
	struct flow_record record = make_record();
	json_t *read;

	record.end_ms = 9000;
	record.end_reason = FLOW_END_ACTIVE;
	read = encode(&record, 7000);
	assert_int_equal(json_integer_value(json_object_get(read, "SRC_PROC_PID")), 7);
	assert_int_equal(json_integer_value(json_object_get(read, "LAST_SEEN_MILLISECONDS")), 9000);
	assert_int_equal(json_integer_value(json_object_get(read, "FLOW_START_MILLISECONDS")),
			 7000);
	assert_null(json_object_get(read, "FLOW_END_REASON"));
	assert_null(json_object_get(read, "DST_PROC_PID"));
	json_decref(read);
	read = encode(&record, 0);
	assert_null(json_object_get(read, "FLOW_START_MILLISECONDS"));
	json_decref(read);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_before_and_after_nat_count),
		cmocka_unit_test(one_end_has_all_that_is_asked),
		cmocka_unit_test(containers_are_known_by_a_part_of_their_id),
		cmocka_unit_test(object_has_what_is_true_of_an_open_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
