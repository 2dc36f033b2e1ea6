/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is taken from the procps library, against what the kernel says of this process. */

#include "process/procps.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/macros.h"
#include "process/process_table.h"
#include "procfs/stat.h"

#define NAME "some (name) 1"

enum { NOBODY = 65534 };

static uint64_t read_start(void)
{
	char line[PROCFS_STAT_LINE_SIZE];
	struct procfs_stat stat;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	assert_int_equal(procfs_stat_read_fd(fd, line, sizeof(line), &stat), 0);
	close(fd);
	return stat.start_ticks;
}

static struct procps_identity read_one(pid_t pid)
{
	struct procps_identity found;
	struct procps *procps;

	assert_int_equal(procps_open(&procps), 0);
	assert_int_equal(procps_read(procps, pid, &found), 0);
	procps_close(procps);
	return found;
}

static void this_process_is_found(unused void **state)
{
	struct procps_identity found;

	assert_return_code(prctl(PR_SET_NAME, NAME), errno);
	found = read_one(getpid());
	assert_string_equal(found.name, NAME);
	assert_int_equal(found.parent, getppid());
	assert_int_equal(found.uid, getuid());
	assert_int_equal(found.start_ticks, read_start());
}

/* The real user, not the effective one. */
static void another_users_process_is_found(unused void **state)
{
	int ready[2], end[2];
	struct procps_identity found;
	char byte;
	pid_t child;

	if (geteuid() != 0)
		skip();
	assert_return_code(pipe(ready) | pipe(end), errno);
	child = fork();
	if (child == 0) {
		close(end[1]);
		_exit(setresuid(NOBODY, 0, 0) < 0 || write(ready[1], "", 1) != 1 ||
		      read(end[0], &byte, 1) != 0);
	}
	close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	found = read_one(child);
	close(end[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(found.uid, NOBODY);
	assert_int_equal(found.parent, getpid());
}

static void who_is_gone_is_not_found(unused void **state)
{
	struct procps_identity found;
	struct procps *procps;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(procps_open(&procps), 0);
	assert_true(procps_read(procps, child, &found) < 0);
	procps_close(procps);
}

/* The process table asks it, and need not ask again. */
static void the_process_table_has_no_need_of_plain_files(unused void **state)
{
	struct process_table_options options = {.sample_interval_ns = NS_PER_SEC};
	struct process_table *table;
	struct process *process;

	options.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(process_table_new(&options, &table), 0);
	process =
		process_table_acquire(table, (struct process_id){.pid = getpid()}, clock_now_ns());
	assert_non_null(process);
	assert_int_equal(process_table_get_counters(table)->acquired, 1);
	assert_int_equal(process_table_get_counters(table)->without_procps, 0);
	process_table_release(table, process);
	process_table_free(table);
	close(options.proc_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_process_is_found),
		cmocka_unit_test(another_users_process_is_found),
		cmocka_unit_test(who_is_gone_is_not_found),
		cmocka_unit_test(the_process_table_has_no_need_of_plain_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
