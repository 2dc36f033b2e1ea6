/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/totals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/ending.h"
#include "process/process.h"
#include "process/process_table_private.h"
#include "process/taskstats.h"
#include "procfs/text_file.h"

static bool find_number(const char *text, const char *key, uint64_t *ret)
{
	const char *at = strstr(text, key);

	if (!at)
		return false;
	*ret = strtoull(at + strlen(key), NULL, 10);
	return true;
}

bool totals_read_io(int proc_fd, int pid, uint64_t *ret_read_bytes, uint64_t *ret_written_bytes)
{
	char path[32], text[512];
	ssize_t length;

	snprintf(path, sizeof(path), "%d/io", pid);
	length = procfs_read_text(proc_fd, path, text, sizeof(text) - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	/* A line of its own: "cancelled_write_bytes" ends the same way. */
	return find_number(text, "\nread_bytes: ", ret_read_bytes) &&
	       find_number(text, "\nwrite_bytes: ", ret_written_bytes);
}

static void read_switches(const struct process_table *table, const struct process *process,
			  struct process_totals *totals)
{
	struct taskstats_client *client = table->sampler.taskstats;
	struct task_figures figures;

	if (!client || taskstats_query_group(client, process->identity.id.pid, &figures) < 0)
		return;
	totals->voluntary_switches = figures.voluntary_switches;
	totals->involuntary_switches = figures.involuntary_switches;
	totals->has_switches = true;
}

/* The kept descriptor proves that it is still there, and so that all was read of it. */
static bool is_there(const struct process *process)
{
	char byte;

	return process->stat_fd >= 0 && pread(process->stat_fd, &byte, 1, 0) == 1;
}

struct process_totals process_read_totals(struct process_table *table, struct process *process)
{
	struct process_totals totals = process->totals;

	if (process->is_gone)
		return totals;
	totals.has_io = totals_read_io(table->options.proc_fd, process->identity.id.pid,
				       &totals.read_bytes, &totals.written_bytes);
	read_switches(table, process, &totals);
	if (is_there(process))
		process->totals = totals;
	return process->totals;
}

/* The thread that ended last ended as the process did, unless it was not the leader and the kernel
 * does not tell its status. (A leader that ended before the others tells its own alone.) */
static void take_wait_status(struct process_totals *totals, const struct task_figures *last,
			     bool is_sum)
{
	bool is_leader = !is_sum || last->pid == last->group;

	if (!is_leader && !last->group)
		return;
	totals->wait_status = last->exit_code;
	totals->has_wait_status = true;
}

void totals_take_ending(struct process *process, const struct ending *ending)
{
	struct process_totals *totals = &process->totals;
	const struct task_figures *total = ending->total;
	bool is_sum = ending->last != total;

	take_wait_status(totals, ending->last, is_sum);
	if (total->user_us + total->system_us) {
		totals->user_parts = total->user_us;
		totals->system_parts = total->system_us;
	}
	totals->voluntary_switches = total->voluntary_switches;
	totals->involuntary_switches = total->involuntary_switches;
	totals->has_switches = true;
	if (is_sum) /* of all threads nothing is told */
		return;
	totals->read_bytes = total->read_bytes;
	totals->written_bytes = total->written_bytes;
	totals->has_io = true;
}
