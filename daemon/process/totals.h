/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What only records of processes tell: read when one is due, not with every sample. */

#include <stdbool.h>
#include <stdint.h>

struct process;
struct process_table;
struct task_figures;
struct ending;

/* Of the whole process, since it started. */
struct process_totals {
	/* How its CPU time parts, by clock ticks: user : system. 0 : 0 is not known. */
	uint64_t user_parts, system_parts;
	uint64_t read_bytes, written_bytes; /* of storage */
	uint64_t voluntary_switches, involuntary_switches;
	/* They lack threads that had ended before: a difference to a reading from before then tells
	 * nothing. 0: they are of all threads. */
	uint64_t switches_since_ns;
	uint32_t wait_status; /* as wait(2) tells it */
	bool has_io, has_switches, has_wait_status;
};

/* Of a living process as of now; of one that is gone what its end told. */
struct process_totals process_read_totals(struct process_table *table, struct process *process);

/* Takes what an exit record tells into process->totals. Pure. */
void totals_take_ending(struct process *process, const struct ending *ending);

/* Reads /proc/PID/io of a process that may be a zombie already; true where it could be read. The caller
 * has to know that it was this process. */
bool totals_read_io(int proc_fd, int pid, uint64_t *ret_read_bytes, uint64_t *ret_written_bytes);
