/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/totals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/ending.h"
#include "process/process.h"
#include "process/process_table_private.h"
#include "process/taskstats.h"
#include "process/thread_sums.h"
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

static void set_switches(const struct thread_sums *sums, const struct task_figures *group,
			 const struct task_figures *ended, unsigned ended_count, bool is_alone,
			 struct process_totals *totals)
{
	enum thread_switches switches = thread_sums_get_switches(sums);
	bool adds = switches == THREAD_SWITCHES_LOST;

	if (switches == THREAD_SWITCHES_UNKNOWN && ended_count > 0)
		return;
	totals->voluntary_switches =
		group->voluntary_switches + (adds ? ended->voluntary_switches : 0);
	totals->involuntary_switches =
		group->involuntary_switches + (adds ? ended->involuntary_switches : 0);
	totals->switches_since_ns =
		is_alone || switches == THREAD_SWITCHES_KEPT ? 0 : thread_sums_get_since(sums);
	totals->has_switches = true;
}

/* Most kernels tell a group's context switches without those of threads that have ended; these are in
 * the records that they left. A thread that ends between the two readings is in both or in neither:
 * then it is read once more. Only the leader ever ran where the group ran as often as it. */
static void read_switches(struct process_table *table, const struct process *process,
			  struct process_totals *totals)
{
	enum { TRIES = 3 };
	struct taskstats_client *client = table->sampler.taskstats;
	pid_t pid = process->identity.id.pid;
	struct task_figures leader, group, ended;
	unsigned count, before;

	totals->has_switches = false;
	for (int i = 0; client && i < TRIES; i++) {
		process_exits_read(table, clock_now_ns());
		before = thread_sums_find(table->thread_sums, pid, &ended);
		if (taskstats_query_task(client, pid, &leader) < 0 ||
		    taskstats_query_group(client, pid, &group) < 0)
			return;
		process_exits_read(table, clock_now_ns());
		count = thread_sums_find(table->thread_sums, pid, &ended);
		if (count != before)
			continue;
		set_switches(table->thread_sums, &group, &ended, count,
			     count == 0 && group.run_count == leader.run_count, totals);
		return;
	}
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
	totals->switches_since_ns = is_sum && !ending->is_whole ? ending->sums_since_ns : 0;
	totals->has_switches = true;
	if (is_sum && !ending->is_whole) /* of all threads nothing is told */
		return;
	totals->read_bytes = total->read_bytes;
	totals->written_bytes = total->written_bytes;
	totals->has_io = true;
}
