/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The table as the files share it that it is written in: process_table.c (who is in it),
 * process_exits.c (exit records), process_spans.c (usage between two times). */

#include "base/hash_map.h"
#include "base/list.h"
#include "process/process_table.h"
#include "process/sampler.h"
#include "process/watch.h"

struct identity_facts;
struct taskstats_message;

/* A sample so old serves another flow as well. */
#define PROCESS_SHARE_NS (10 * NS_PER_MS)

struct process_table {
	struct process_table_options options;
	struct process_table_counters counters;
	struct sampler sampler;
	struct procps *procps; /* NULL: not the /proc it sees */
	struct users *users;
	struct cgroup_table *cgroups;
	struct packages *packages; /* NULL: not wanted */
	struct exit_log *exit_log;
	struct thread_sums *thread_sums;
	struct hash_map map; /* by pid: several of one pid differ in start and in being gone */
	uint64_t seed;
	struct list_node schedule;   /* held and alive, the longest not sampled first */
	struct list_node remembered; /* not held, the longest not held first */
	struct list_node recent;     /* the same, of living ones that were on the network */
	struct watch_list watched;   /* some of those on the schedule */
	uint64_t drained_ns;	     /* when there was no exit record left to read */
	uint64_t now_ns;	     /* of the newest call */
	process_table_on_gone on_gone;
	void *on_gone_userdata;
};

uint64_t process_table_hash_pid(const struct process_table *table, pid_t pid);
/* NULL where none is known. */
struct process *process_table_find_living(const struct process_table *table, pid_t pid);
/* Not in the table yet; NULL without memory. */
struct process *process_table_make_process(struct process_table *table,
					   const struct process_identity *identity,
					   const struct identity_facts *facts, uint64_t now_ns);

/* Samples, and where the process turns out to be gone fetches its exit record: it was sent before
 * the kernel let go of the pid. SAMPLER_ALIVE, SAMPLER_GONE or a negative errno. */
int process_table_take_sample(struct process_table *table, struct process *process,
			      uint64_t now_ns);
/* What is gone has no turn any more. */
void process_table_settle(struct process_table *table, struct process *process, uint64_t now_ns);
/* Puts an unheld process where it is kept for a while. */
void process_table_remember(struct process_table *table, struct process *process);
void process_table_tell_gone(struct process_table *table, struct process *process);

/* One exit record, that was there at "seen_ns". */
void process_exits_take(struct process_table *table, const struct taskstats_message *message,
			uint64_t seen_ns);
/* Reads the exit records that wait. */
void process_exits_read(struct process_table *table, uint64_t now_ns);
/* What is first seen while it exits, or as a zombie, may have left its exit record before it was
 * known: takes that over. */
void process_exits_join(struct process_table *table, struct process *process, uint64_t now_ns);
/* Name and user of a parent that could not be read, from its exit record; "may_read": further ones
 * too. */
void process_exits_complete_parent(struct process_table *table, uint64_t child_start_ns,
				   uint64_t now_ns, bool may_read, struct identity_facts *facts);
/* One that only the records of trace tell of; NULL without memory. Not held yet. */
struct process *process_exits_find_traced(struct process_table *table,
					  const struct process_trace *trace, uint64_t now_ns);
/* Who ran under the pid last: remembered here, or by an exit record that came later. NULL where
 * nobody is known; not held yet. */
struct process *process_exits_find_ended(struct process_table *table, struct process_id id,
					 uint64_t now_ns);
