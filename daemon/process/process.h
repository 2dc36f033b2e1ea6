/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One process of the table, as this folder's files share it. */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/list.h"
#include "process/history.h"
#include "process/identity.h"
#include "process/network_use.h"
#include "process/peak.h"
#include "process/process_table.h"
#include "process/totals.h"
#include "process/watch.h"

struct process {
	struct process_identity identity;
	struct cgroup *cgroup, *older_cgroup; /* references of the table's */
	char *texts, *older_texts; /* what the identity points into; what it pointed into before */
	char comm[COMM_LENGTH + 1];
	struct process_usage usage;
	struct peak peak;	/* since any time */
	struct history history; /* at any time */
	struct network_use network;
	struct process_totals totals; /* as last read */
	void *owner;		      /* see process_set_owner() */
	struct watch watch;
	uint64_t exit_peak_bytes; /* from its exit record */
	uint64_t tried_ns;	  /* when a sample was last tried */
	uint64_t released_ns, gone_ns;
	uint64_t end_ns;	    /* by its exit record; else 0 */
	uint64_t earliest_start_ns; /* by its exit record alone: it may have begun then; else 0 */
	struct list_node turn; /* held and alive: by the time of the last sample; or not held */
	struct list_node open; /* stat_fd is kept: by the time of the last use */
	int stat_fd;
	clockid_t cpu_clock; /* with has_cpu_clock */
	unsigned references;
	uint32_t samples;
	uint32_t readings;    /* samples that were not idle */
	uint8_t idle_samples; /* in a row */
	bool has_usage, has_cpu_clock, is_gone;
	bool is_remembered; /* in the list of those that nobody holds */
	bool is_late; /* it was gone when it was first looked at: there is no sample of its life */
	bool has_exit_record;
	bool may_be_thread;
	bool was_told;	    /* its end, before anybody asked for it */
	bool counts_delays; /* proven: since it started */
	bool lost_delays;   /* they cannot be true, and are not told any more */
};

/* A process with these facts and the user names of "identity", without a descriptor and in no list;
 * NULL when memory ran out. */
struct process *process_new(const struct process_identity *identity,
			    const struct identity_facts *facts);
/* Its cgroups are to be released before. */
void process_free(struct process *process);

/* Takes name, executable and command line from new facts (an exec, or a new comm); and, where
 * "user_name" is not NULL, the user. 0 or -ENOMEM. */
int process_rename(struct process *process, const struct identity_facts *facts,
		   const char *user_name);

/* Takes name and user that its exit record or another look tells, where they are others than before: it was
 * read before it took them on. With another name its executable may be another too, and is not known
 * any more. 0 or -ENOMEM. */
int process_take_last_name(struct process *process, const char *comm, uid_t uid,
			   const char *user_name);

/* Whether it can have waited for I/O for so long within a time, as far as is known: Linux 6.18
 * was seen to count a thread's wait from the boot on. Else none of its waits are told any more. */
bool process_check_iowait(struct process *process, uint64_t waited_ns, uint64_t within_ns,
			  unsigned threads);

/* Takes the executable, and the name where that is cut, that trace tells of a process that was gone, or a
 * zombie, when it was looked at. 0, also where it has one or its name was another in the end; or
 * -ENOMEM. */
int process_take_trace(struct process *process, const struct process_trace *trace);

/* Takes the usage over into the history. */
void process_note_usage(struct process *process, uint64_t interval_ns);

/* The usage as it was at an earlier time, by an entry of the history. */
struct process_usage process_find_usage(const struct process *process,
					const struct history_entry *entry);
