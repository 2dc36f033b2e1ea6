/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Looking at the processes of the table without holding them: for people who ask what runs. Memory is
 * borrowed until the table changes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "process/network_use.h"
#include "process/process_table.h"

struct process_inspection {
	const struct process_identity *identity;
	const char *package; /* NULL: none, or not known */
	struct process_usage usage;
	/* The last minute, or as much of it as is known: CPU, waits for block I/O (with usage.has_iowait)
	 * and the time that they cover; 0: unknown. */
	uint64_t minute_cpu_ns, minute_iowait_ns, minute_ns;
	struct network_counters network, minute_network;
	bool has_usage;
};

/* The living processes that are in the table now, 16 bytes each, to be freed by the caller; some 20 ns a
 * process. 0 or -ENOMEM. */
int process_inspect_list(const struct process_table *table, struct process_id **ret,
			 size_t *ret_count);

/* Borrowed; NULL: it has left the table, or ended. */
struct process *process_inspect_find(const struct process_table *table, struct process_id id);

/* The last usage that was sampled; false: none yet. */
bool process_inspect_last_usage(const struct process *process, struct process_usage *ret);

/* Samples it where that was not done in the last "PROCESS_INSPECT_AGE_NS" (about 10 us). False: it has
 * just ended. */
#define PROCESS_INSPECT_AGE_NS (250ull * 1000 * 1000)
bool process_inspect_read(struct process_table *table, struct process *process, uint64_t now_ns,
			  struct process_inspection *ret);
