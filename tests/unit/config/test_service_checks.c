/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "config/reader.h"

/* What "keys" say behind type and address; NULL: nothing is wrong. */
static struct config *check(const char *type, const char *to, const char *keys, const char *mistake)
{
	struct config *config = NULL;
	struct buffer mistakes;
	char text[1024];
	int r;

	snprintf(text, sizeof(text), "exporters:\n- type: %s\n  to: %s\n%s", type, to, keys);
	buffer_init(&mistakes);
	r = config_read_text("f", text, strlen(text), &config, &mistakes);
	buffer_add_byte(&mistakes, '\0');
	if (!mistake) {
		if (r != 0)
			fail_msg("%s\n%s", text, (char *)mistakes.bytes);
	} else {
		assert_int_equal(r, -EINVAL);
		assert_null(strstr((char *)mistakes.bytes, "hunter2"));
		if (strncmp((char *)mistakes.bytes, mistake, strlen(mistake)) != 0)
			fail_msg("%s\n%sexpected:\n%s", text, (char *)mistakes.bytes, mistake);
	}
	buffer_fini(&mistakes);
	return config;
}

static void refuse(const char *type, const char *to, const char *keys, const char *mistake)
{
	assert_null(check(type, to, keys, mistake));
}

static void test_elasticsearch(unused void **state)
{
	struct config *config =
		check("elasticsearch", "https://[2001:db8::1]:9200/prefix/",
		      "  index: flows-%Y.%m.%d\n  schema: ecs\n  install_template: true\n"
		      "  username: a\n  password_file: /b\n  ca_file: /c\n  timeout: 5s\n",
		      NULL);
	const struct config_exporter *exporter = &config->exporters[0];

	assert_string_equal(exporter->to.url, "https://[2001:db8::1]:9200/prefix");
	assert_string_equal(exporter->index, "flows-%Y.%m.%d");
	assert_int_equal(exporter->schema, CONFIG_SCHEMA_ECS);
	assert_true(exporter->install_template);
	assert_false(exporter->data_stream);
	assert_string_equal(exporter->username, "a");
	assert_string_equal(exporter->password_file, "/b");
	assert_string_equal(exporter->ca_file, "/c");
	assert_int_equal(exporter->timeout_ns, 5000000000);
	config_free(config);
	config_free(
		check("elasticsearch", "http://es", "  data_stream: yes\n  index: logs-a\n", NULL));
}

static void test_wrong_indexes(unused void **state)
{
	static const struct {
		const char *index, *reason;
	} cases[] = {
		{"Flows", "has more than small letters, digits and - _ . +"},
		{"a/b", "has more than small letters"},
		{"a b", "has more than small letters"},
		{"'a\"b'", "has more than small letters"},
		{"-a", "begins with one of"},
		{"a-%b", "has a conversion that is none of"},
		{"a-%", "has a conversion that is none of"},
		{"a-%%", "has a conversion that is none of"},
		{"a-%Y%B", "has a conversion that is none of"},
		{"a-%YB", "has more than small letters"},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		char keys[64], mistake[128], shown[32];

		snprintf(shown, sizeof(shown), "%s", cases[i].index);
		if (shown[0] == '\'') {
			memmove(shown, shown + 1, strlen(shown));
			shown[strlen(shown) - 1] = '\0';
		}
		snprintf(keys, sizeof(keys), "  index: %s\n", cases[i].index);
		snprintf(mistake, sizeof(mistake), "f:4:10: exporters.index: \"%s\" %s", shown,
			 cases[i].reason);
		refuse("elasticsearch", "http://es:9200", keys, mistake);
	}
	refuse("elasticsearch", "http://es:9200", "  data_stream: true\n",
	       "f:2:3: exporters.index: \"procflow-%Y.%m.%d\" has a date, and is a data stream");
}

static void test_what_belongs_together(unused void **state)
{
	refuse("elasticsearch", "http://es:9200", "  username: a\n",
	       "f:4:13: exporters: username and password_file need each other");
	refuse("elasticsearch", "http://es:9200", "  password_file: /a\n",
	       "f:4:18: exporters: username and password_file need each other");
	refuse("elasticsearch", "http://es:9200", "  password_file: a\n",
	       "f:4:18: exporters.password_file: \"a\" is not an absolute path");
	refuse("elasticsearch", "http://es:9200", "  ca_file: /a\n",
	       "f:4:3: exporters.ca_file: means nothing for http:");
	refuse("json", "file:///f", "  index: a\n",
	       "f:4:3: exporters.index: means nothing for type json (only for elasticsearch)");
	refuse("ipfix", "udp://a", "  schema: ecs\n",
	       "f:4:3: exporters.schema: means nothing for type ipfix (only for json, "
	       "elasticsearch, kafka)");
	refuse("elasticsearch", "udp://a:1", "",
	       "f:3:7: exporters.to: type elasticsearch cannot go there (expected http:// or "
	       "https://HOST:PORT)");
	refuse("json", "http://a:1", "", "f:3:7: exporters.to: type json cannot go there");
}

static void test_wrong_urls(unused void **state)
{
	static const char *const urls[] = {"http://",	     "http:///a",      "http://a:0",
					   "http://a:99999", "http://a b",     "http://a?b",
					   "http://u:p@a",   "http://a/b?c=d", "http://::1",
					   "http://[x]",     "http://a/\"b\""};

	for (size_t i = 0; i < array_length(urls); i++)
		refuse("elasticsearch", urls[i], "", "f:3:7: exporters.to: \"http:");
}

static void test_kafka(unused void **state)
{
	struct config *config = check("kafka", "kafka://a:9092,[::1]:9092,c",
				      "  topic: a.b\n  options: {acks: all, linger.ms: 5}\n", NULL);
	const struct config_exporter *exporter = &config->exporters[0];

	assert_string_equal(exporter->to.url, "a:9092,[::1]:9092,c");
	assert_string_equal(exporter->topic, "a.b");
	assert_int_equal(exporter->options.count, 2);
	assert_string_equal(exporter->options.items[1].name, "linger.ms");
	assert_string_equal(exporter->options.items[1].value, "5");
	assert_int_equal(exporter->options.items[1].line, 5);
	assert_int_equal(exporter->options.items[1].column, 24);
	config_free(config);
	refuse("kafka", "kafka://a,,b", "", "f:3:7: exporters.to: \"kafka:");
	refuse("kafka", "kafka://a b", "", "f:3:7: exporters.to: \"kafka:");
	refuse("kafka", "kafka://a", "  topic: a/b\n", "f:4:10: exporters.topic: more than");
	refuse("kafka", "kafka://a", "  options: [a]\n",
	       "f:4:12: exporters.options: a list is not a");
	refuse("kafka", "kafka://a", "  options: {a: [b]}\n",
	       "f:4:16: exporters.options: expected a value, found a list");
	refuse("kafka", "kafka://a", "  options: {a: }\n",
	       "f:4:16: exporters.options: expected a value, found nothing");
}

static void test_secrets_stand_in_files(unused void **state)
{
	static const char *const names[] = {"sasl.password", "ssl.key.password",
					    "ssl.keystore.password", "ssl.key.pem",
					    "sasl.oauthbearer.client.secret"};
	struct config *config = check("kafka", "kafka://a",
				      "  options: {sasl.password: 'file:///etc/a',\n"
				      "    ssl.key.location: /etc/b}\n",
				      NULL);

	config_free(config);
	for (size_t i = 0; i < array_length(names); i++) {
		char keys[128], said[256];

		snprintf(keys, sizeof(keys), "  options: {%s: hunter2}\n", names[i]);
		snprintf(said, sizeof(said),
			 "f:4:13: exporters.options: %s: a secret does not stand here; name the "
			 "file %s\n"
			 "    (not shown: a secret)\n",
			 names[i],
			 strstr(names[i], "pem") ? "with the key by ssl.key.location"
						 : "that it stands in: file:///path");
		refuse("kafka", "kafka://a", keys, said);
	}
	refuse("kafka", "kafka://a", "  options: {ssl.key.pem: 'file:///etc/b'}\n", "f:4:13: ");
}

/* Whatever is wrong on the line, and wherever a secret was written by mistake. */
static void test_secrets_are_not_shown(unused void **state)
{
	refuse("kafka", "kafka://a", "  options: {\"sasl.password\" : hunter2, a: [b]}\n",
	       "f:4:43: exporters.options: expected a value, found a list\n"
	       "    (not shown: a secret)\n");
	refuse("elasticsearch", "https://a", "  password: hunter2\n",
	       "f:4:3: exporters: unknown key \"password\"\n    (not shown: a secret)\n");
	refuse("elasticsearch", "https://a", "  password_file: [a]\n",
	       "f:4:18: exporters.password_file: a list is not a path (expected e.g. "
	       "/etc/procflow/ca.pem)\n"
	       "      password_file: [a]\n");
}

static void test_zmq(unused void **state)
{
	struct config *config = check("zmq", "tcp://*:5556", "", NULL);

	assert_string_equal(config->exporters[0].to.host, "*");
	assert_int_equal(config->exporters[0].to.port, 5556);
	assert_false(config->exporters[0].connect);
	config_free(config);
	config = check("zmq", "tcp://ntopng.example", "  connect: true\n  source_id: 300\n", NULL);
	assert_int_equal(config->exporters[0].to.port, 5556);
	assert_int_equal(config->exporters[0].source_id, 300);
	config_free(config);
	refuse("zmq", "tcp://*:5556", "  connect: true\n",
	       "f:3:7: exporters.to: to connect it needs a host, not *");
	refuse("zmq", "tcp://*:5556", "  header_version: 1\n  source_id: 256\n",
	       "f:5:14: exporters.source_id: at most 255 with header_version 1");
	refuse("zmq", "tcp://*:5556", "  header_version: 3\n",
	       "f:4:19: exporters.header_version: ");
	refuse("zmq", "tcp://*:5556", "  server_key: abc\n",
	       "f:4:15: exporters.server_key: neither 40 characters");
	refuse("ipfix", "tcp://*:4739", "", "f:3:7: exporters.to: type ipfix needs a host, not *");
	refuse("ipfix", "udp://*:4739", "", "f:3:7: exporters.to: \"udp:");
}

/* The first that no other to the same collector has; what is written counts. */
static void test_observation_domains(unused void **state)
{
	static const char others[] = "- type: netflow9\n  to: udp://192.0.2.1:1\n"
				     "- type: ipfix\n  to: udp://192.0.2.1:1\n"
				     "- type: netflow9\n  to: udp://192.0.2.2:1\n"
				     "- type: netflow9\n  to: udp://192.0.2.1:1\n"
				     "  observation_domain: 1\n"
				     "- type: netflow9\n  to: udp://192.0.2.1:1\n";
	static const uint32_t expected[] = {0, 2, 0, 0, 1, 3};
	struct config *config = check("netflow9", "udp://192.0.2.1:1", others, NULL);

	assert_int_equal(config->exporter_count, array_length(expected));
	for (size_t i = 0; i < array_length(expected); i++)
		assert_int_equal(config->exporters[i].observation_domain, expected[i]);
	config_free(config);
	refuse("ipfix", "udp://192.0.2.1:1",
	       "  observation_domain: 5\n- type: ipfix\n  to: udp://192.0.2.1:1\n"
	       "  observation_domain: 5\n",
	       "f:5:3: exporters.observation_domain: the exporter on line 2 sends under 5 to this "
	       "collector already");
	refuse("json", "file:///x", "  observation_domain: 5\n", "f:4:3: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_observation_domains),
		cmocka_unit_test(test_elasticsearch),
		cmocka_unit_test(test_wrong_indexes),
		cmocka_unit_test(test_what_belongs_together),
		cmocka_unit_test(test_wrong_urls),
		cmocka_unit_test(test_kafka),
		cmocka_unit_test(test_secrets_stand_in_files),
		cmocka_unit_test(test_secrets_are_not_shown),
		cmocka_unit_test(test_zmq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
