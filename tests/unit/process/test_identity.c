/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"

static void a19_name_is_completed_from_the_executable_only_if_it_begins_with_it(void **state)
{
	static const struct {
		const char *comm, *executable, *name;
	} cases[] = {
		{"systemd-timesyn", "/lib/systemd/systemd-timesyncd", "systemd-timesyncd"},
		{"exactly-15-byte", "/bin/exactly-15-byte", "exactly-15-byte"},
		{"a-long-script-n", "/usr/bin/python3.11", "a-long-script-n"},
		{"a-long-script-n", NULL, "a-long-script-n"},
		{"a-long-script-n", "", "a-long-script-n"},
		{"sh", "/bin/shell", "sh"},
		{"14-bytes-long.", "/bin/14-bytes-long.and-more", "14-bytes-long."},
		{"no-slash-at-all", "no-slash-at-all-here", "no-slash-at-all-here"},
		{"", "/bin/x", ""},
	};
	char name[IDENTITY_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		identity_complete_name(cases[i].comm, cases[i].executable, name);
		assert_string_equal(name, cases[i].name);
	}
}

static void a20_suffix_of_a_deleted_file_is_cut(void **state)
{
	char path[64] = "/usr/lib/chromium/chromium (deleted)";

	(void)state;
	assert_true(identity_cut_deleted(path));
	assert_string_equal(path, "/usr/lib/chromium/chromium");
	assert_false(identity_cut_deleted(path));
	strcpy(path, " (deleted)");
	assert_false(identity_cut_deleted(path));
	strcpy(path, "");
	assert_false(identity_cut_deleted(path));
	strcpy(path, "/bin/x (deleted)y");
	assert_false(identity_cut_deleted(path));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a19_name_is_completed_from_the_executable_only_if_it_begins_with_it),
		cmocka_unit_test(a20_suffix_of_a_deleted_file_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
