/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The end of a process, as its exit records tell it. */

#include <stdint.h>

#include "process/exit_log.h"
#include "process/process.h"
#include "process/taskstats.h"

/* What an exit record, or two of them, tell of a process's end. */
struct ending {
	const struct task_figures *last;  /* the task that ended last */
	const struct task_figures *total; /* the same, or the sum of all tasks */
	bool is_whole;			  /* see taskstats_message, as for the next */
	uint64_t sums_since_ns;
	uint64_t peak_bytes;
	uint64_t seen_ns;
};

/* The ending that a kept record tells; borrows from it. */
struct ending ending_from_entry(const struct exit_entry *entry);

/* Whether a process that began between the two times can be the one that ended at some time after
 * "after_ns", "seen_ns" at the latest, when it had lived for so long. Pure. */
struct ending_span {
	uint64_t lived_us, after_ns, seen_ns;
};
bool ending_fits(const struct ending_span *span, uint64_t earliest_start_ns,
		 uint64_t latest_start_ns);

/* Totals of the exit record, where they are above the last sample's. Of a process that had several
 * threads it may be that not all of their records were seen: then they tell no faults. */
void ending_take(struct process *process, const struct ending *ending);

/* Name and user of a parent that is gone as well: of an exit record that it left, if that one ran when its
 * child started. */
void ending_find_parent(const struct exit_log *log, uint64_t child_start_ns, uint64_t now_ns,
			struct identity_facts *facts);
