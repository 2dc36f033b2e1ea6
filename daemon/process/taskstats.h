/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the kernel tells of tasks by generic netlink (Documentation/accounting/taskstats.rst):
 * the delays of a thread group on request, and a record of every task that exits.
 *
 * Only in the initial user and pid namespaces, and with CAP_NET_ADMIN. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "netlink/channel.h"

/* One struct taskstats, as far as it is used, read by the length and version that came with it.
 * What an older kernel does not have is 0. */
struct task_figures {
	uint16_t version;
	bool group_ended; /* the last task of its thread group (AGROUP, version 12) */
	/* In an exit record behind by up to a timer tick, and without what the task used in exit
	 * itself: see taskstats_find_exit_cpu(). Of a group short of the same for each thread. */
	uint64_t cpu_ns;
	uint64_t run_count,
		run_delay_ns;	     /* how often it got a CPU, and how long it waited for one */
	uint64_t voluntary_switches; /* how often it gave the CPU up of itself */
	uint64_t involuntary_switches;
	uint64_t io_delay_ns;	   /* block I/O, swapping in included */
	uint64_t delay_count;	   /* delays of all kinds: above 0 only where they are accounted */
	uint64_t group_elapsed_us; /* since its process started; 0 before version 12 */
	uint64_t elapsed_us;	   /* since the task started; of a group the sum over its tasks */
	/* The following in the figures of one task only, 0 in those of a group. */
	uint64_t user_us, system_us; /* by clock ticks: to see how cpu_ns parts */
	uint64_t minor_faults, major_faults;
	uint64_t read_bytes, written_bytes; /* of storage */
	uint64_t peak_memory_bytes;	    /* of the whole address space since exec */
	/* As wait(2) tells it. Of a thread that is not the leader only where there is "group" (Linux
	 * 5.17: "taskstats: Cleanup the use of task->exit_code"). */
	uint32_t exit_code;
	uint32_t uid; /* real */
	pid_t pid, parent;
	pid_t group;   /* 0 before version 12 */
	char name[16]; /* comm */
};

/* An answer or an exit record: one task's figures, its group's, or both. */
struct taskstats_message {
	bool has_task, has_group;
	/* By thread_sums_add(): the group's figures have all that of one task only, of every thread that
	 * it ever had. */
	bool is_whole;
	/* Also by that: the context switches among them lack those of threads that ended before then. */
	uint64_t sums_since_ns;
	pid_t pid, group;
	struct task_figures task_figures, group_figures;
};

/* "bytes" is a struct taskstats of any kernel. 0, or -EBADMSG where it is too short. */
int taskstats_parse(const void *bytes, size_t length, struct task_figures *ret);
/* 0, or -EBADMSG where it is not a TASKSTATS_CMD_NEW message. */
int taskstats_parse_message(const struct nlmsghdr *message, struct taskstats_message *ret);

/* CPU time of one task by its exit record. The kernel brings cpu_ns up to date at ticks and
 * switches only, so that a process of 3 ms may end with 0 there. But a task that never slept used
 * all of its life that it did not wait for a CPU, which is known to the microsecond. Of one that
 * did sleep cpu_ns is what is certain. */
uint64_t taskstats_find_exit_cpu(const struct task_figures *figures);

struct taskstats_client;
typedef void (*taskstats_on_exit)(const struct taskstats_message *message, void *userdata);

/* Opens and registers for exit records of all possible CPUs. 0; -ENOENT where the kernel has no
 * taskstats; -EPERM, -EINVAL (another namespace) or another negative errno. */
int taskstats_open(struct taskstats_client **ret);
void taskstats_close(struct taskstats_client *client);

/* Does not wait. 0; -ESRCH where there is no such task; another negative errno. A zombie's figures
 * are missing from its group's: check afterwards that it lives. */
int taskstats_query_group(struct taskstats_client *client, pid_t group, struct task_figures *ret);
int taskstats_query_task(struct taskstats_client *client, pid_t pid, struct task_figures *ret);

int taskstats_get_exit_fd(const struct taskstats_client *client);
/* Reads exit records that have arrived, at most "most" messages. 0: all are read; 1: there may be
 * more; -ENOBUFS: the kernel dropped some since the last call, read on; another negative errno. */
int taskstats_read_exits(struct taskstats_client *client, unsigned most, taskstats_on_exit on_exit,
			 void *userdata);
