/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* /proc/PID/stat: the one line of /proc that is read often. Fields are those of proc(5). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"

struct procfs_stat {
	struct text name; /* comm, as it stands (at most 15 bytes of any value); borrowed from the
			     line */
	char state;
	pid_t parent;
	uint64_t minor_faults,
		major_faults; /* of the whole thread group, finished threads included */
	uint64_t user_ticks, system_ticks;
	uint64_t start_ticks; /* since boot: with the pid it names a process for good */
	uint64_t resident_pages;
	uint32_t threads;
};

/* Parses one line. The name reaches to the last ')': it may hold spaces and parentheses itself.
 * 0, or -EBADMSG: not such a line, or cut before the end of the last field that is wanted. */
int procfs_stat_parse(const char *line, size_t length, struct procfs_stat *ret);

/* Reads /proc/PID/stat below "proc_fd" into "line" and parses it. 0; -ENOENT or -ESRCH when the
 * process is gone; another negative errno. */
int procfs_stat_read(int proc_fd, pid_t pid, char *line, size_t size, struct procfs_stat *ret);

/* The same from a descriptor of the file that was kept open (pread from 0): 2.8 us where opening
 * costs 7. -ESRCH when the process is gone, also where its pid lives on in another process. */
int procfs_stat_read_fd(int stat_fd, char *line, size_t size, struct procfs_stat *ret);

enum { PROCFS_STAT_LINE_SIZE = 1024 };
