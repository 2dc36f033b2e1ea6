/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/fake_process.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

void fake_process_write_stat(const char *path, const struct fake_process *process)
{
	cleanup_file FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file,
		"%d (%s) %c %d 1 1 0 -1 4194304 %" PRIu64 " 0 %" PRIu64 " 0 %" PRIu64 " %" PRIu64
		" 0 0 20 0 %u 0 %" PRIu64 " 1000000 %" PRIu64 " 18446744073709551615 0 0\n",
		process->pid, process->comm, process->state ? process->state : 'S', process->parent,
		process->minor_faults, process->major_faults, process->user_ticks,
		process->system_ticks, process->threads ? process->threads : 1,
		process->start_ticks, process->pages);
}

void fake_process_write(const char *proc, const struct fake_process *process)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d", proc, process->pid);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%d/stat", proc, process->pid);
	fake_process_write_stat(path, process);
	snprintf(path, sizeof(path), "%s/%d/status", proc, process->pid);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "Name:\t%s\nPid:\t%d\nUid:\t%u\t4242\t4242\t4242\nGid:\t0\t0\t0\t0\n",
		process->comm, process->pid, process->uid);
	fclose(file);
	snprintf(path, sizeof(path), "%s/%d/exe", proc, process->pid);
	unlink(path);
	if (process->executable)
		assert_int_equal(symlink(process->executable, path), 0);
}

void fake_process_remove(const char *proc, pid_t pid)
{
	static const char *const names[] = {"stat", "status", "exe", ""};
	static const struct fake_process nobody = {.comm = "nobody"};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d/stat", proc, pid);
	fake_process_write_stat(path, &nobody);
	for (size_t i = 0; i < array_length(names); i++) {
		snprintf(path, sizeof(path), "%s/%d/%s", proc, pid, names[i]);
		if (names[i][0])
			unlink(path);
		else
			rmdir(path);
	}
}
