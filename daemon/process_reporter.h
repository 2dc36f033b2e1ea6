/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Records of processes: one when a process is first seen (processes.report_start), one every
 * flows.active_timeout while it lives, one when it has ended; and for all that live when the program
 * ends. Their intervals lie one behind the other without a gap. The first begins when the process
 * did, so that all of them add up to what it ever used; that of a process which is older than the
 * daemon when it was first seen.
 *
 * networked: processes from their first flow on. all: every one; new ones are looked for once a second,
 * and one that is gone by then is told by its exit record. Threads of the kernel have no records.
 *
 * The record of an end waits for a second, and for the flows of the process as long as an
 * active_timeout: their bytes are among what it tells. */

#include "attribution/attribution.h"
#include "config/config.h"
#include "export/exporter_set.h"
#include "process/process_table.h"
#include "runtime/loop.h"

struct process_reporter;

struct process_reporter_options {
	struct loop *loop;
	struct process_table *processes;
	const struct attribution *attribution; /* asked for exact times; NULL: not */
	const struct exporter_set *exporters;  /* all borrowed */
	uint64_t interval_ns;
	uint64_t most; /* processes that have records at a time; 0: 2^18 */
	bool all;      /* not only networked ones; the table has to have tell_all_ends */
	bool report_start;
};

struct process_reporter_counters {
	uint64_t records;   /* handed to the exporters */
	uint64_t processes; /* now */
	uint64_t late;	    /* flows whose process had been reported as ended already */
	uint64_t refused;   /* processes, for want of memory or beyond the most */
	/* Ends that trace did not confirm to be those of a process: before Linux 5.19 they may be a
	 * thread's, and then are not told. */
	uint64_t unconfirmed;
};

/* 0 or a negative errno. Takes over the table's on_gone. */
int process_reporter_new(const struct process_reporter_options *options,
			 struct process_reporter **ret);
/* Before the table is freed. Reports nothing more. Accepts NULL. */
void process_reporter_free(struct process_reporter *reporter);

/* The process, which the caller holds, has a flow. Accepts NULL. */
void process_reporter_note(struct process_reporter *reporter, struct process *process);

/* What a turn does; called by the loop's timer. Returns when the next is due. */
uint64_t process_reporter_run(struct process_reporter *reporter, uint64_t now_ns);

/* The end of the program: reports all that there are. Accepts NULL. */
void process_reporter_flush(struct process_reporter *reporter);

const struct process_reporter_counters *
process_reporter_get_counters(const struct process_reporter *reporter);
