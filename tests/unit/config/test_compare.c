/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "config/compare.h"
#include "config/parts.h"
#include "config/reader.h"

static struct config *read_good(const char *text)
{
	struct config *config = NULL;
	struct buffer mistakes;

	buffer_init(&mistakes);
	if (config_read_text("f", text, strlen(text), &config, &mistakes) != 0)
		fail_msg("%.*s", (int)mistakes.length, (const char *)mistakes.bytes);
	buffer_fini(&mistakes);
	return config;
}

static const char all[] = "exporters:\n"
			  "  - {type: ipfix, to: 'tls://c:1', ca_file: /a, certificate_file: /b,\n"
			  "     key_file: /c, server_name: d, name: e, biflow: ntop,\n"
			  "     template: '%PROTOCOL', records: [flow], queue: 5}\n";

static void test_a_copy_is_equal_and_its_own(unused void **state)
{
	struct config *config = read_good(all);
	struct config_exporter copy;

	assert_int_equal(config_exporter_copy(&config->exporters[0], &copy), 0);
	assert_true(config_exporter_is_equal(&config->exporters[0], &copy));
	assert_ptr_not_equal(copy.server_name, config->exporters[0].server_name);
	config_free(config);
	assert_string_equal(copy.server_name, "d");
	config_exporter_fini(&copy);
}

/* One key at a time. */
static void test_every_difference_shows(unused void **state)
{
	static const char *const others[][2] = {{"tls://c:1", "tls://c:2"},
						{"/a", "/A"},
						{"name: e", "name: E"},
						{"ntop", "split"},
						{"'%PROTOCOL'", "standard"},
						{"queue: 5", "queue: 6"},
						{"server_name: d", "server_name: dd"}};
	struct config *config = read_good(all), *same = read_good(all);

	assert_true(config_exporter_is_equal(&config->exporters[0], &same->exporters[0]));
	for (size_t i = 0; i < array_length(others); i++) {
		char text[sizeof(all) + 64];
		const char *at = strstr(all, others[i][0]);
		struct config *other;

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - all), all, others[i][1],
			 at + strlen(others[i][0]));
		other = read_good(text);
		assert_false(config_exporter_is_equal(&config->exporters[0], &other->exporters[0]));
		config_free(other);
	}
	config_free(same);
	config_free(config);
}

static void test_options(unused void **state)
{
	static const char text[] = "exporters:\n  - {type: kafka, to: 'kafka://a', topic: t,\n"
				   "     options: {compression.codec: %s}}\n";
	char one_text[200], other_text[200];
	struct config *one, *other;
	struct config_exporter copy;

	snprintf(one_text, sizeof(one_text), text, "zstd");
	snprintf(other_text, sizeof(other_text), text, "gzip");
	one = read_good(one_text);
	other = read_good(other_text);
	assert_int_equal(config_exporter_copy(&one->exporters[0], &copy), 0);
	assert_true(config_exporter_is_equal(&one->exporters[0], &copy));
	assert_false(config_exporter_is_equal(&other->exporters[0], &copy));
	config_free(one);
	assert_string_equal(copy.options.items[0].value, "zstd");
	config_exporter_fini(&copy);
	config_free(other);
}

static void test_sections(unused void **state)
{
	struct config *one = read_good("flows:\n  exclude: [10.0.0.0/8]\n"),
		      *other = read_good("flows:\n  exclude: [10.0.0.0/9]\n  only_local: true\n");
	unsigned different = 0;

	for (size_t i = 0; i < config_key_count; i++)
		if (!config_key_is_of_exporter(&config_keys[i]))
			different += !config_key_is_equal(&config_keys[i], one, other);
	assert_int_equal(different, 2);
	config_free(one);
	config_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_copy_is_equal_and_its_own),
		cmocka_unit_test(test_every_difference_shows),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
