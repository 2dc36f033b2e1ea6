/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether it is well-formed is judged by mandoc(1), in tests/structure. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "config/keys.h"
#include "config/manual.h"

static char *write_page(void)
{
	struct buffer page;
	char *text;

	buffer_init(&page);
	config_write_manual(&page);
	assert_false(page.failed);
	text = strndup((const char *)page.bytes, page.length);
	assert_non_null(text);
	assert_int_equal(strlen(text), page.length);
	buffer_fini(&page);
	return text;
}

static void every_key_has_its_place(unused void **state)
{
	char *page = write_page();

	for (size_t i = 0; i < config_section_count; i++) {
		char title[64];

		snprintf(title, sizeof(title), "\n.Ss %s\n", config_sections[i].name);
		if (!strstr(page, title))
			fail_msg("no section %s", config_sections[i].name);
	}
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		char section[64], item[128];
		const char *at;

		snprintf(section, sizeof(section), "\n.Ss %s\n", key->section);
		snprintf(item, sizeof(item), "\n.It Cm %s : Ar ", key->name);
		at = strstr(page, section);
		if (!at || !strstr(at, item))
			fail_msg("no key %s.%s", key->section, key->name);
	}
	free(page);
}

/* A line of text that begins with a dot or an apostrophe would be taken for a request. */
static void only_known_macros_begin_lines(unused void **state)
{
	static const char *const macros[] = {"Dd", "Dt", "Os", "Sh", "Nm", "Nd",
					     "Pa", "Pp", "Ql", "Ss", "Bl", "It",
					     "El", "Bd", "Ed", "Xr", "Cm", "\\\""};
	char *page = write_page();

	for (const char *at = page; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		bool is_known = *at != '\'' && *at != '.';

		for (size_t i = 0; !is_known && *at == '.' && i < array_length(macros); i++)
			is_known = strncmp(at + 1, macros[i], strlen(macros[i])) == 0;
		if (!is_known)
			fail_msg("%.60s", at);
	}
	free(page);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_has_its_place),
		cmocka_unit_test(only_known_macros_begin_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
