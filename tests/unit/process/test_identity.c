/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/identity.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/macros.h"
#include "support/temporary.h"

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

/* What is read of these bytes in /proc/PID/cmdline. */
static const char *read_command_line(const char *bytes, size_t length, struct identity_facts *facts)
{
	char *directory = temporary_make();
	char path[PATH_MAX];
	FILE *file;
	int fd;

	snprintf(path, sizeof(path), "%s/cmdline", directory);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	identity_read_command_line(fd, facts);
	close(fd);
	temporary_remove(directory);
	return facts->has_command_line ? facts->command_line : NULL;
}

static void command_line_is_parted_by_spaces(void **state)
{
	static struct identity_facts facts;
	char longer[6000];

	(void)state;
	assert_string_equal(read_command_line("ls\0-l\0", 6, &facts), "ls -l");
	assert_string_equal(read_command_line("ls\0\0-l\0a b\0", 11, &facts), "ls  -l a b");
	/* setproctitle(3) leaves many NULs behind. */
	assert_string_equal(read_command_line("nginx: worker\0\0\0\0", 17, &facts),
			    "nginx: worker");
	assert_null(read_command_line("", 0, &facts));
	assert_null(read_command_line("\0\0", 2, &facts));
	memset(longer, 'x', sizeof(longer));
	assert_int_equal(strlen(read_command_line(longer, sizeof(longer), &facts)), 4096);
	identity_read_command_line(-1, &facts);
	assert_false(facts.has_command_line);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a19_name_is_completed_from_the_executable_only_if_it_begins_with_it),
		cmocka_unit_test(command_line_is_parted_by_spaces),
		cmocka_unit_test(a20_suffix_of_a_deleted_file_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
