/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Descriptors that /proc/PID/fd does not show, because that is the leader's table: a thread may have one of
 * its own (unshare(2) with CLONE_FILES), and a leader that ended before its other threads has none. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether the process may have other threads, without opening anything. */
bool thread_descriptors_may_exist(int proc_fd, pid_t pid);

/* Looks for the socket in the tables of the threads of the process whose directory is "process_fd", each
 * table once where kcmp(2) tells them apart. The thread and its descriptor; 0 where none has it; or a
 * negative errno. Adds the cost in microseconds, roughly. */
pid_t thread_descriptors_find(int process_fd, pid_t pid, uint64_t inode, int *ret_fd,
			      uint64_t *cost_us);
