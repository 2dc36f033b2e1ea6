/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "config/keys.h"
#include "config/reader.h"
#include "runtime/log.h"

#define SHIPPED "../../../conf/procflow.yaml"

static void assert_default_sections(const struct config *config)
{
	assert_int_equal(config->flows.active_timeout_ns, 60 * NS_PER_SEC);
	assert_int_equal(config->flows.idle_timeout_ns, 30 * NS_PER_SEC);
	assert_int_equal(config->flows.report_tcp_end, CONFIG_TCP_END_CLOSE);
	assert_int_equal(config->flows.max_flows, 262144);
	assert_int_equal(config->flows.include.count, 0);
	assert_int_equal(config->flows.exclude.count, 0);
	assert_false(config->flows.only_local);
	assert_int_equal(config->conntrack.activate, CONFIG_ACTIVATE_AUTO);
	assert_true(config->conntrack.accounting);
	assert_int_equal(config->conntrack.receive_buffer_bytes, 16 << 20);
	assert_int_equal(config->conntrack.receive_buffer_max_bytes, 128 << 20);
	assert_int_equal(config->attribution.methods,
			 CONFIG_METHOD_TRACE | CONFIG_METHOD_SOCK_DIAG);
	assert_int_equal(config->attribution.namespaces, CONFIG_NAMESPACES_ALL);
	assert_int_equal(config->processes.sample_interval_ns, NS_PER_SEC);
	assert_true(config->processes.delay_accounting);
	assert_false(config->processes.command_line);
	assert_true(config->processes.package_names);
	assert_int_equal(config->log.level, LOG_LEVEL_NOTICE);
	assert_int_equal(config->log.target, LOG_TARGET_AUTO);
}

static void assert_default_exporter(const struct config_exporter *exporter)
{
	assert_string_equal(exporter->name, "json");
	assert_int_equal(exporter->type, CONFIG_EXPORTER_JSON);
	assert_int_equal(exporter->to.transport, CONFIG_TRANSPORT_FILE);
	assert_string_equal(exporter->to.path, "/var/log/procflow/flows.json");
	assert_int_equal(exporter->queue, 65536);
}

static void assert_message_defaults(const struct config_exporter *exporter)
{
	assert_string_equal(exporter->template_name, "procflow");
	assert_int_equal(exporter->biflow, CONFIG_BIFLOW_RFC5103);
	assert_int_equal(exporter->template_interval_ns, 60 * NS_PER_SEC);
	assert_int_equal(exporter->template_packets, 1000);
	assert_int_equal(exporter->max_message_bytes, 1400);
	assert_int_equal(exporter->queue, 65536);
}

/* Reads what must be without a mistake; the caller's. */
static struct config *read_good(const char *text, size_t length)
{
	struct config *config = NULL;
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_text("example", text, length, &config, &mistakes);
	if (r != 0)
		fail_msg("%d\n%.*s", r, (int)mistakes.length, (const char *)mistakes.bytes);
	assert_int_equal(mistakes.length, 0);
	buffer_fini(&mistakes);
	return config;
}

static void test_config_new_has_the_defaults(unused void **state)
{
	struct config *config = NULL;

	assert_int_equal(config_new(&config), 0);
	assert_default_sections(config);
	assert_int_equal(config->exporter_count, 1);
	assert_default_exporter(&config->exporters[0]);
	assert_message_defaults(&config->exporters[0]);
	config_free(config);
	config_free(NULL);
}

static void test_standard_output_replaces_the_exporters(unused void **state)
{
	struct config *config = NULL;

	assert_int_equal(config_new(&config), 0);
	assert_int_equal(config_set_standard_output(config, CONFIG_EXPORTER_TEXT), 0);
	assert_int_equal(config->exporter_count, 1);
	assert_string_equal(config->exporters[0].name, "text");
	assert_int_equal(config->exporters[0].type, CONFIG_EXPORTER_TEXT);
	assert_int_equal(config->exporters[0].to.transport, CONFIG_TRANSPORT_STDOUT);
	assert_int_equal(config->exporters[0].queue, 65536);
	config_free(config);
}

static void test_shipped_file_is_what_the_table_writes(unused void **state)
{
	struct buffer example;
	static char shipped[65536];
	FILE *file = fopen(SHIPPED, "r");
	size_t length;

	assert_non_null(file);
	length = fread(shipped, 1, sizeof(shipped), file);
	fclose(file);
	buffer_init(&example);
	config_write_example(&example);
	assert_false(example.failed);
	if (length != example.length || memcmp(shipped, example.bytes, length) != 0)
		fail_msg("conf/procflow.yaml is not what the key table writes: run "
			 "\"meson compile update-example\"\n%.*s",
			 (int)example.length, (const char *)example.bytes);
	buffer_fini(&example);
}

static void test_shipped_file_gives_the_defaults(unused void **state)
{
	struct config *config = NULL;
	struct buffer mistakes;

	buffer_init(&mistakes);
	assert_int_equal(config_read_file(SHIPPED, true, &config, &mistakes), 0);
	assert_default_sections(config);
	assert_int_equal(config->exporter_count, 1);
	assert_default_exporter(&config->exporters[0]);
	config_free(config);
	buffer_fini(&mistakes);
}

/* Takes the "# " off the lines of the exporters behind the first one. */
static size_t uncomment(const struct buffer *example, char *out)
{
	const char *text = (const char *)example->bytes;
	size_t length = 0;

	for (size_t at = 0; at < example->length;) {
		size_t line = strcspn(text + at, "\n") + 1;
		bool is_shown = strncmp(text + at, "  # - ", 6) == 0 ||
				strncmp(text + at, "  #   ", 6) == 0;

		memcpy(out + length, text + at, line);
		if (is_shown) {
			memmove(out + length + 2, out + length + 4, line - 4);
			length -= 2;
		}
		length += line;
		at += line;
	}
	return length;
}

static void test_shown_exporter_is_right_too(unused void **state)
{
	struct buffer example;
	struct config *config;
	static char text[65536];

	buffer_init(&example);
	config_write_example(&example);
	buffer_add_byte(&example, '\0');
	example.length--;
	assert_in_range(example.length, 1000, sizeof(text));
	config = read_good(text, uncomment(&example, text));
	assert_default_sections(config);
	assert_int_equal(config->exporter_count, 5);
	assert_default_exporter(&config->exporters[0]);
	assert_string_equal(config->exporters[1].name, "collector");
	assert_int_equal(config->exporters[1].type, CONFIG_EXPORTER_IPFIX);
	assert_string_equal(config->exporters[1].to.host, "192.0.2.1");
	assert_int_equal(config->exporters[1].to.port, 4739);
	assert_message_defaults(&config->exporters[1]);
	assert_int_equal(config->exporters[2].type, CONFIG_EXPORTER_ELASTICSEARCH);
	assert_string_equal(config->exporters[2].to.url, "https://es.example.net:9200");
	assert_string_equal(config->exporters[2].index, "procflow-%Y.%m.%d");
	assert_null(config->exporters[2].username);
	assert_int_equal(config->exporters[3].type, CONFIG_EXPORTER_KAFKA);
	assert_string_equal(config->exporters[3].to.url, "broker1:9092,broker2:9092");
	assert_int_equal(config->exporters[4].type, CONFIG_EXPORTER_ZMQ);
	assert_string_equal(config->exporters[4].to.host, "*");
	assert_int_equal(config->exporters[4].header_version, 2);
	config_free(config);
	buffer_fini(&example);
}

/* Word for word, but for "spool" of ipfix. */
static void test_example_of_the_design_is_right(unused void **state)
{
	struct config *config = NULL;
	struct buffer mistakes;

	buffer_init(&mistakes);
	if (config_read_file("user_interface.yaml", true, &config, &mistakes) != 0)
		fail_msg("%.*s", (int)mistakes.length, (const char *)mistakes.bytes);
	assert_default_sections(config);
	assert_null(config->sysdig.capture);
	assert_int_equal(config->exporter_count, 5);
	assert_message_defaults(&config->exporters[0]);
	assert_int_equal(config->exporters[3].type, CONFIG_EXPORTER_ELASTICSEARCH);
	assert_null(config->exporters[3].ca_file);
	assert_string_equal(config->exporters[3].password_file, "/etc/procflow/es.password");
	config_free(config);
	buffer_fini(&mistakes);
}

/* In one exporter at least, if only as a comment. */
static void test_every_key_is_shown(unused void **state)
{
	struct buffer example;

	buffer_init(&example);
	config_write_example(&example);
	buffer_add_byte(&example, '\0');
	for (size_t i = 0; i < config_key_count; i++) {
		char key[64];

		snprintf(key, sizeof(key), " %s: ", config_keys[i].name);
		if (!strstr((const char *)example.bytes, key))
			fail_msg("%s.%s is not in the example", config_keys[i].section,
				 config_keys[i].name);
	}
	buffer_fini(&example);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_new_has_the_defaults),
		cmocka_unit_test(test_standard_output_replaces_the_exporters),
		cmocka_unit_test(test_shipped_file_is_what_the_table_writes),
		cmocka_unit_test(test_shipped_file_gives_the_defaults),
		cmocka_unit_test(test_shown_exporter_is_right_too),
		cmocka_unit_test(test_example_of_the_design_is_right),
		cmocka_unit_test(test_every_key_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
