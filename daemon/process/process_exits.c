/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What exit records do to the table: they end processes that it knows, and tell of those that had
 * gone before anybody asked for them. */

#include "process/process_table_private.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "process/ending.h"
#include "process/exit_log.h"
#include "process/process.h"
#include "process/taskstats.h"

enum {
	EXITS_A_READ = 1024,
	/* A turn reads no more than this many times that; what is left makes the descriptor
	 * readable again. */
	MAX_EXIT_READS = 64,
};

/* The end of a process, held or remembered. Its exit record has its totals up to the exit; while it
 * is to be seen as a zombie, a last sample has what it used for exiting as well. */
static void end_known(struct process_table *table, struct process *process,
		      const struct taskstats_message *message, uint64_t now_ns)
{
	const struct task_figures *task = &message->task_figures;
	struct ending ending = {
		.last = task, .peak_bytes = task->peak_memory_bytes, .seen_ns = now_ns};
	bool ended = message->has_group || task->group_ended;

	/* Before version 12 nothing tells a leader that ends first from a process that ends. */
	if (!process->is_gone && sampler_read(&table->sampler, process, now_ns) != SAMPLER_GONE &&
	    !ended)
		return;
	ending.total = message->has_group ? &message->group_figures : task;
	ending_take(process, &ending);
	process_note_usage(process, table->options.sample_interval_ns);
	process_table_settle(process, now_ns);
}

static bool match_ended_unrecorded(const void *value, const void *key)
{
	const struct process *process = value;

	return process->identity.id.pid == *(const pid_t *)key && process->is_gone &&
	       !process->has_exit_record;
}

struct exit_context {
	struct process_table *table;
	uint64_t now_ns; /* of the call */
};

static void on_exit_record(const struct taskstats_message *message, void *userdata)
{
	struct exit_context *context = userdata;
	struct process_table *table = context->table;
	const struct task_figures *task = &message->task_figures;
	pid_t group = message->has_group ? message->group
		      : task->group	 ? task->group
					 : message->pid;
	/* It may have been written since "now" was taken, up to this very moment, and an end must not be
	 * told too early: the process may have acted meanwhile. */
	uint64_t seen_ns = clock_now_ns();
	struct process *process;

	if (!message->has_group && group != message->pid && !task->group_ended)
		return;
	if (seen_ns < context->now_ns)
		seen_ns = context->now_ns;
	table->counters.exit_records++;
	/* A process that was found gone before its record was read comes first: its record was sent
	 * before its pid was free for another. */
	process = hash_map_find(&table->map, process_table_hash_pid(table, group),
				match_ended_unrecorded, &group);
	if (!process)
		process = process_table_find_living(table, group);
	if (process && (message->has_group || task->group_ended || task->group == 0))
		end_known(table, process, message, seen_ns);
	else if (!process)
		exit_log_add(table->exit_log, message, table->drained_ns, seen_ns);
}

int process_table_get_exit_fd(const struct process_table *table)
{
	return table->sampler.taskstats ? taskstats_get_exit_fd(table->sampler.taskstats) : -1;
}

void process_exits_read(struct process_table *table, uint64_t now_ns)
{
	struct exit_context context = {.table = table, .now_ns = now_ns};
	int r = 1;

	if (!table->sampler.taskstats)
		return;
	for (unsigned i = 0; i < MAX_EXIT_READS && r != 0; i++) {
		r = taskstats_read_exits(table->sampler.taskstats, EXITS_A_READ, on_exit_record,
					 &context);
		if (r == -ENOBUFS)
			table->counters.exit_records_lost++;
		else if (r < 0)
			return;
	}
	if (r == 0)
		table->drained_ns = now_ns;
}

void process_table_read_exits(struct process_table *table)
{
	process_exits_read(table, clock_now_ns());
}

/* Whether an exit record can be of the process that was asked for, by when it began. */
static bool fits_start(const struct process_table *table, const struct exit_entry *entry,
		       uint64_t start_ticks)
{
	uint64_t elapsed_ns = (entry->leader.elapsed_us + 1) * 1000;
	uint64_t start_ns = sampler_start_ns(&table->sampler, start_ticks);

	return start_ns + table->sampler.tick_ns + elapsed_ns >= entry->after_ns &&
	       start_ns + elapsed_ns <= entry->seen_ns + table->sampler.tick_ns;
}

/* A process of which only the exit record is left. It has no executable, and no memory but the
 * peak. */
static struct process *read_ended(struct process_table *table, const struct exit_entry *entry,
				  uint64_t start_ticks)
{
	const struct task_figures *leader = &entry->leader;
	uint64_t lived_ns = (leader->elapsed_us + 1) * 1000;
	struct process_identity identity = {.id.pid = entry->group};
	struct identity_facts facts = {.uid = leader->uid};
	struct ending ending = {
		.last = leader, .peak_bytes = entry->peak_memory_bytes, .seen_ns = entry->seen_ns};
	struct process *process;

	identity.start_ns = entry->seen_ns > lived_ns ? entry->seen_ns - lived_ns : 0;
	identity.id.start_ticks =
		start_ticks ? start_ticks : sampler_start_ticks(&table->sampler, identity.start_ns);
	snprintf(facts.name, sizeof(facts.name), "%s", leader->name);
	identity_read_parent(table->options.proc_fd, leader->parent, identity.id.start_ticks,
			     &facts);
	if (!facts.has_parent_name)
		ending_find_parent(table->exit_log, identity.start_ns, entry->seen_ns, &facts);
	process = process_table_make_process(table, &identity, &facts, entry->seen_ns);
	if (!process)
		return NULL;
	process->is_gone = process->is_late = true;
	process->gone_ns = entry->seen_ns;
	process->earliest_start_ns = entry->after_ns > lived_ns ? entry->after_ns - lived_ns : 1;
	process->usage.is_final = true;
	process->counts_delays = leader->delay_count > 0;
	process->usage.has_iowait = process->counts_delays && table->sampler.delay_accounting;
	ending.total = entry->is_sum ? &entry->total : leader;
	ending_take(process, &ending);
	if (hash_map_add(&table->map, process_table_hash_pid(table, entry->group), process) < 0) {
		process_free(process);
		return NULL;
	}
	return process;
}

struct newest_gone {
	pid_t pid;
	struct process **newest;
};

/* Matches nothing, so that it is shown all of one pid. */
static bool look_at_gone(const void *value, const void *key)
{
	const struct newest_gone *search = key;
	struct process *process = (struct process *)value;

	if (process->identity.id.pid == search->pid && process->is_gone &&
	    (!*search->newest || process->gone_ns > (*search->newest)->gone_ns))
		*search->newest = process;
	return false;
}

struct process *process_exits_find_ended(struct process_table *table, struct process_id id,
					 uint64_t now_ns)
{
	struct process *newest = NULL;
	struct newest_gone search = {.pid = id.pid, .newest = &newest};
	const struct exit_entry *entry;

	process_exits_read(table, now_ns);
	entry = exit_log_find(table->exit_log, id.pid, now_ns);
	if (entry && id.start_ticks && !fits_start(table, entry, id.start_ticks))
		entry = NULL;
	if (id.start_ticks == 0)
		hash_map_find(&table->map, process_table_hash_pid(table, id.pid), look_at_gone,
			      &search);
	if (entry && (!newest || entry->seen_ns > newest->gone_ns))
		return read_ended(table, entry, id.start_ticks);
	return newest;
}

static bool match_traced(const void *value, const void *key)
{
	const struct process *process = value;
	const struct process_trace *trace = key;

	return process->identity.id.pid == trace->pid && process->is_gone &&
	       process->identity.start_ns == trace->start_ns;
}

static struct process *make_traced(struct process_table *table, const struct process_trace *trace,
				   uint64_t now_ns)
{
	struct process_identity identity = {.id.pid = trace->pid, .start_ns = trace->start_ns};
	struct identity_facts facts = {.lacks_uid = true};
	struct process *process;

	identity.id.start_ticks = sampler_start_ticks(&table->sampler, trace->start_ns);
	snprintf(facts.name, sizeof(facts.name), "%s", trace->name);
	if (trace->parent)
		identity_read_parent(table->options.proc_fd, trace->parent, identity.id.start_ticks,
				     &facts);
	if (facts.has_parent && !facts.has_parent_name)
		ending_find_parent(table->exit_log, trace->start_ns, now_ns, &facts);
	process = process_table_make_process(table, &identity, &facts, now_ns);
	if (!process)
		return NULL;
	process->is_gone = process->is_late = true;
	process->gone_ns = trace->exit_ns < now_ns ? trace->exit_ns : now_ns;
	if (hash_map_add(&table->map, process_table_hash_pid(table, trace->pid), process) < 0) {
		process_free(process);
		return NULL;
	}
	return process;
}

struct process *process_exits_find_traced(struct process_table *table,
					  const struct process_trace *trace, uint64_t now_ns)
{
	struct process *process = hash_map_find(
		&table->map, process_table_hash_pid(table, trace->pid), match_traced, trace);

	return process ? process : make_traced(table, trace, now_ns);
}
