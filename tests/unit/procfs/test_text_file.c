/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "procfs/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void test_whole_file(unused void **state)
{
	cleanup_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[256];
	ssize_t length = procfs_read_text(proc, "sys/kernel/ostype", text, sizeof(text));

	assert_int_equal(length, 6);
	assert_string_equal(text, "Linux\n");
}

static void test_cut_and_ended(unused void **state)
{
	char text[4];

	assert_int_equal(procfs_read_text(AT_FDCWD, "/proc/sys/kernel/ostype", text, sizeof(text)),
			 3);
	assert_string_equal(text, "Lin");
}

static void test_errors(unused void **state)
{
	char text[8];

	assert_int_equal(procfs_read_text(AT_FDCWD, "/proc/none", text, sizeof(text)), -ENOENT);
	assert_int_equal(procfs_read_text(AT_FDCWD, "/proc/self", text, sizeof(text)), -EISDIR);
	assert_int_equal(procfs_read_text(-1, "stat", text, sizeof(text)), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_file),
		cmocka_unit_test(test_cut_and_ended),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
