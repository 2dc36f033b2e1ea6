/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is known of processes from their FORK, EXEC and EXIT records alone: enough to name one that
 * was gone before anybody could look it up in /proc. Bounded; what exited longest ago goes first.
 *
 * A pid is given out again: each life is kept apart, and told by the time that is asked about. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flow/flow_event.h"

struct trace_processes;

struct trace_processes_options {
	size_t max_processes;
	uint64_t keep_ns; /* how long one that exited is kept */
};

struct trace_process {
	pid_t pid, parent; /* parent 0: not known */
	uint64_t start_ns; /* 0: before the records began */
	uint64_t exec_ns;  /* the last execve(2); 0: none was seen */
	uint64_t exit_ns;  /* UINT64_MAX: it runs */
	uint64_t fork_ns;  /* when it last started a process; 0: not seen */
	/* "" where it is not known: of a child of a process that is not known either. */
	char name[16];
	char name_before_exec[16];
	/* As execve(2) was given it: a script's own path, and a link as it is; whole paths only. NULL: not
	 * known. */
	const char *executable;
};

struct trace_processes_counters {
	uint64_t events, forks, execs, exits;
	uint64_t evicted, expired;
	uint64_t processes; /* now */
};

int trace_processes_new(const struct trace_processes_options *options,
			struct trace_processes **ret);
void trace_processes_free(struct trace_processes *processes);

/* Takes an event of trace in. 0 or -ENOMEM. */
int trace_processes_add(struct trace_processes *processes, const struct process_event *event);
/* A process that was found running in /proc, with pid, parent, name and executable; name and executable
 * go to its children, too. 0 or -ENOMEM. */
int trace_processes_learn(struct trace_processes *processes, const struct trace_process *found,
			  uint64_t now_ns);
void trace_processes_add_lost(struct trace_processes *processes, uint64_t from_ns,
			      uint64_t until_ns);

/* The one that had this pid at that time, or the last one before (see exit_ns), borrowed until the
 * next event. NULL where there is none, or where records were lost (not longer ago than "keep_ns")
 * since it began or was learnt: it may be somebody else by then. */
const struct trace_process *trace_processes_find(const struct trace_processes *processes, pid_t pid,
						 uint64_t when_ns);

/* Its name at that time: before its last exec the one from before. */
const char *trace_process_get_name(const struct trace_process *process, uint64_t when_ns);

void trace_processes_expire(struct trace_processes *processes, uint64_t now_ns);
const struct trace_processes_counters *
trace_processes_get_counters(const struct trace_processes *processes);
