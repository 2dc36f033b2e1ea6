/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Samples of processes, each figure from where it is exact and cheap:
 *
 *   CPU time        the process's CPU clock (clock_getcpuclockid(3)): nanoseconds, all threads,
 *                   finished ones to the last instruction, zombies too. taskstats by TGID lacks
 *                   what threads used in exit itself (some 50 us each) and all of a zombie.
 *   faults, memory  /proc/PID/stat from a kept descriptor, which also proves that all that was
 *                   read before it under the same pid was read of the same, living process.
 *   I/O wait        taskstats by TGID, asked only for processes whose delays are counted.
 *
 * Where /proc is not that of our own pid namespace there is stat alone, CPU time in clock ticks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "process/process.h"

struct taskstats_client;

struct sampler {
	int proc_fd; /* borrowed */
	bool proc_is_ours;
	bool delay_accounting;
	bool command_line;	      /* to be read anew with the name */
	struct cgroup_table *cgroups; /* borrowed */
	struct users *users;	      /* borrowed */
	uint64_t delays_since_ns;
	struct taskstats_client *taskstats; /* NULL: not to be had */
	struct list_node open;
	size_t open_count, open_limit;
	uint64_t tick_ns, page_bytes;
	struct process_table_counters *counters; /* borrowed */
};

enum {
	SAMPLER_ALIVE = 0,
	SAMPLER_GONE = 1, /* it has ended; its usage is the last that could be had */
};

/* Needs neither a right nor taskstats. "open_limit": descriptors to keep; 0 takes half of
 * RLIMIT_NOFILE. */
void sampler_init(struct sampler *sampler, int proc_fd, size_t open_limit,
		  struct process_table_counters *counters);
void sampler_fini(struct sampler *sampler);

/* Keeps an open descriptor of the process's stat file (takes it), the oldest kept one is closed
 * where there are too many. */
void sampler_keep(struct sampler *sampler, struct process *process, int stat_fd);
void sampler_forget(struct sampler *sampler, struct process *process);

/* Others have used up what may be open: closes some kept descriptors and keeps fewer from now on.
 * False where none are kept. */
bool sampler_make_room(struct sampler *sampler);
/* Opens "path" below a directory, making room where there are no more descriptors to be had. */
int sampler_open_file(struct sampler *sampler, int directory_fd, const char *path, int flags);

/* Reads a sample into process->usage and process->peak. SAMPLER_ALIVE, SAMPLER_GONE, or a negative
 * errno with nothing changed. */
int sampler_read(struct sampler *sampler, struct process *process, uint64_t now_ns);

/* It is known to have ended: what was sampled last is final. */
void sampler_end(struct sampler *sampler, struct process *process);

/* What is asked once: start to the microsecond, and whether delays are counted. Trust it only when
 * the process is seen alive afterwards. */
void sampler_read_start(struct sampler *sampler, struct process *process);

/* Start of a process by its ticks, on the monotonic clock, and back. */
uint64_t sampler_start_ns(const struct sampler *sampler, uint64_t start_ticks);
/* Of a process older than a suspension sampler_start_ns() comes out too early: it began this late at
 * the latest. */
uint64_t sampler_latest_start_ns(const struct sampler *sampler, uint64_t start_ticks);
uint64_t sampler_start_ticks(const struct sampler *sampler, uint64_t start_ns);
