/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <ctype.h>
#include <stdbool.h>

#include "flow/field.h"
#include "export/json.h"

/* A strict reader of one flat object (RFC 8259), that decodes as it goes. */
struct reader {
	const char *at, *end;
	char key[64];
	char value[16384];
	size_t length;
	bool is_string;
};

static void read_escape(struct reader *reader, char *out, size_t *length)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	char hex[5] = {0};

	assert_true(reader->at < reader->end);
	letter = strchr(letters, *reader->at);
	if (*reader->at != 'u') {
		assert_non_null(letter);
		out[(*length)++] = meanings[letter - letters];
		reader->at++;
		return;
	}
	assert_true(reader->end - reader->at > 4);
	memcpy(hex, reader->at + 1, 4);
	for (int i = 0; i < 4; i++)
		assert_true(isxdigit(hex[i]));
	assert_true(strtoul(hex, NULL, 16) < 0x20);
	out[(*length)++] = (char)strtoul(hex, NULL, 16);
	reader->at += 5;
}

static size_t read_string(struct reader *reader, char *out, size_t size)
{
	size_t length = 0;

	assert_int_equal(*reader->at++, '"');
	while (reader->at < reader->end && *reader->at != '"') {
		char byte = *reader->at++;

		assert_true(length + 1 < size);
		if (byte == '\\') {
			read_escape(reader, out, &length);
			continue;
		}
		assert_true((unsigned char)byte >= 0x20);
		out[length++] = byte;
	}
	assert_int_equal(*reader->at++, '"');
	return length;
}

/* The next member, or false at the end of the object. */
static bool read_member(struct reader *reader)
{
	if (*reader->at == '}') {
		assert_int_equal(reader->at[1], '\n');
		assert_ptr_equal(reader->at + 2, reader->end);
		return false;
	}
	assert_true(*reader->at == '{' || *reader->at == ',');
	reader->at++;
	reader->key[read_string(reader, reader->key, sizeof(reader->key))] = '\0';
	assert_int_equal(*reader->at++, ':');
	reader->is_string = *reader->at == '"';
	if (reader->is_string) {
		reader->length = read_string(reader, reader->value, sizeof(reader->value));
		return true;
	}
	reader->length = 0;
	while (isdigit(*reader->at))
		reader->value[reader->length++] = *reader->at++;
	assert_true(reader->length > 0);
	reader->value[reader->length] = '\0';
	assert_true(reader->length == 1 || reader->value[0] != '0');
	if (*reader->at == '.')
		for (reader->at++; isdigit(*reader->at); reader->at++)
			;
	return true;
}

static bool find_member(const struct buffer *line, const char *key, struct reader *reader)
{
	*reader = (struct reader){.at = (const char *)line->bytes,
				  .end = (const char *)line->bytes + line->length};
	while (read_member(reader))
		if (strcmp(reader->key, key) == 0)
			return true;
	return false;
}

/* The example of the documentation, with this record's times. */
static void test_the_documented_line(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL);
	struct buffer line;

	record.flow_id = 4611686018427387911;
	record.start_ms = 1795436375735;
	record.end_ms = 1795436375737;
	record.src.start_ms = 1795436370000;
	buffer_init(&line);
	assert_int_equal(json_encode_record(&line, &record), 0);
	buffer_add_byte(&line, '\0');
	assert_string_equal(
		(char *)line.bytes,
		"{\"RECORD_TYPE\":\"flow\",\"@timestamp\":\"2026-11-23T12:19:35.737Z\","
		"\"FLOW_ID\":4611686018427387911,\"IP_PROTOCOL_VERSION\":4,\"PROTOCOL\":6,"
		"\"IPV4_SRC_ADDR\":\"10.0.0.5\",\"L4_SRC_PORT\":50684,"
		"\"IPV4_DST_ADDR\":\"10.0.0.9\",\"L4_DST_PORT\":8099,"
		"\"IN_BYTES\":450,\"IN_PKTS\":7,\"OUT_BYTES\":979,\"OUT_PKTS\":6,"
		"\"FIRST_SWITCHED\":1795436375,\"LAST_SWITCHED\":1795436375,"
		"\"FLOW_START_MILLISECONDS\":1795436375735,"
		"\"FLOW_END_MILLISECONDS\":1795436375737,\"FLOW_END_REASON\":3,"
		"\"SRC_PROC_ATTRIBUTION\":\"trace\",\"SRC_PROC_PID\":4890,"
		"\"SRC_PROC_NAME\":\"curl\",\"SRC_PROC_USER_NAME\":\"alice\","
		"\"SRC_PROC_UID\":1000,\"SRC_FATHER_PROC_PID\":4849,"
		"\"SRC_FATHER_PROC_NAME\":\"bash\",\"SRC_PROC_ACTUAL_MEMORY\":9437184,"
		"\"SRC_PROC_PEAK_MEMORY\":9437184,\"SRC_PROC_AVERAGE_CPU_LOAD\":8312,"
		"\"SRC_PROC_NUM_PAGE_FAULTS\":412,\"SRC_PROC_PCTG_IOWAIT\":0,"
		"\"SRC_PROC_START_MILLISECONDS\":1795436370000,\"SRC_PROC_MAJOR_FAULTS\":41,"
		"\"SRC_PROC_MINOR_FAULTS\":371,\"DST_PROC_ATTRIBUTION\":\"remote\"}\n");
	buffer_fini(&line);
}

static void test_unknown_is_absent(unused void **state)
{
	struct flow_record record = records_make(RECORD_UNCOUNTED);
	struct reader reader;
	struct buffer line;

	buffer_init(&line);
	assert_int_equal(json_encode_record(&line, &record), 0);
	assert_false(find_member(&line, "IN_BYTES", &reader));
	assert_false(find_member(&line, "OUT_PKTS", &reader));
	assert_false(find_member(&line, "IPV4_SRC_ADDR", &reader));
	assert_false(find_member(&line, "SRC_PROC_PID", &reader));
	assert_false(find_member(&line, "DST_PROC_ATTRIBUTION_REASON", &reader));
	assert_true(find_member(&line, "IPV6_SRC_ADDR", &reader));
	buffer_fini(&line);
}

static void check_text(const char *text, size_t length, const char *expected)
{
	struct flow_record record = records_make(RECORD_CURL);
	struct reader reader;
	struct buffer line;

	record.src.name = (struct text){text, length};
	buffer_init(&line);
	assert_int_equal(json_encode_record(&line, &record), 0);
	assert_true(find_member(&line, "SRC_PROC_NAME", &reader));
	assert_int_equal(reader.length, length);
	assert_memory_equal(reader.value, expected, length);
	buffer_fini(&line);
}

static void test_texts_survive(unused void **state)
{
	static const char hostile[] = "a\"b\\c\nd\te\x01"
				      "f\0g\x7f/\xc3\xa9\xf0\x9f\x90\xa7";

	check_text(hostile, sizeof(hostile) - 1, hostile);
	check_text("\xff"
		   "ok\xc3",
		   4, "?ok?");
	check_text("\xed\xa0\x80", 3, "???");
}

static void check_contains(const struct flow_record *record, const char *wanted)
{
	struct buffer line;

	buffer_init(&line);
	assert_int_equal(json_encode_record(&line, record), 0);
	buffer_add(&line, "", 1);
	if (!strstr((const char *)line.bytes, wanted))
		fail_msg("no %s in %s", wanted, (const char *)line.bytes);
	buffer_fini(&line);
}

static void test_packet_values(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL);

	record.parts |= RECORD_SOURCE_MAC | RECORD_CLIENT_LATENCY | RECORD_SERVER_LATENCY;
	memcpy(record.packets.source_mac, "\x02\0\0\xab\xcd\xef", 6);
	record.packets.client_latency_us = 7;
	record.packets.server_latency_us = 10250;
	check_contains(&record, ",\"IN_SRC_MAC\":\"02:00:00:AB:CD:EF\"");
	check_contains(&record, ",\"CLIENT_NW_LATENCY_MS\":0.007,");
	check_contains(&record, ",\"SERVER_NW_LATENCY_MS\":10.250,");
}

/* Every random record is one valid object with exactly the keys of what is known, in table order.
 */
static void test_random_records(unused void **state)
{
	uint64_t seed = 20261123;
	struct buffer line;

	buffer_init(&line);
	for (int i = 0; i < 5000; i++) {
		struct flow_record record = records_make_random(&seed);
		struct reader reader = {0};
		size_t next = 0;

		buffer_clear(&line);
		assert_int_equal(json_encode_record(&line, &record), 0);
		reader.at = (const char *)line.bytes;
		reader.end = reader.at + line.length;
		assert_true(read_member(&reader));
		assert_string_equal(reader.key, "RECORD_TYPE");
		assert_true(read_member(&reader));
		assert_string_equal(reader.key, "@timestamp");
		while (read_member(&reader)) {
			while (next < FIELD_COUNT &&
			       strcmp(field_table[next].name, reader.key) != 0) {
				const struct field *field = &field_table[next++];

				if (field->kind != FIELD_KIND_TEXT && field->sets & FIELD_SET_JSON)
					assert_false(field_is_known(field, record.parts));
			}
			assert_true(next < FIELD_COUNT);
			assert_true(field_is_known(&field_table[next], record.parts));
			if (field_table[next].kind == FIELD_KIND_UNSIGNED)
				assert_true(strtoull(reader.value, NULL, 10) ==
					    field_get_unsigned(&field_table[next], &record));
			else if (field_table[next].kind != FIELD_KIND_UPTIME &&
				 field_table[next].kind != FIELD_KIND_LATENCY)
				assert_true(reader.is_string);
			next++;
		}
	}
	buffer_fini(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_documented_line),
		cmocka_unit_test(test_unknown_is_absent),
		cmocka_unit_test(test_texts_survive),
		cmocka_unit_test(test_packet_values),
		cmocka_unit_test(test_random_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
