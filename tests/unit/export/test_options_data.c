/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/options_data.h"
#include "export/wire_writer.h"

/* RFC 3954 6.1: lengths in bytes. */
static void test_netflow9_template(unused void **state)
{
	uint8_t bytes[OPTIONS_DATA_LONGEST];

	assert_int_equal(options_data_encode_template(TEMPLATE_NETFLOW9, OPTIONS_DATA_SENT, bytes),
			 22);
	assert_memory_equal(bytes,
			    "\x03\x00\x00\x04\x00\x0c\x00\x01\x00\x04"
			    "\x00\x29\x00\x08\x00\x2a\x00\x08\x00\x28\x00\x08",
			    22);
	assert_int_equal(
		options_data_encode_template(TEMPLATE_NETFLOW9, OPTIONS_DATA_NOT_SENT, bytes), 22);
	assert_memory_equal(bytes,
			    "\x03\x01\x00\x04\x00\x0c\x00\x01\x00\x04"
			    "\x00\xa6\x00\x08\x00\xa7\x00\x08\x00\xa8\x00\x08",
			    22);
	assert_int_equal(options_data_encode_template(TEMPLATE_NETFLOW9, OPTIONS_DATA_TYPES, bytes),
			 0);
}

/* RFC 7011 3.4.2.2: the number of fields, scopes included, and of scopes. */
static void test_ipfix_template(unused void **state)
{
	uint8_t bytes[OPTIONS_DATA_LONGEST];

	assert_int_equal(options_data_encode_template(TEMPLATE_IPFIX, OPTIONS_DATA_NOT_SENT, bytes),
			 22);
	assert_memory_equal(bytes,
			    "\x03\x01\x00\x04\x00\x01\x00\x90\x00\x04"
			    "\x00\xa6\x00\x08\x00\xa7\x00\x08\x00\xa8\x00\x08",
			    22);
}

static void test_statistics(unused void **state)
{
	const struct options_statistics statistics = {1, 2, 3, 4, 5, 6, 7, 8, true};
	struct options_statistics unknown = statistics;
	uint8_t bytes[OPTIONS_DATA_LONGEST];

	assert_int_equal(options_data_encode_statistics(TEMPLATE_IPFIX, OPTIONS_DATA_SENT, 7,
							&statistics, bytes),
			 28);
	assert_memory_equal(bytes, "\0\0\0\7\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3", 28);
	assert_int_equal(options_data_encode_statistics(TEMPLATE_IPFIX, OPTIONS_DATA_NOT_SENT, 7,
							&statistics, bytes),
			 28);
	assert_memory_equal(bytes + 4, "\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\5", 16);
	assert_int_equal(options_data_encode_statistics(TEMPLATE_IPFIX, OPTIONS_DATA_IGNORED, 9,
							&statistics, bytes),
			 20);
	assert_memory_equal(bytes, "\0\0\0\x09\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x08", 20);
	assert_int_equal(options_data_encode_statistics(TEMPLATE_NETFLOW9, OPTIONS_DATA_IGNORED, 9,
							&statistics, bytes),
			 0);
	unknown.has_ignored = false;
	assert_int_equal(options_data_encode_statistics(TEMPLATE_IPFIX, OPTIONS_DATA_IGNORED, 9,
							&unknown, bytes),
			 0);
}

/* All that fits nowhere else: every enterprise field, and no reverse element (RFC 5103 has those). */
static void test_types(unused void **state)
{
	uint8_t bytes[OPTIONS_DATA_LONGEST];
	size_t described = 0;

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *field = &field_table[i];
		size_t length;

		assert_int_equal(options_data_is_described(field), field->pen != 0);
		if (!options_data_is_described(field))
			continue;
		length = options_data_encode_type(field, bytes);
		assert_int_equal(length, 28 + strlen(field->name) + strlen(field->meaning));
		assert_memory_equal(bytes, "\x00\x00\x8b\x30", 4);
		assert_memory_equal(bytes + 27, field->name, strlen(field->name));
		described++;
	}
	assert_true(described >= 20);
	options_data_encode_type(&field_table[FIELD_SRC_PROC_PID], bytes);
	assert_memory_equal(bytes + 4, "\x00\xa8\x03\x04\x00\x00", 6);
	options_data_encode_type(&field_table[FIELD_DST_PROC_PEAK_MEMORY], bytes);
	assert_memory_equal(bytes + 4, "\x01\x84\x03\x01\x00\x02", 6);
	options_data_encode_type(&field_table[FIELD_SRC_PROC_NAME], bytes);
	assert_memory_equal(bytes + 4, "\x00\xa9\x0d\x00\x00\x00", 6);
}

struct received {
	unsigned messages, options_templates;
	uint32_t last_sequence;
};

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void on_message(void *userdata, const struct wire_message *message)
{
	struct received *received = userdata;

	for (size_t at = 16; at < message->length;
	     at += (size_t)(message->bytes[at + 2] << 8 | message->bytes[at + 3]))
		if (message->bytes[at + 1] == OPTIONS_DATA_SET_IPFIX && message->bytes[at] == 0)
			received->options_templates++;
	received->last_sequence = read_u32(message->bytes + 8);
	received->messages++;
}

static void read_statistics(unused void *userdata, struct options_statistics *ret)
{
	*ret = (struct options_statistics){0};
}

static void add(struct wire_writer *writer, uint64_t now_ns)
{
	const struct wire_now now = {now_ns, RECORDS_START_MS * NS_PER_MS};
	struct flow_record record = records_make(RECORD_CURL);

	assert_int_equal(wire_writer_add(writer, &record, &now), 0);
	wire_writer_finish(writer, &now);
}

/* By time over UDP; over a connection once, and again when it is a new one. The sequence counts
 * options data (RFC 7011 3.1). */
static void check_period(bool is_reliable)
{
	struct received received = {0};
	const struct wire_options options = {
		.template_options = {.format = TEMPLATE_IPFIX, .set = FIELD_SET_PROCFLOW},
		.template_interval_ns = 60 * NS_PER_SEC,
		.template_packets = 1000,
		.max_message_bytes = 9000,
		.is_reliable = is_reliable,
		.read_statistics = read_statistics,
	};
	struct wire_writer *writer;
	unsigned types = 0;

	for (size_t i = 0; i < FIELD_COUNT; i++)
		types += options_data_is_described(&field_table[i]);
	assert_int_equal(wire_writer_new(&options, on_message, &received, &writer), 0);
	add(writer, 1);
	assert_int_equal(received.options_templates, 1);
	assert_int_equal(received.last_sequence, 0);
	add(writer, 2);
	assert_int_equal(received.options_templates, 1);
	assert_int_equal(received.last_sequence, types + 2 + 1);
	add(writer, 61 * NS_PER_SEC);
	assert_int_equal(received.options_templates, is_reliable ? 1 : 2);
	add(writer, 61 * NS_PER_SEC + 1);
	assert_int_equal(received.last_sequence, (is_reliable ? 1 : 2) * types + 4 + 3);
	wire_writer_resend_templates(writer);
	add(writer, 61 * NS_PER_SEC + 2);
	assert_int_equal(received.options_templates, is_reliable ? 2 : 3);
	wire_writer_free(writer);
}

static void test_period(unused void **state)
{
	check_period(false);
	check_period(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netflow9_template),
		cmocka_unit_test(test_ipfix_template),
		cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
