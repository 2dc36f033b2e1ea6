/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Exit records of processes that nobody had asked for when they ended: the newest of each pid, for
 * a short while. So a process that lived a millisecond still has a name and its totals when the
 * flow that it opened is looked at. Bounded: the oldest goes first. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "process/taskstats.h"

struct exit_log;

/* What is known of a thread group that ended. */
struct exit_entry {
	pid_t group;
	bool has_leader; /* the leader's own record came, with name, faults, uid and parent */
	bool has_ended;	 /* all threads have */
	bool is_sum;	 /* it had several threads: "total" is their sum, without faults */
	struct task_figures leader, total;
	uint64_t peak_memory_bytes;
	/* Monotonic: the end lies between the time the records had last been read up and this. */
	uint64_t after_ns, seen_ns;
};

/* 0 or -ENOMEM. */
int exit_log_new(size_t most, uint64_t keep_ns, struct exit_log **ret);
void exit_log_free(struct exit_log *log);

/* "after_ns": when there were no records left to read, the last time before "now_ns". */
void exit_log_add(struct exit_log *log, const struct taskstats_message *message, uint64_t after_ns,
		  uint64_t now_ns);

/* The last process that ended under this pid, whose leader's record came; NULL where none is kept.
 * Borrowed until the next addition. */
const struct exit_entry *exit_log_find(const struct exit_log *log, pid_t group, uint64_t now_ns);
size_t exit_log_count(const struct exit_log *log);
