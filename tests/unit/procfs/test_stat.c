/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/macros.h"
#include "procfs/stat.h"

/* Fields 3 to 25, each a number of its own, and the end of a line. */
#define REST                                                                                       \
	" S 1004 1005 1006 1007 -1 1009 1010 1011 1012 1013 1014 1015 1016 1017 20 -19 1020 0 "    \
	"1022 1023 1024 18446744073709551615 1 2\n"

/* The line is copied, so that a sanitiser sees a read behind it. */
static int parse(const char *line, size_t length, struct procfs_stat *ret)
{
	char *copy = malloc(length ? length : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, line, length);
	r = procfs_stat_parse(copy, length, ret);
	free(copy);
	return r;
}

static void test_each_field_has_its_place(unused void **state)
{
	static const char line[] = "7 (name)" REST;
	struct procfs_stat stat;

	assert_int_equal(procfs_stat_parse(line, sizeof(line) - 1, &stat), 0);
	assert_int_equal(stat.name.length, 4);
	assert_memory_equal(stat.name.at, "name", 4);
	assert_int_equal(stat.state, 'S');
	assert_int_equal(stat.parent, 1004);
	assert_int_equal(stat.minor_faults, 1010);
	assert_int_equal(stat.major_faults, 1012);
	assert_int_equal(stat.user_ticks, 1014);
	assert_int_equal(stat.system_ticks, 1015);
	assert_int_equal(stat.threads, 1020);
	assert_int_equal(stat.start_ticks, 1022);
	assert_int_equal(stat.resident_pages, 1024);
}

static void test_any_name(unused void **state)
{
	static const char *const names[] = {"",
					    " ",
					    "a b",
					    "a) S 1 2 (b",
					    ")",
					    "(",
					    "((sd-pam))",
					    "a)b(c",
					    ") R 1",
					    "\n",
					    "a\nb) S 3",
					    "\xff\xc3\x28",
					    "kworker/0:1H-kb",
					    ") ) ) ) ) ) )"};

	for (size_t i = 0; i < array_length(names); i++) {
		struct procfs_stat stat;
		char line[256];
		int length = snprintf(line, sizeof(line), "7 (%s)" REST, names[i]);

		if (procfs_stat_parse(line, (size_t)length, &stat) != 0)
			fail_msg("not parsed: %s", line);
		assert_int_equal(stat.name.length, strlen(names[i]));
		assert_memory_equal(stat.name.at, names[i], stat.name.length);
		assert_int_equal(stat.parent, 1004);
		assert_int_equal(stat.start_ticks, 1022);
	}
}

/* No cut gives a number that is only the beginning of one. */
static void test_cut_lines_are_no_lines(unused void **state)
{
	static const char line[] = "7 (name)" REST;
	size_t enough = (size_t)(strstr(line, " 1024 ") + strlen(" 1024 ") - line);
	struct procfs_stat stat;

	for (size_t length = 0; length < enough; length++)
		if (parse(line, length, &stat) != -EBADMSG)
			fail_msg("parsed: %.*s", (int)length, line);
	for (size_t length = enough; length < sizeof(line); length++)
		assert_int_equal(parse(line, length, &stat), 0);
}

static void test_other_lines_are_none(unused void **state)
{
	static const char *const lines[] = {
		"7 name" REST,
		"7 )name(" REST,
		"7 (name)S 1004 1005",
		"7 (name)xS 1004 1005 1006 1007 -1 1009 1010 1011 1012 1013 1014 1015 1016 1017 20 "
		"-19 1020 0 1022 1023 1024 1 2\n",
		"7 (name) S 1004 1005 1006 1007 - 1009 1010 1011 1012 1013 1014 1015 1016 1017 20 "
		"-19 1020 0 1022 1023 1024 1 2\n",
		"7 (name) S 1004 1005 1006 1007 -1 1009 x 1011 1012 1013 1014 1015 1016 1017 20 "
		"-19 1020 0 1022 1023 1024 1 2\n",
		"7 (name) S 1004 1005 1006 1007 -1 1009 1010  1012 1013 1014 1015 1016 1017 20 "
		"-19 1020 0 1022 1023 1024 1 2\n",
		"7 (name) S 1004 1005 1006 1007 -1 1009 18446744073709551616 1011 1012 1013 1014 "
		"1015 1016 1017 20 -19 1020 0 1022 1023 1024 1 2\n",
		"7 (name) S 1004 1005 1006 1007 -1 1009 1010 1011 1012 1013 1014 1015 1016 1017 20 "
		"-19 1020 0 1022 1023 1024x 1 2\n",
	};

	for (size_t i = 0; i < array_length(lines); i++) {
		struct procfs_stat stat = {.parent = 4711};

		if (parse(lines[i], strlen(lines[i]), &stat) != -EBADMSG)
			fail_msg("parsed: %s", lines[i]);
		assert_int_equal(stat.parent, 4711);
	}
}

static void test_random_changes_are_survived(unused void **state)
{
	static const char line[] = "7 (na me)" REST;
	static const char special[] = " ()-\n09\0\xff";

	for (uint64_t turn = 0; turn < 50000; turn++) {
		char changed[sizeof(line)];
		struct procfs_stat stat;
		int r;

		memcpy(changed, line, sizeof(line));
		for (uint64_t i = 0; i < 1 + turn % 5; i++)
			changed[hash_u64(turn, i) % sizeof(line)] =
				special[hash_u64(turn, 10 + i) % (sizeof(special) - 1)];
		r = procfs_stat_parse(changed, sizeof(line) - 1, &stat);
		assert_true(r == 0 || r == -EBADMSG);
		if (r == 0) {
			assert_true(stat.name.at > changed);
			assert_true(stat.name.at + stat.name.length < changed + sizeof(line));
		}
	}
}

static int open_proc(void)
{
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void test_this_process(unused void **state)
{
	cleanup_close int proc_fd = open_proc();
	char line[PROCFS_STAT_LINE_SIZE];
	struct procfs_stat stat;
	struct rusage usage;

	assert_int_equal(prctl(PR_SET_NAME, "a) (b c"), 0);
	assert_int_equal(procfs_stat_read(proc_fd, getpid(), line, sizeof(line), &stat), 0);
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	assert_int_equal(stat.name.length, 7);
	assert_memory_equal(stat.name.at, "a) (b c", 7);
	assert_int_equal(stat.state, 'R');
	assert_int_equal(stat.parent, getppid());
	assert_int_equal(stat.threads, 1);
	assert_in_range(stat.resident_pages, 1, 1 << 20);
	assert_in_range(stat.minor_faults, 1, usage.ru_minflt);
	assert_int_not_equal(stat.start_ticks, 0);
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void end_child(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_kept_descriptor(unused void **state)
{
	cleanup_close int proc_fd = open_proc();
	cleanup_close int fd = -1;
	pid_t pid = start_child();
	char path[32], line[PROCFS_STAT_LINE_SIZE];
	struct procfs_stat first, again;

	snprintf(path, sizeof(path), "%d/stat", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(procfs_stat_read_fd(fd, line, sizeof(line), &first), 0);
	assert_int_equal(first.parent, getpid());
	assert_int_equal(procfs_stat_read_fd(fd, line, sizeof(line), &again), 0);
	assert_int_equal(again.start_ticks, first.start_ticks);
	end_child(pid);
	assert_int_equal(procfs_stat_read_fd(fd, line, sizeof(line), &again), -ESRCH);
	assert_int_equal(procfs_stat_read(proc_fd, pid, line, sizeof(line), &again), -ENOENT);
}

static void test_too_small_a_buffer_is_an_error(unused void **state)
{
	cleanup_close int proc_fd = open_proc();
	struct procfs_stat stat;
	char line[40];

	assert_int_equal(procfs_stat_read(proc_fd, getpid(), line, sizeof(line), &stat), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field_has_its_place),
		cmocka_unit_test(test_any_name),
		cmocka_unit_test(test_cut_lines_are_no_lines),
		cmocka_unit_test(test_other_lines_are_none),
		cmocka_unit_test(test_random_changes_are_survived),
		cmocka_unit_test(test_this_process),
		cmocka_unit_test(test_kept_descriptor),
		cmocka_unit_test(test_too_small_a_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
