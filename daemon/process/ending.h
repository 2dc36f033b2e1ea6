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
	uint64_t peak_bytes;
	uint64_t seen_ns;
};

/* Totals of the exit record, where they are above the last sample's. Faults of a process that had
 * several threads are in none of its records. */
void ending_take(struct process *process, const struct ending *ending);

/* Name and user of a parent that is gone as well: of an exit record that it left, if that one ran when its
 * child started. */
void ending_find_parent(const struct exit_log *log, uint64_t child_start_ns, uint64_t now_ns,
			struct identity_facts *facts);
