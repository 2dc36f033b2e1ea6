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
	bool is_sum;	 /* it had several threads: "total" is their sum */
	bool is_whole;	 /* and has the figures of one task only as well, see taskstats_message */
	/* It may have been a thread of a process that goes on: Linux before 5.19 (version 12) does not
	 * tell them apart. */
	bool may_be_thread;
	uint64_t sums_since_ns;
	struct task_figures leader, total;
	struct task_figures last; /* of the thread that ended last */
	uint64_t peak_memory_bytes;
	/* Monotonic: the end lies between the time the records had last been read up and this. */
	uint64_t after_ns, seen_ns;
};

/* Told once of each process whose end is known: by exit_log_tell(), or before it is dropped for
 * want of room or its pid is given out again. Not of those that were claimed. "has_leader" may be
 * false. */
typedef void (*exit_log_on_due)(void *userdata, const struct exit_entry *entry);

/* 0 or -ENOMEM. */
int exit_log_new(size_t most, uint64_t keep_ns, struct exit_log **ret);
void exit_log_free(struct exit_log *log);

/* From here on "on_due" is told; without it nobody is. */
void exit_log_set_handler(struct exit_log *log, exit_log_on_due on_due, void *userdata);
/* Tells of at most "most" of those that ended at "until_ns" or before, oldest first. False where there
 * are more. */
bool exit_log_tell(struct exit_log *log, uint64_t until_ns, unsigned most);
/* Somebody else tells of this end. False where it was told of already. */
bool exit_log_claim(struct exit_log *log, pid_t group);

/* "after_ns": when there were no records left to read, the last time before "now_ns". */
void exit_log_add(struct exit_log *log, const struct taskstats_message *message, uint64_t after_ns,
		  uint64_t now_ns);

/* The last process that ended under this pid, whose leader's record came; NULL where none is kept.
 * Borrowed until the next addition. */
const struct exit_entry *exit_log_find(const struct exit_log *log, pid_t group, uint64_t now_ns);
size_t exit_log_count(const struct exit_log *log);
