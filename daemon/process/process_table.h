/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The processes that flows refer to: living ones, and those gone for as long as a flow holds them.
 * Each is read once when first acquired, and sampled while it is held. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "flow/ownership.h"

struct process_table;
struct process;

struct process_table_options {
	int proc_fd; /* borrowed descriptor of /proc */
	uint64_t sample_interval_ns;
	bool delay_accounting; /* kernel.task_delayacct is on: I/O wait means something */
};

struct process_table_counters {
	uint64_t acquired, vanished; /* found gone when first asked for */
	uint64_t samples, sample_errors, samples_shared;
	uint64_t exit_records, exit_records_lost;
	uint64_t processes; /* held now */
};

/* Who a process is. Texts are the process's and live as long as it is held. */
struct process_identity {
	struct process_id id;
	uint64_t start_ns; /* monotonic (may lie before boot of the daemon) */
	const char *name, *user_name, *parent_name, *executable;
	uid_t uid;
	pid_t parent_pid;
	bool has_parent, has_executable;
};

/* Counters of the whole thread group since it started, finished threads included. */
struct process_usage {
	uint64_t taken_ns; /* monotonic: when this was true */
	uint64_t cpu_ns;
	uint64_t minor_faults, major_faults;
	uint64_t iowait_ns; /* block I/O delay; valid with has_iowait */
	uint64_t memory_bytes;
	bool has_iowait;
};

/* 0 or a negative errno. Where taskstats is not to be had (another user namespace, no
 * CAP_NET_ADMIN) the table still works from /proc, and process_table_has_taskstats() is false. */
int process_table_new(const struct process_table_options *options, struct process_table **ret);
void process_table_free(struct process_table *table);
bool process_table_has_taskstats(const struct process_table *table);

/* Descriptor of the exit records, -1 where there are none; when readable (and at least before a
 * process's usage is told) call process_table_read_exits(). */
int process_table_get_exit_fd(const struct process_table *table);
void process_table_read_exits(struct process_table *table);

/* The process with this id, with one reference more, sampled at "now_ns" at the latest; NULL where
 * it is gone and was not known before. "start_ticks" 0 takes whatever runs under the pid now. */
struct process *process_table_acquire(struct process_table *table, struct process_id id,
				      uint64_t now_ns);
/* Accepts NULL. */
void process_table_release(struct process_table *table, struct process *process);

const struct process_identity *process_get_identity(const struct process *process);

/* The usage as of now: a sample taken at "since_ns" or later serves, else a new one is taken; once
 * the process is gone, its exit record or its last sample. The base of a span may be some
 * milliseconds old and is shared by the flows that begin together; its end must not be older than
 * the end itself, or a short flow would seem to have used nothing. 0; -ENODATA where there never
 * was a sample. */
int process_table_sample(struct process_table *table, struct process *process, uint64_t now_ns,
			 uint64_t since_ns, struct process_usage *ret);

/* Largest resident set in any sample taken since "since_ns", bytes; 0 where there was none. */
uint64_t process_get_peak_memory(const struct process *process, uint64_t since_ns);

/* Samples held processes whose last sample is older than the interval, at most "budget" of them.
 * Returns the monotonic time of the next call that is needed. */
uint64_t process_table_run_schedule(struct process_table *table, uint64_t now_ns, unsigned budget);

const struct process_table_counters *process_table_get_counters(const struct process_table *table);
