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
#include "process/thread_sums.h"
#include "process/totals.h"

/* So long a flow may come late that the process had: then it asks for the process itself. */
#define ASK_WITHIN_NS NS_PER_SEC

enum {
	EXITS_A_READ = 1024,
	/* A turn reads no more than this many times that; what is left makes the descriptor
	 * readable again. */
	MAX_EXIT_READS = 64,
};

static void take_last_name(struct process_table *table, struct process *process,
			   const struct task_figures *leader, uint64_t now_ns)
{
	char user_name[USER_NAME_SIZE];

	users_find_name(table->users, leader->uid, now_ns, user_name);
	process_take_last_name(process, leader->name, leader->uid, user_name);
}

/* The end of a process, held or remembered. Its exit record has its totals up to the exit; while it
 * is to be seen as a zombie, a last sample has what it used for exiting as well. */
static void end_known(struct process_table *table, struct process *process,
		      const struct taskstats_message *message, uint64_t now_ns)
{
	const struct task_figures *task = &message->task_figures;
	struct ending ending = {.last = task,
				.is_whole = message->is_whole,
				.sums_since_ns = message->sums_since_ns,
				.peak_bytes = task->peak_memory_bytes,
				.seen_ns = now_ns};
	bool ended = message->has_group || task->group_ended, has_io = false;
	struct process_totals io;

	if (message->has_group && table->on_gone && !process->is_gone)
		has_io = totals_read_io(table->options.proc_fd, process->identity.id.pid,
					&io.read_bytes, &io.written_bytes);
	if (message->pid == process->identity.id.pid)
		take_last_name(table, process, task, now_ns);
	/* Before version 12 nothing tells a leader that ends first from a process that ends. */
	if (!process->is_gone && sampler_read(&table->sampler, process, now_ns) != SAMPLER_GONE &&
	    !ended)
		return;
	ending.total = message->has_group ? &message->group_figures : task;
	process->totals.has_io = false;
	/* A zombie was sampled after its bytes were read: they are its own, of all threads. */
	if (has_io && process->usage.taken_ns == now_ns) {
		process->totals.read_bytes = io.read_bytes;
		process->totals.written_bytes = io.written_bytes;
		process->totals.has_io = true;
	}
	ending_take(process, &ending);
	process_note_usage(process, table->options.sample_interval_ns);
	process_table_settle(table, process, now_ns);
}

/* A process of a pid that may have left a record. */
struct record_search {
	const struct process_table *table;
	pid_t pid;
	struct ending_span span;
};

static bool fits(const struct record_search *search, const struct process *process)
{
	return !search->span.lived_us ||
	       ending_fits(&search->span, process->identity.start_ns,
			   sampler_latest_start_ns(&search->table->sampler,
						   process->identity.id.start_ticks));
}

static bool match_ended_unrecorded(const void *value, const void *key)
{
	const struct process *process = value;
	const struct record_search *search = key;

	return process->identity.id.pid == search->pid && process->is_gone &&
	       !process->has_exit_record && fits(search, process);
}

/* Whose record it is. One that was found gone before its record was read comes first: that was sent
 * before its pid was free for another. Lives of one pid are told apart by when they began: the record
 * of an earlier one may have been lost. */
static struct process *find_of_record(struct process_table *table,
				      const struct taskstats_message *message, pid_t group,
				      uint64_t seen_ns)
{
	const struct task_figures *task = &message->task_figures;
	struct record_search search = {.table = table,
				       .pid = group,
				       .span = {.lived_us = message->pid == group
								    ? task->elapsed_us
								    : task->group_elapsed_us,
						.after_ns = table->drained_ns,
						.seen_ns = seen_ns}};
	struct process *process = hash_map_find(&table->map, process_table_hash_pid(table, group),
						match_ended_unrecorded, &search);

	if (process)
		return process;
	process = process_table_find_living(table, group);
	if (!process || fits(&search, process) ||
	    sampler_read(&table->sampler, process, seen_ns) != SAMPLER_GONE)
		return process;
	process_table_settle(table, process, seen_ns);
	return NULL;
}

void process_exits_take(struct process_table *table, const struct taskstats_message *record,
			uint64_t seen_ns)
{
	struct taskstats_message message = *record;
	const struct task_figures *task = &message.task_figures;
	pid_t group = message.has_group ? message.group : task->group ? task->group : message.pid;
	struct process *process;

	thread_sums_add(table->thread_sums, &message, seen_ns);
	if (!message.has_group && group != message.pid && !task->group_ended)
		return;
	table->counters.exit_records++;
	process = find_of_record(table, &message, group, seen_ns);
	if (process && (message.has_group || task->group_ended || task->group == 0))
		end_known(table, process, &message, seen_ns);
	else if (process && message.pid == group)
		take_last_name(table, process, task, seen_ns);
	else if (!process)
		exit_log_add(table->exit_log, &message, table->drained_ns, seen_ns);
}

struct exit_context {
	struct process_table *table;
	uint64_t now_ns; /* of the call */
};

static void on_exit_record(const struct taskstats_message *message, void *userdata)
{
	const struct exit_context *context = userdata;
	/* It may have been written since "now" was taken, up to this very moment, and an end must not be
	 * told too early: the process may have acted meanwhile. */
	uint64_t seen_ns = clock_now_ns();

	process_exits_take(context->table, message,
			   seen_ns > context->now_ns ? seen_ns : context->now_ns);
}

static struct process *read_ended(struct process_table *table, const struct exit_entry *entry,
				  uint64_t start_ticks, bool may_read);

/* Nobody asked for it. */
static void on_end_due(void *userdata, const struct exit_entry *entry)
{
	struct process_table *table = userdata;
	struct process *process;

	if (!entry->has_leader) {
		table->counters.ends_without_leader++;
		return;
	}
	process = read_ended(table, entry, 0, false);
	if (!process)
		return;
	process_table_tell_gone(table, process);
	process_table_remember(table, process);
}

void process_table_set_on_gone(struct process_table *table, process_table_on_gone on_gone,
			       void *userdata)
{
	table->on_gone = on_gone;
	table->on_gone_userdata = userdata;
	if (table->options.tell_all_ends)
		exit_log_set_handler(table->exit_log, on_gone ? on_end_due : NULL, table);
}

bool process_table_tell_ends(struct process_table *table, uint64_t now_ns, unsigned most)
{
	return now_ns <= ASK_WITHIN_NS ||
	       exit_log_tell(table->exit_log, now_ns - ASK_WITHIN_NS, most);
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
		if (r == -ENOBUFS) {
			table->counters.exit_records_lost++;
			thread_sums_lose(table->thread_sums, clock_now_ns());
		} else if (r < 0) {
			return;
		}
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
	uint64_t lived_us = entry->last.group_elapsed_us;
	struct ending_span span = {lived_us ? lived_us : entry->leader.elapsed_us, entry->after_ns,
				   entry->seen_ns};

	return ending_fits(&span, sampler_start_ns(&table->sampler, start_ticks),
			   sampler_latest_start_ns(&table->sampler, start_ticks));
}

struct parent_search {
	pid_t pid;
	uint64_t child_start_ns, child_end_ns;
};

static bool is_parent(const void *value, const void *key)
{
	const struct process *process = value;
	const struct parent_search *search = key;

	return process->identity.id.pid == search->pid &&
	       process->identity.start_ns <= search->child_start_ns &&
	       (!process->is_gone || process->gone_ns >= search->child_end_ns);
}

/* One that the table knows: it was the parent when the child ended, and had begun before it. */
static bool find_parent(const struct process_table *table, pid_t parent, uint64_t start_ns,
			uint64_t end_ns, struct identity_facts *facts)
{
	struct parent_search search = {parent, start_ns, end_ns};
	const struct process *process = hash_map_find(
		&table->map, process_table_hash_pid(table, parent), is_parent, &search);

	if (!process)
		return false;
	facts->parent = parent;
	facts->has_parent = true;
	snprintf(facts->parent_name, sizeof(facts->parent_name), "%s", process->identity.name);
	facts->has_parent_name = true;
	facts->parent_uid = process->identity.uid;
	facts->has_parent_uid = true;
	if (process->identity.executable) {
		snprintf(facts->parent_executable, sizeof(facts->parent_executable), "%s",
			 process->identity.executable);
		facts->has_parent_executable = true;
		facts->parent_executable_is_hosts = process->identity.executable_is_hosts;
	}
	return true;
}

/* A parent may go while it is read: its exit record came before it went. */
void process_exits_complete_parent(struct process_table *table, uint64_t child_start_ns,
				   uint64_t now_ns, bool may_read, struct identity_facts *facts)
{
	if (!facts->has_parent || (facts->has_parent_name && facts->has_parent_uid))
		return;
	if (may_read)
		process_exits_read(table, clock_now_ns());
	ending_find_parent(table->exit_log, child_start_ns, now_ns, facts);
}

/* A process of which only the exit record is left. It has no executable, and no memory but the
 * peak. "may_read": further exit records, after which "entry" must still be there. */
static struct process *read_ended(struct process_table *table, const struct exit_entry *entry,
				  uint64_t start_ticks, bool may_read)
{
	const struct task_figures *leader = &entry->leader;
	uint64_t lived_us = entry->last.group_elapsed_us;
	uint64_t lived_ns = ((lived_us ? lived_us : leader->elapsed_us) + 1) * 1000;
	struct process_identity identity = {.id.pid = entry->group};
	struct identity_facts facts = {.uid = leader->uid};
	struct ending ending = ending_from_entry(entry);
	struct process *process;

	identity.start_ns = entry->seen_ns > lived_ns ? entry->seen_ns - lived_ns : 0;
	identity.id.start_ticks =
		start_ticks ? start_ticks : sampler_start_ticks(&table->sampler, identity.start_ns);
	snprintf(facts.name, sizeof(facts.name), "%s", leader->name);
	if (!find_parent(table, leader->parent, identity.start_ns, entry->seen_ns, &facts))
		identity_read_parent(table->options.proc_fd, leader->parent,
				     identity.id.start_ticks, &facts);
	process_exits_complete_parent(table, identity.start_ns, entry->seen_ns, may_read, &facts);
	process = process_table_make_process(table, &identity, &facts, entry->seen_ns);
	if (!process)
		return NULL;
	process->is_gone = process->is_late = true;
	process->gone_ns = entry->seen_ns;
	process->earliest_start_ns = entry->after_ns > lived_ns ? entry->after_ns - lived_ns : 1;
	process->usage.is_final = true;
	process->counts_delays = leader->delay_count > 0;
	process->usage.has_iowait = process->counts_delays && table->sampler.delay_accounting;
	process->may_be_thread = entry->may_be_thread;
	ending_take(process, &ending);
	if (hash_map_add(&table->map, process_table_hash_pid(table, entry->group), process) < 0) {
		process_free(process);
		return NULL;
	}
	return process;
}

void process_exits_join(struct process_table *table, struct process *process, uint64_t now_ns)
{
	const struct process_id *id = &process->identity.id;
	const struct exit_entry *entry = exit_log_find(table->exit_log, id->pid, now_ns);
	struct ending ending;

	if (process->has_exit_record || !entry || !fits_start(table, entry, id->start_ticks))
		return;
	ending = ending_from_entry(entry);
	take_last_name(table, process, &entry->leader, now_ns);
	ending_take(process, &ending);
	if (!exit_log_claim(table->exit_log, id->pid))
		process->was_told = table->options.tell_all_ends;
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
	struct exit_entry ended;
	bool is_untold;

	process_exits_read(table, now_ns);
	entry = exit_log_find(table->exit_log, id.pid, now_ns);
	if (entry && id.start_ticks && !fits_start(table, entry, id.start_ticks))
		entry = NULL;
	if (id.start_ticks == 0)
		hash_map_find(&table->map, process_table_hash_pid(table, id.pid), look_at_gone,
			      &search);
	if (!entry || (newest && entry->seen_ns <= newest->gone_ns))
		return newest;
	ended = *entry;
	is_untold = exit_log_claim(table->exit_log, id.pid);
	newest = read_ended(table, &ended, id.start_ticks, true);
	if (newest)
		newest->was_told = table->options.tell_all_ends && !is_untold;
	if (newest && is_untold)
		process_table_tell_gone(table, newest);
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
	process_exits_complete_parent(table, trace->start_ns, now_ns, true, &facts);
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
