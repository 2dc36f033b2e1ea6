/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <stdbool.h>

#include "export/template.h"

static const struct template_options v9 = {
	.format = TEMPLATE_NETFLOW9, .set = FIELD_SET_PROCFLOW, .biflow = CONFIG_BIFLOW_RFC5103};
static const struct template_options ipfix = {
	.format = TEMPLATE_IPFIX, .set = FIELD_SET_PROCFLOW, .biflow = CONFIG_BIFLOW_RFC5103};

static const struct template_field *find(const struct template *template, uint32_t pen, uint16_t id)
{
	for (size_t i = 0; i < template->field_count; i++)
		if (template->fields[i].id == id && template->fields[i].pen == pen)
			return &template->fields[i];
	return NULL;
}

static void test_only_what_is_known(unused void **state)
{
	struct template template;

	template_init(&template, &ipfix, RECORD_IPV6, 300);
	assert_int_equal(template.id, 300);
	assert_non_null(find(&template, 0, 27));
	assert_null(find(&template, 0, 8));
	assert_null(find(&template, 0, 1));
	assert_null(find(&template, FIELD_PEN_REVERSE, 1));
	assert_null(find(&template, FIELD_PEN_NTOP, 168));
	template_init(&template, &ipfix,
		      RECORD_IPV4 | RECORD_COUNTERS | RECORD_END(RECORD_DST, END_PROCESS), 301);
	assert_non_null(find(&template, 0, 8));
	assert_null(find(&template, 0, 27));
	assert_non_null(find(&template, 0, 1));
	assert_non_null(find(&template, FIELD_PEN_NTOP, 375));
	assert_null(find(&template, FIELD_PEN_NTOP, 168));
}

static void test_biflow(unused void **state)
{
	struct template_options ntop = ipfix;
	struct template template;

	template_init(&template, &ipfix, RECORD_IPV4 | RECORD_COUNTERS, 256);
	assert_non_null(find(&template, FIELD_PEN_REVERSE, 1));
	assert_non_null(find(&template, FIELD_PEN_REVERSE, 2));
	assert_null(find(&template, 0, 23));
	ntop.biflow = CONFIG_BIFLOW_NTOP;
	template_init(&template, &ntop, RECORD_IPV4 | RECORD_COUNTERS, 256);
	assert_null(find(&template, FIELD_PEN_REVERSE, 1));
	assert_non_null(find(&template, 0, 23));
	assert_non_null(find(&template, 0, 24));
	template_init(&template, &v9, RECORD_IPV4 | RECORD_COUNTERS, 256);
	assert_non_null(find(&template, 0, 23));
	assert_non_null(find(&template, 0, 24));
}

static void test_icmp_number_follows_format_and_family(unused void **state)
{
	struct template template;

	template_init(&template, &ipfix, RECORD_IPV4 | RECORD_ICMP, 256);
	assert_non_null(find(&template, 0, 32));
	template_init(&template, &ipfix, RECORD_IPV6 | RECORD_ICMP, 256);
	assert_non_null(find(&template, 0, 139));
	assert_null(find(&template, 0, 32));
	template_init(&template, &v9, RECORD_IPV6 | RECORD_ICMP, 256);
	assert_non_null(find(&template, 0, 32));
}

/* nfdump takes 148 in NetFlow v9 for a firewall's event. */
static void test_flow_id_is_in_ipfix_alone(unused void **state)
{
	struct template template;

	template_init(&template, &ipfix, ~RECORD_PROCESS, 256);
	assert_non_null(find(&template, 0, 148));
	template_init(&template, &v9, ~RECORD_PROCESS, 256);
	assert_null(find(&template, 0, 148));
}

static struct template_options parse_own(enum template_format format, const char *text)
{
	struct template_options options = {.format = format, .biflow = CONFIG_BIFLOW_NTOP};
	struct text wrong;

	assert_int_equal(field_list_parse(&options.own, text, &wrong), 0);
	field_list_complete_families(&options.own);
	return options;
}

static void assert_ids(const struct template *template, const uint16_t *ids, size_t count)
{
	assert_int_equal(template->field_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(template->fields[i].id, ids[i]);
}

/* In the order written, 148 too, and the other family's addresses though not named. */
static void test_own_template(unused void **state)
{
	static const uint16_t v4_ids[] = {148, 57641, 8, 12, 7, 22},
			      v6_ids[] = {148, 57641, 27, 28, 7, 22};
	struct template_options options =
		parse_own(TEMPLATE_NETFLOW9, "%FLOW_ID  %SRC_PROC_NAME %IPV4_SRC_ADDR "
					     "%IPV6_DST_ADDR L4_SRC_PORT %FIRST_SWITCHED");
	uint64_t process = RECORD_END(RECORD_SRC, END_PROCESS);
	struct template template;

	template_init(&template, &options, RECORD_IPV4 | process, 256);
	assert_ids(&template, v4_ids, array_length(v4_ids));
	template_init(&template, &options, RECORD_IPV6 | process, 256);
	assert_ids(&template, v6_ids, array_length(v6_ids));
	template_init(&template, &options, RECORD_IPV6, 256);
	assert_int_equal(template.field_count, 5);
	assert_int_equal(template_used_parts(&options), RECORD_IPV4 | RECORD_IPV6 | process);
}

/* A width of 4 is that of 22, and 152 has none but 8. */
static void test_widths_of_own(unused void **state)
{
	const char *text = "%SRC_PROC_NAME:3 %IN_BYTES:4 %FIRST_SWITCHED:4 %OUT_BYTES";
	uint64_t parts = RECORD_IPV4 | RECORD_COUNTERS | RECORD_END(RECORD_SRC, END_PROCESS);
	struct flow_record record = {
		.src.name = text_from("curl"), .start_ms = 1, .counters = {1ull << 32, 0, 5, 0}};
	const uint8_t v9_bytes[] = "cur\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\x05",
		      ipfix_bytes[] = "\x03"
				      "cur\xff\xff\xff\xff\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05";
	const struct {
		enum template_format format;
		uint16_t widths[4];
		const uint8_t *bytes;
		size_t length;
	} cases[] = {{TEMPLATE_NETFLOW9, {3, 4, 4, 8}, v9_bytes, sizeof(v9_bytes) - 1},
		     {TEMPLATE_IPFIX, {0xffff, 4, 8, 8}, ipfix_bytes, sizeof(ipfix_bytes) - 1}};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct template_options options = parse_own(cases[i].format, text);
		struct template template;
		uint8_t out[64];

		template_init(&template, &options, parts, 256);
		assert_int_equal(template.field_count, 4);
		for (size_t j = 0; j < 4; j++)
			assert_int_equal(template.fields[j].width, cases[i].widths[j]);
		assert_in_range(template_bound_record(&template, &record, TEMPLATE_WHOLE_TEXT),
				cases[i].length, cases[i].length + 2);
		assert_int_equal(
			template_encode_record(&template, &record, 0, TEMPLATE_WHOLE_TEXT, out),
			cases[i].length);
		assert_memory_equal(out, cases[i].bytes, cases[i].length);
	}
}

/* nProbe's users write 21 and 22 for IPFIX too. */
static void test_own_ipfix_template_has_the_times_once(unused void **state)
{
	static const uint16_t ids[] = {152, 4, 153};
	struct template_options options =
		parse_own(TEMPLATE_IPFIX,
			  "%FIRST_SWITCHED %PROTOCOL %LAST_SWITCHED %FLOW_START_MILLISECONDS");
	struct template template;

	template_init(&template, &options, RECORD_IPV4, 256);
	assert_ids(&template, ids, array_length(ids));
}

static void test_standard_has_registered_fields_only(unused void **state)
{
	struct template_options options = {
		.format = TEMPLATE_IPFIX, .set = FIELD_SET_STANDARD, .biflow = CONFIG_BIFLOW_NTOP};
	struct template template;

	template_init(&template, &options, ~RECORD_PROCESS, 256);
	for (size_t i = 0; i < template.field_count; i++)
		assert_int_equal(template.fields[i].pen, 0);
	assert_non_null(find(&template, 0, 371));
	options.format = TEMPLATE_NETFLOW9;
	template_init(&template, &options, ~RECORD_PROCESS, 256);
	for (size_t i = 0; i < template.field_count; i++)
		assert_true(template.fields[i].id < 512);
	template_init(&template, &options, RECORD_IPV4, 256);
	assert_null(find(&template, 0, 371));
}

/* The bytes of one field, which is the last of a record encoded with all others before it. */
static size_t encode_field(const struct template_options *options, struct flow_record *record,
			   uint32_t pen, uint16_t id, size_t text_limit, uint8_t *out)
{
	static uint8_t bytes[70000];
	struct template template;
	size_t skipped, whole;

	template_init(&template, options, record->parts, 256);
	for (uint16_t i = 0; i < template.field_count; i++) {
		if (template.fields[i].id != id || template.fields[i].pen != pen)
			continue;
		template.field_count = i;
		skipped = template_encode_record(&template, record, RECORDS_BOOT_NS, text_limit,
						 bytes);
		template.field_count++;
		whole = template_encode_record(&template, record, RECORDS_BOOT_NS, text_limit,
					       bytes);
		memcpy(out, bytes + skipped, whole - skipped);
		return whole - skipped;
	}
	fail_msg("no field %u.%u", pen, id);
	return 0;
}

static void test_memory_saturates(unused void **state)
{
	struct flow_record record = records_make(RECORD_LOOPBACK);
	uint8_t bytes[16];

	record.src.memory_bytes = UINT32_MAX;
	record.src.peak_memory_bytes = 1ull << 32;
	assert_int_equal(encode_field(&v9, &record, 0, 57855, 99, bytes), 4);
	assert_memory_equal(bytes, "\xff\xff\xff\xff", 4);
	assert_int_equal(encode_field(&ipfix, &record, FIELD_PEN_NTOP, 384, 99, bytes), 4);
	assert_memory_equal(bytes, "\xff\xff\xff\xff", 4);
	record.src.memory_bytes = 0x01020304;
	encode_field(&v9, &record, 0, 57855, 99, bytes);
	assert_memory_equal(bytes, "\1\2\3\4", 4);
}

static void check_v9_name(const char *name, size_t length, const char expected[16])
{
	struct flow_record record = records_make(RECORD_CURL);
	uint8_t bytes[32];

	record.src.name = (struct text){name, length};
	assert_int_equal(encode_field(&v9, &record, 0, 57641, TEMPLATE_WHOLE_TEXT, bytes), 16);
	assert_memory_equal(bytes, expected, 16);
}

static void test_v9_texts_are_cut_between_characters(unused void **state)
{
	check_v9_name("", 0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	check_v9_name("curl", 4, "curl\0\0\0\0\0\0\0\0\0\0\0");
	check_v9_name("exactly-sixteen!", 16, "exactly-sixteen!");
	check_v9_name("seventeen-letters", 17, "seventeen-letter");
	check_v9_name("fourteen-bytes\xf0\x9f\x90\xa7", 18, "fourteen-bytes\0\0");
	check_v9_name("twelve-bytes\xf0\x9f\x90\xa7\xf0\x9f\x90\xa7", 20,
		      "twelve-bytes\xf0\x9f\x90\xa7");
	check_v9_name("a\0b\nc\xff", 6, "a?b?c?\0\0\0\0\0\0\0\0\0");
}

/* RFC 7011 7. */
static void test_ipfix_lengths(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL);
	static char letters[66000];
	static uint8_t bytes[66000];

	memset(letters, 'x', sizeof(letters));
	record.src.name = (struct text){letters, 254};
	assert_int_equal(
		encode_field(&ipfix, &record, FIELD_PEN_NTOP, 169, TEMPLATE_WHOLE_TEXT, bytes),
		255);
	assert_int_equal(bytes[0], 254);
	record.src.name.length = 255;
	assert_int_equal(
		encode_field(&ipfix, &record, FIELD_PEN_NTOP, 169, TEMPLATE_WHOLE_TEXT, bytes),
		258);
	assert_memory_equal(bytes, "\xff\x00\xff\x78", 4);
	record.src.name.length = 0;
	assert_int_equal(
		encode_field(&ipfix, &record, FIELD_PEN_NTOP, 169, TEMPLATE_WHOLE_TEXT, bytes), 1);
	assert_int_equal(bytes[0], 0);
	record.src.name.length = sizeof(letters);
	assert_int_equal(
		encode_field(&ipfix, &record, FIELD_PEN_NTOP, 169, TEMPLATE_WHOLE_TEXT, bytes),
		3 + TEMPLATE_WHOLE_TEXT);
}

static void test_a_limited_text_ends_between_characters(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL);
	uint8_t bytes[32];

	record.src.name = text_from("ab\xc3\xa9\xc3\xa9");
	assert_int_equal(encode_field(&ipfix, &record, FIELD_PEN_NTOP, 169, 5, bytes), 5);
	assert_memory_equal(bytes, "\4ab\xc3\xa9", 5);
}

static void test_uptime(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL);
	uint8_t bytes[8];

	record.start_ns = RECORDS_BOOT_NS + 0x01020304 * NS_PER_MS + 999999;
	encode_field(&v9, &record, 0, 22, 0, bytes);
	assert_memory_equal(bytes, "\1\2\3\4", 4);
	record.start_ns = RECORDS_BOOT_NS - 1;
	encode_field(&v9, &record, 0, 22, 0, bytes);
	assert_memory_equal(bytes, "\0\0\0\0", 4);
	record.start_ns = RECORDS_BOOT_NS + ((1ull << 32) + 5) * NS_PER_MS;
	encode_field(&v9, &record, 0, 22, 0, bytes);
	assert_memory_equal(bytes, "\0\0\0\5", 4);
}

static void test_latencies_are_rounded(unused void **state)
{
	static const uint8_t expected[] = {0x02, 0, 0, 0xab, 0xcd, 0xef, 0, 0, 0, 10, 0, 0, 0, 1};
	struct template_options options = parse_own(
		TEMPLATE_NETFLOW9, "%IN_SRC_MAC %SERVER_NW_LATENCY_MS %CLIENT_NW_LATENCY_MS");
	struct flow_record record = records_make(RECORD_CURL);
	struct template template;
	uint8_t bytes[64];

	record.parts |= RECORD_SOURCE_MAC | RECORD_CLIENT_LATENCY | RECORD_SERVER_LATENCY;
	memcpy(record.packets.source_mac, expected, 6);
	record.packets.server_latency_us = 10499;
	record.packets.client_latency_us = 500;
	template_init(&template, &options, record.parts, 256);
	assert_int_equal(template_encode_record(&template, &record, 0, SIZE_MAX, bytes), 14);
	assert_memory_equal(bytes, expected, 14);
}

static void test_user_name_of_the_end_that_has_one(unused void **state)
{
	const struct template_options options = {
		.format = TEMPLATE_IPFIX, .set = FIELD_SET_STANDARD, .biflow = CONFIG_BIFLOW_NTOP};
	struct flow_record record = records_make(RECORD_LOOPBACK);
	uint8_t bytes[32];

	assert_int_equal(encode_field(&options, &record, 0, 371, 99, bytes), 4);
	assert_memory_equal(bytes, "\3bob", 4);
	record = records_make(RECORD_V6);
	assert_int_equal(encode_field(&options, &record, 0, 371, 99, bytes), 9);
	assert_memory_equal(bytes, "\10www-data", 9);
}

static bool is_clean(const uint8_t *bytes, size_t length)
{
	char clean[70000];

	return text_sanitise((struct text){(const char *)bytes, length}, clean, sizeof(clean)) ==
		       length &&
	       memcmp(clean, bytes, length) == 0;
}

static void check_field_bytes(const struct template *template, const uint8_t *bytes, size_t length)
{
	size_t at = 0;

	for (size_t i = 0; i < template->field_count; i++) {
		size_t width = template->fields[i].width;

		if (width == FIELD_VARIABLE) {
			width = bytes[at++];
			if (width == 255) {
				width = (size_t)bytes[at] << 8 | bytes[at + 1];
				at += 2;
			}
			assert_true(is_clean(bytes + at, width));
		}
		at += width;
	}
	assert_int_equal(at, length);
}

/* Any record, any limit: the lengths add up, nothing is written behind the bound, texts are clean.
 */
static void test_random_records(unused void **state)
{
	static uint8_t bytes[131072];
	uint64_t seed = 777;

	for (int i = 0; i < 10000; i++) {
		struct flow_record record = records_make_random(&seed);
		const struct template_options options = {
			.format = records_random(&seed) % 2 ? TEMPLATE_IPFIX : TEMPLATE_NETFLOW9,
			.set = records_random(&seed) % 2 ? FIELD_SET_PROCFLOW : FIELD_SET_STANDARD,
			.biflow = records_random(&seed) % 2 ? CONFIG_BIFLOW_NTOP
							    : CONFIG_BIFLOW_RFC5103};
		size_t limit =
			records_random(&seed) % 2 ? TEMPLATE_WHOLE_TEXT : TEMPLATE_SHORT_TEXT;
		struct template template;
		size_t bound, length;

		template_init(&template, &options, record.parts & template_used_parts(&options),
			      256);
		bound = template_bound_record(&template, &record, limit);
		assert_true(bound < sizeof(bytes));
		memset(bytes, 0xa5, bound + 64);
		length = template_encode_record(&template, &record, RECORDS_BOOT_NS, limit, bytes);
		assert_true(length <= bound);
		for (size_t j = bound; j < bound + 64; j++)
			assert_int_equal(bytes[j], 0xa5);
		if (options.format == TEMPLATE_NETFLOW9)
			assert_int_equal(length, template.fixed_bytes);
		check_field_bytes(&template, bytes, length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_is_known),
		cmocka_unit_test(test_biflow),
		cmocka_unit_test(test_icmp_number_follows_format_and_family),
		cmocka_unit_test(test_flow_id_is_in_ipfix_alone),
		cmocka_unit_test(test_own_template),
		cmocka_unit_test(test_widths_of_own),
		cmocka_unit_test(test_own_ipfix_template_has_the_times_once),
		cmocka_unit_test(test_standard_has_registered_fields_only),
		cmocka_unit_test(test_memory_saturates),
		cmocka_unit_test(test_v9_texts_are_cut_between_characters),
		cmocka_unit_test(test_ipfix_lengths),
		cmocka_unit_test(test_a_limited_text_ends_between_characters),
		cmocka_unit_test(test_uptime),
		cmocka_unit_test(test_latencies_are_rounded),
		cmocka_unit_test(test_user_name_of_the_end_that_has_one),
		cmocka_unit_test(test_random_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
