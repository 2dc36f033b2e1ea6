/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The end of a process, as its exit records tell it. */

#include <stdint.h>

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
