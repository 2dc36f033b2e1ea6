/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/buffer.h"
#include "export/ecs.h"
#include "export/ecs_rows.h"

/* The line as another reader has it: strict, and no key twice. */
static json_t *encode(const struct flow_record *record)
{
	struct buffer line;
	json_error_t error;
	json_t *object;

	buffer_init(&line);
	assert_int_equal(ecs_encode_record(&line, record), 0);
	assert_int_equal(line.bytes[line.length - 1], '\n');
	assert_null(memchr(line.bytes, '\n', line.length - 1));
	object = json_loadb((char *)line.bytes, line.length,
			    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!object)
		fail_msg("%s at %d: %.*s", error.text, error.position, (int)line.length,
			 (char *)line.bytes);
	buffer_fini(&line);
	return object;
}

static json_t *find(json_t *object, const char *path)
{
	char name[64];

	while (object && *path) {
		size_t length = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		object = json_object_get(object, name);
		path += length + (path[length] == '.');
	}
	return object;
}

static void check_text(json_t *object, const char *path, const char *expected)
{
	const char *value = json_string_value(find(object, path));

	if (!value)
		fail_msg("no %s", path);
	assert_string_equal(value, expected);
}

static void check_number(json_t *object, const char *path, long long expected)
{
	if (!json_is_integer(find(object, path)))
		fail_msg("no %s", path);
	assert_int_equal(json_integer_value(find(object, path)), expected);
}

static void test_a_local_client(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL);
	json_t *object;

	record.number = 3;
	object = encode(&record);
	check_text(object, "@timestamp", "2026-11-23T12:19:36.737Z");
	check_text(object, "ecs.version", ECS_VERSION);
	check_text(object, "event.start", "2026-11-23T12:19:36.735Z");
	check_number(object, "event.duration", 2000000);
	check_number(object, "event.sequence", 3);
	check_text(object, "flow.id", "1");
	assert_true(json_is_true(find(object, "flow.final")));
	check_text(object, "network.type", "ipv4");
	check_text(object, "network.transport", "tcp");
	check_text(object, "network.iana_number", "6");
	check_number(object, "network.bytes", 450 + 979);
	check_number(object, "network.packets", 13);
	check_text(object, "source.ip", "10.0.0.5");
	check_number(object, "source.port", 50684);
	check_number(object, "source.bytes", 450);
	check_number(object, "destination.bytes", 979);
	check_number(object, "process.pid", 4890);
	check_text(object, "process.name", "curl");
	check_number(object, "process.parent.pid", 4849);
	check_text(object, "user.name", "alice");
	check_text(object, "user.id", "1000");
	check_number(object, "source.process.pid", 4890);
	check_text(object, "source.user.name", "alice");
	assert_null(find(object, "destination.process"));
	check_number(object, "procflow.source.proc_peak_memory", 9437184);
	check_text(object, "procflow.destination.proc_attribution", "remote");
	json_decref(object);
}

static void test_a_local_server_is_the_process(unused void **state)
{
	struct flow_record record = records_make(RECORD_V6);
	json_t *object = encode(&record);

	check_text(object, "process.name", "nginx");
	check_text(object, "destination.process.name", "nginx");
	assert_null(find(object, "source.process"));
	assert_true(json_is_false(find(object, "flow.final")));
	assert_int_equal(json_array_size(find(object, "event.type")), 1);
	json_decref(object);
	record = records_make(RECORD_LOOPBACK);
	object = encode(&record);
	check_text(object, "process.name", "psql");
	check_text(object, "destination.process.name", "postgres");
	json_decref(object);
}

static void test_unknown_is_absent(unused void **state)
{
	struct flow_record record = records_make(RECORD_UNCOUNTED);
	json_t *object = encode(&record);

	assert_null(find(object, "network.bytes"));
	assert_null(find(object, "source.bytes"));
	assert_null(find(object, "process"));
	assert_null(find(object, "user"));
	assert_non_null(find(object, "source.port"));
	json_decref(object);
	record = records_make(RECORD_PING6);
	object = encode(&record);
	assert_null(find(object, "destination.port"));
	check_text(object, "network.transport", "ipv6-icmp");
	check_number(object, "procflow.icmp_type", 133 * 256);
	json_decref(object);
	/* A protocol without a name in our list has its number. */
	record = records_make(RECORD_CURL);
	record.key.protocol = 253;
	object = encode(&record);
	assert_null(find(object, "network.transport"));
	check_text(object, "network.iana_number", "253");
	json_decref(object);
}

/* The names that ecs_list_names() tells, as paths. */
struct names {
	char paths[256][96];
	char types[256][16];
	size_t count;
};

static void on_name(void *userdata, const char *object, const char *key, const char *type)
{
	struct names *names = userdata;
	char *path;

	assert_true(names->count < array_length(names->paths));
	path = names->paths[names->count];
	assert_in_range(snprintf(path, 96, "%s%s%s", object, *object ? "." : "", key), 1, 95);
	snprintf(names->types[names->count++], 16, "%s", type);
}

static size_t find_name(const struct names *names, const char *path)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->paths[i], path) == 0)
			return i;
	return names->count;
}

static void check_value(const struct names *names, const char *path, json_t *value)
{
	size_t at = find_name(names, path);
	const char *type;

	if (at == names->count)
		fail_msg("%s is not told by ecs_list_names()", path);
	type = names->types[at];
	if (strcmp(type, "long") == 0 || strcmp(type, "integer") == 0)
		assert_true(json_is_integer(value));
	else if (strcmp(type, "float") == 0)
		assert_true(json_is_real(value));
	else if (strcmp(type, "boolean") == 0)
		assert_true(json_is_boolean(value));
	else
		assert_true(json_is_string(value) || json_is_array(value));
}

static void check_object(const struct names *names, const char *path, json_t *object)
{
	const char *key;
	json_t *value;

	assert_true(json_object_size(object) > 0);
	json_object_foreach(object, key, value)
	{
		char inner[128];

		snprintf(inner, sizeof(inner), "%s%s%s", path, *path ? "." : "", key);
		if (json_is_object(value))
			check_object(names, inner, value);
		else
			check_value(names, inner, value);
	}
}

static void test_each_name_is_told_once(unused void **state)
{
	struct names names = {.count = 0};

	ecs_list_names(on_name, &names);
	for (size_t i = 0; i < names.count; i++)
		assert_int_equal(find_name(&names, names.paths[i]), i);
	assert_true(find_name(&names, "destination.process.parent.user.name") < names.count);
	assert_true(find_name(&names, "procflow.source.proc_average_cpu_load") < names.count);
}

/* jansson has no integers beyond 2^63. */
static void bound_numbers(struct flow_record *record)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *field = &field_table[i];
		uint64_t *at = (uint64_t *)(void *)((uint8_t *)record + field->offset);

		if (field->kind == FIELD_KIND_UNSIGNED && field->size == sizeof(*at))
			*at >>= 3;
	}
	record->start_ns >>= 3;
	record->end_ns >>= 3;
}

static void test_random_records(unused void **state)
{
	struct names names = {.count = 0};
	uint64_t seed = 20261125;

	ecs_list_names(on_name, &names);
	for (int i = 0; i < 3000; i++) {
		struct flow_record record = records_make_random(&seed);
		json_t *object;

		bound_numbers(&record);
		object = encode(&record);
		check_object(&names, "", object);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_local_client),
		cmocka_unit_test(test_a_local_server_is_the_process),
		cmocka_unit_test(test_unknown_is_absent),
		cmocka_unit_test(test_each_name_is_told_once),
		cmocka_unit_test(test_random_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
