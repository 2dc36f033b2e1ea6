/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "../unit.h"

#include <errno.h>
#include <jansson.h>

#include "export/ecs.h"
#include "export/json.h"
#include "export/services/elastic_index.h"
#include "flow/field.h"

static void check_name(const char *pattern, const char *document, const char *expected)
{
	char name[ELASTIC_INDEX_NAME_SIZE];

	assert_int_equal(
		elastic_index_format(pattern, (const uint8_t *)document, strlen(document), name),
		0);
	assert_string_equal(name, expected);
}

static void test_names_by_date(unused void **state)
{
	static const char line[] = "{\"RECORD_TYPE\":\"flow\",\"@timestamp\":"
				   "\"2026-12-31T23:59:59.999Z\",\"FLOW_ID\":1}";

	check_name("procflow-%Y.%m.%d", line, "procflow-2026.12.31");
	check_name("procflow-%G.w%V", line, "procflow-2026.w53");
	check_name("flows", line, "flows");
}

/* Both schemas' own lines have the time where it is looked for. */
static void test_our_lines(unused void **state)
{
	struct flow_record record = records_make(RECORD_LOOPBACK);
	struct buffer line;
	char name[ELASTIC_INDEX_NAME_SIZE];

	setenv("TZ", "Pacific/Auckland", 1);
	buffer_init(&line);
	json_encode_record(&line, &record);
	assert_int_equal(elastic_index_format("a-%Y%m%d%H", line.bytes, line.length, name), 0);
	assert_string_equal(name, "a-2026112312");
	buffer_clear(&line);
	ecs_encode_record(&line, &record);
	assert_int_equal(elastic_index_format("a-%Y%m%d%H", line.bytes, line.length, name), 0);
	assert_string_equal(name, "a-2026112312");
	buffer_fini(&line);
}

static void test_without_a_time(unused void **state)
{
	static const char *const lines[] = {"", "{}", "{\"@timestamp\":\"2026",
					    "{\"@timestamp\":\"yesterday, at noon or so\"}"};
	char name[ELASTIC_INDEX_NAME_SIZE], long_pattern[300];

	for (size_t i = 0; i < array_length(lines); i++)
		assert_int_equal(elastic_index_format("x-%Y", (const uint8_t *)lines[i],
						      strlen(lines[i]), name),
				 -EBADMSG);
	memset(long_pattern, 'x', sizeof(long_pattern) - 1);
	long_pattern[sizeof(long_pattern) - 1] = '\0';
	check_name("x", "{\"@timestamp\":\"2026-01-02T03:04:05.000Z\"}", "x");
	assert_int_equal(elastic_index_format(
				 long_pattern,
				 (const uint8_t *)"{\"@timestamp\":\"2026-01-02T03:04:05.000Z\"}",
				 41, name),
			 -ENAMETOOLONG);
}

static void test_wildcards(unused void **state)
{
	char name[ELASTIC_INDEX_NAME_SIZE];

	elastic_index_make_wildcard("procflow-%Y.%m.%d", name);
	assert_string_equal(name, "procflow-*");
	elastic_index_make_wildcard("procflow-flows", name);
	assert_string_equal(name, "procflow-flows");
}

static json_t *make_template(const struct elastic_index_template *options)
{
	struct buffer out;
	json_error_t error;
	json_t *object;

	buffer_init(&out);
	elastic_index_add_template(&out, options);
	assert_false(out.failed);
	object = json_loadb((char *)out.bytes, out.length, JSON_REJECT_DUPLICATES, &error);
	if (!object)
		fail_msg("%s at line %d", error.text, error.line);
	buffer_fini(&out);
	return object;
}

static const char *type_of(json_t *template, const char *name)
{
	json_t *mappings = json_object_get(json_object_get(template, "template"), "mappings");
	json_t *property = json_object_get(json_object_get(mappings, "properties"), name);

	return json_string_value(json_object_get(property, "type"));
}

static void test_template_of_the_catalogue(unused void **state)
{
	json_t *template =
		make_template(&(struct elastic_index_template){.pattern = "procflow-%Y.%m.%d"});
	json_t *patterns = json_object_get(template, "index_patterns");

	assert_string_equal(json_string_value(json_array_get(patterns, 0)), "procflow-*");
	assert_null(json_object_get(template, "data_stream"));
	for (size_t i = 0; i < FIELD_COUNT; i++)
		assert_int_equal(type_of(template, field_table[i].name) != NULL,
				 (field_table[i].sets & FIELD_SET_JSON) != 0);
	assert_string_equal(type_of(template, "@timestamp"), "date");
	assert_string_equal(type_of(template, "IPV6_DST_ADDR"), "ip");
	assert_string_equal(type_of(template, "SRC_PROC_NAME"), "keyword");
	assert_string_equal(type_of(template, "OUT_BYTES"), "long");
	assert_string_equal(type_of(template, "LAST_SWITCHED"), "date");
	json_decref(template);
}

static void test_template_of_the_schema(unused void **state)
{
	json_t *template = make_template(&(struct elastic_index_template){
		.pattern = "procflow", .is_ecs = true, .is_data_stream = true});

	assert_true(json_is_object(json_object_get(template, "data_stream")));
	assert_string_equal(type_of(template, "@timestamp"), "date");
	assert_string_equal(type_of(template, "source.ip"), "ip");
	assert_string_equal(type_of(template, "process.pid"), "long");
	assert_string_equal(type_of(template, "process.start"), "date");
	assert_string_equal(type_of(template, "user.id"), "keyword");
	assert_string_equal(type_of(template, "procflow.source.proc_actual_memory"), "long");
	json_decref(template);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_by_date),
		cmocka_unit_test(test_our_lines),
		cmocka_unit_test(test_without_a_time),
		cmocka_unit_test(test_wildcards),
		cmocka_unit_test(test_template_of_the_catalogue),
		cmocka_unit_test(test_template_of_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
