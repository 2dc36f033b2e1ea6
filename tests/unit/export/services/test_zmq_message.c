/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "../unit.h"

#include <jansson.h>

#include "export/services/zmq_message.h"
#include "flow/field.h"

static void test_headers(unused void **state)
{
	static const uint8_t v2[] = {'f', 'l', 'o', 'w', 0,   0, 0, 0, 0, 0, 0,	 0, 0, 0,
				     0,	  0,   3,   0,	 100, 0, 0, 0, 0, 1, 44, 1, 0, 0};
	static const uint8_t v1[] = {'e', 'v', 'e', 'n', 't', 0, 0, 0, 0, 0, 0, 0,
				     0,	  0,   0,   0,	 2,   7, 1, 2, 1, 2, 3, 4};
	struct zmq_message_header header = {.topic = "flow",
					    .format = ZMQ_MESSAGE_TLV,
					    .size = 100,
					    .number = 1,
					    .source_id = 300};
	uint8_t out[ZMQ_MESSAGE_HEADER_SIZE];

	assert_int_equal(zmq_message_encode_header(&header, 2, out), 28);
	assert_memory_equal(out, v2, sizeof(v2));
	header = (struct zmq_message_header){.topic = "event",
					     .format = ZMQ_MESSAGE_JSON,
					     .size = 0x0201,
					     .number = 0x01020304,
					     .source_id = 7};
	assert_int_equal(zmq_message_encode_header(&header, 1, out), 24);
	assert_memory_equal(out, v1, sizeof(v1));
}

static json_t *read_json(struct buffer *out)
{
	json_t *json;

	assert_false(out->failed);
	json = json_loadb((char *)out->bytes, out->length, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	assert_in_range(out->length, 1, 65535);
	buffer_fini(out);
	return json;
}

static long long number_of(json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static void test_template(unused void **state)
{
	size_t next = 0, i;
	json_t *template, *row;
	struct buffer out;

	buffer_init(&out);
	zmq_message_add_template(&out);
	template = read_json(&out);
	json_array_foreach(template, i, row)
	{
		const struct field *field;
		const char *name = json_string_value(json_object_get(row, "name"));

		while (!(field_table[next].sets & FIELD_SET_JSON) || !field_table[next].v9_id)
			next++;
		field = &field_table[next++];
		assert_string_equal(name, field->name);
		assert_int_equal(number_of(row, "PEN"), field->pen == FIELD_PEN_NTOP ? 35632 : 0);
		assert_int_equal(number_of(row, "field"),
				 field->pen == FIELD_PEN_NTOP ? field->ipfix_id : field->v9_id);
		assert_string_equal(json_string_value(json_object_get(row, "descr")),
				    field->meaning);
	}
	assert_true(i > 40);
	json_decref(template);
}

static void test_event(unused void **state)
{
	struct zmq_message_event event = {.probe_address = "10.0.0.1",
					  .uuid = "0123",
					  .system = "Linux 6.1",
					  .speed_mbit = 10000,
					  .source_id = 300,
					  .time_s = 1795436375,
					  .octets = 5000000000,
					  .packets = 7,
					  .bits_per_s = 8,
					  .packets_per_s = 9,
					  .lost_records = 10,
					  .sent_records = 11,
					  .active_timeout_s = 60,
					  .idle_timeout_s = 30};
	struct buffer out;
	json_t *json;

	buffer_init(&out);
	zmq_message_add_event(&out, &event);
	json = read_json(&out);
	assert_int_equal(number_of(json, "bytes"), 5000000000);
	assert_int_equal(number_of(json_object_get(json, "iface"), "speed"), 10000);
	assert_int_equal(number_of(json_object_get(json, "probe"), "unique_source_id"), 300);
	assert_int_equal(number_of(json_object_get(json, "timeout"), "collected_lifetime"), 60);
	assert_int_equal(number_of(json_object_get(json, "drops"), "export_queue_full"), 10);
	assert_int_equal(number_of(json_object_get(json, "zmq"), "num_flow_exports"), 11);
	json_decref(json);
	event.active_timeout_s = event.speed_mbit = 0;
	buffer_init(&out);
	zmq_message_add_event(&out, &event);
	json = read_json(&out);
	assert_null(json_object_get(json, "timeout"));
	assert_null(json_object_get(json_object_get(json, "iface"), "speed"));
	json_decref(json);
}

static const struct listening_port some_ports[] = {
	{false, false, 80, "/usr/sbin/nginx", "nginx"},
	{false, false, 8080, "/opt/\"x\"\n\xff", NULL},
	{true, false, 53, NULL, NULL},
	{true, true, 53, "/usr/sbin/named", "bind9"},
};

static json_t *make_ports(size_t limit, size_t left_out)
{
	struct listening_ports ports = {some_ports, array_length(some_ports)};
	struct buffer out;

	buffer_init(&out);
	assert_int_equal(
		zmq_message_add_listening_ports(&out, &ports, "\"10.9.0.2\",\"::1\"", limit),
		left_out);
	assert_true(out.length <= limit);
	return read_json(&out);
}

static json_t *port_at(json_t *message, const char *kind, size_t i)
{
	return json_array_get(json_object_get(json_object_get(message, "listening-ports"), kind),
			      i);
}

static void test_listening_ports(unused void **state)
{
	json_t *message = make_ports(65535, 0), *port = port_at(message, "tcp4", 0);

	assert_int_equal(number_of(port, "port"), 80);
	assert_string_equal(json_string_value(json_object_get(port, "proc")), "/usr/sbin/nginx");
	assert_string_equal(json_string_value(json_object_get(port, "pkg")), "nginx");
	port = port_at(message, "tcp4", 1);
	assert_string_equal(json_string_value(json_object_get(port, "proc")), "/opt/\"x\"\n?");
	assert_null(json_object_get(port, "pkg"));
	assert_int_equal(json_object_size(port_at(message, "udp4", 0)), 1);
	assert_int_equal(number_of(port_at(message, "udp6", 0), "port"), 53);
	assert_null(port_at(message, "tcp6", 0));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(message, "ip-addresses"), 1)),
		"::1");
	assert_int_equal(json_object_size(json_object_get(message, "listening-ports")), 4);
	json_decref(message);
	/* Room for the first and the one without a program. */
	message = make_ports(210, 2);
	assert_non_null(port_at(message, "tcp4", 0));
	assert_non_null(port_at(message, "udp4", 0));
	assert_null(port_at(message, "udp6", 0));
	json_decref(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_listening_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
