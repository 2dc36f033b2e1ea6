/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/process_table_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "process/exit_log.h"
#include "process/identity.h"
#include "process/packages.h"
#include "process/process.h"
#include "process/procps.h"
#include "process/sampler.h"
#include "process/thread_sums.h"
#include "process/users.h"

#define REMEMBER_NS (10 * NS_PER_SEC)
#define RECENT_NS   (70 * NS_PER_SEC)

enum {
	MAX_REMEMBERED = 4096, /* processes that nobody holds */
	MAX_EXIT_ENTRIES = 16384,
	/* A wake-up costs more than a sample: one serves all that are due until the next. */
	WAKEUPS_AN_INTERVAL = 32,
};

DEFINE_CLEANUP(struct process_table *, process_table_free);

static int open_parts(struct process_table *table)
{
	const char *passwd = table->options.passwd_path;
	int r = users_new(passwd ? passwd : "/etc/passwd", &table->users);

	if (r < 0)
		return r;
	r = cgroup_table_new(table->options.proc_fd, &table->cgroups);
	if (r < 0)
		return r;
	if (table->options.package_names)
		r = packages_new("", &table->packages);
	if (r < 0)
		return r;
	table->sampler.cgroups = table->cgroups;
	table->sampler.users = table->users;
	table->sampler.command_line = table->options.command_line;
	r = exit_log_new(MAX_EXIT_ENTRIES, REMEMBER_NS, &table->exit_log);
	if (r < 0)
		return r;
	r = thread_sums_new(MAX_EXIT_ENTRIES, clock_now_ns(), &table->thread_sums);
	if (r < 0)
		return r;
	if (table->sampler.proc_is_ours && procps_open(&table->procps) < 0)
		table->procps = NULL; /* what it tells is in plain files too */
	return 0;
}

int process_table_new(const struct process_table_options *options, struct process_table **ret)
{
	cleanup(process_table_free_cleanup) struct process_table *table = calloc(1, sizeof(*table));
	int r;

	if (!table)
		return -ENOMEM;
	table->options = *options;
	table->seed = hash_seed_new();
	hash_map_init(&table->map);
	list_init(&table->schedule);
	list_init(&table->remembered);
	list_init(&table->recent);
	watch_list_init(&table->watched);
	sampler_init(&table->sampler, options->proc_fd, 0, &table->counters);
	process_table_set_delay_accounting(table, options->delay_accounting,
					   options->delay_accounting_since_ns);
	table->drained_ns = clock_now_ns();
	r = open_parts(table);
	if (r < 0)
		return r;
	*ret = steal_pointer(&table);
	return 0;
}

void process_table_free(struct process_table *table)
{
	struct process *process;
	size_t position = 0;

	if (!table)
		return;
	while ((process = hash_map_next(&table->map, &position)))
		process_free(process);
	hash_map_fini(&table->map);
	sampler_fini(&table->sampler);
	exit_log_free(table->exit_log);
	thread_sums_free(table->thread_sums);
	users_free(table->users);
	cgroup_table_free(table->cgroups);
	packages_free(table->packages);
	procps_close(table->procps);
	free(table);
}

bool process_table_has_taskstats(const struct process_table *table)
{
	return table->sampler.taskstats != NULL;
}

void process_table_set_delay_accounting(struct process_table *table, bool on, uint64_t since_ns)
{
	struct process *process;
	size_t position = 0;

	table->sampler.delay_accounting = on;
	table->sampler.delays_since_ns = since_ns;
	/* While it is off nothing is counted: what was proven does not hold any more. */
	while (!on && (process = hash_map_next(&table->map, &position)))
		process->counts_delays = false;
}

uint64_t process_table_hash_pid(const struct process_table *table, pid_t pid)
{
	return hash_u64(table->seed, (uint64_t)pid);
}

static bool match_id(const void *value, const void *key)
{
	const struct process *process = value;
	const struct process_id *id = key;

	return process->identity.id.pid == id->pid &&
	       process->identity.id.start_ticks == id->start_ticks;
}

static bool match_living(const void *value, const void *key)
{
	const struct process *process = value;

	return process->identity.id.pid == *(const pid_t *)key && !process->is_gone;
}

struct process *process_table_find_living(const struct process_table *table, pid_t pid)
{
	return hash_map_find(&table->map, process_table_hash_pid(table, pid), match_living, &pid);
}

static bool match_itself(const void *value, const void *key)
{
	return value == key;
}

static void free_process(struct process_table *table, struct process *process)
{
	cgroup_table_release(table->cgroups, process->cgroup);
	cgroup_table_release(table->cgroups, process->older_cgroup);
	process_free(process);
}

static void forget(struct process_table *table, struct process *process)
{
	hash_map_remove(&table->map, process_table_hash_pid(table, process->identity.id.pid),
			match_itself, process);
	sampler_forget(&table->sampler, process);
	free_process(table, process);
}

static void expire_list(struct process_table *table, struct list_node *list, size_t most,
			uint64_t before_ns)
{
	struct list_node *node;

	while ((node = list_first(list))) {
		struct process *process = container_of(node, struct process, turn);

		if (table->counters.remembered <= most && process->released_ns > before_ns)
			return;
		if (list == &table->remembered && !process->is_gone &&
		    table->counters.remembered <= most && process->network.total.flows) {
			list_move_tail(&table->recent, &process->turn);
			continue;
		}
		forget(table, process);
		table->counters.remembered--;
	}
}

/* Those that live and were on the network are remembered longer, for what they did in the last
 * minute; where there is no room they go first. */
static void expire_remembered(struct process_table *table, uint64_t now_ns)
{
	expire_list(table, &table->recent, MAX_REMEMBERED,
		    now_ns > RECENT_NS ? now_ns - RECENT_NS : 0);
	expire_list(table, &table->remembered, MAX_REMEMBERED,
		    now_ns > REMEMBER_NS ? now_ns - REMEMBER_NS : 0);
}

void process_table_tell_gone(struct process_table *table, struct process *process)
{
	if (table->on_gone && !process->was_told)
		table->on_gone(table->on_gone_userdata, process);
}

void process_table_settle(struct process_table *table, struct process *process, uint64_t now_ns)
{
	uint64_t real_ns = clock_now_ns();

	if (!process->is_gone || process->gone_ns)
		return;
	/* "now" may be that of a whole turn, and an end must not be told too early. */
	process->gone_ns = real_ns > now_ns ? real_ns : now_ns;
	watch_list_remove(&process->watch);
	if (process->references)
		list_remove(&process->turn);
	process_table_tell_gone(table, process);
}

int process_table_take_sample(struct process_table *table, struct process *process, uint64_t now_ns)
{
	int r = sampler_read(&table->sampler, process, now_ns);

	table->counters.samples++;
	if (r < 0)
		table->counters.sample_errors++;
	if (r >= 0 && process->has_usage)
		process_note_usage(process, table->options.sample_interval_ns);
	if (process->is_gone && !process->has_exit_record) {
		process_exits_read(table, now_ns);
		process_exits_join(table, process, now_ns);
	}
	process_table_settle(table, process, now_ns);
	/* Whoever asked for it: the schedule stops at the first that is not due. */
	if (process->references && !process->is_gone)
		list_move_tail(&table->schedule, &process->turn);
	return r;
}

/* From here on the table can find it. Exit records that are waiting may be of an earlier process of
 * the same pid: they were sent before this one began, so once they are read any further one is its
 * own. */
static struct process *add(struct process_table *table, struct process *process, uint64_t now_ns)
{
	struct process *earlier;

	process_exits_read(table, now_ns);
	while ((earlier = process_table_find_living(table, process->identity.id.pid))) {
		sampler_end(&table->sampler, earlier);
		process_table_settle(table, earlier, now_ns);
	}
	if (hash_map_add(&table->map, process_table_hash_pid(table, process->identity.id.pid),
			 process) < 0) {
		sampler_forget(&table->sampler, process);
		free_process(table, process);
		return NULL;
	}
	return process;
}

struct process *process_table_make_process(struct process_table *table,
					   const struct process_identity *identity,
					   const struct identity_facts *facts, uint64_t now_ns)
{
	char name[USER_NAME_SIZE], parent_name[USER_NAME_SIZE];
	struct process_identity whole = *identity;

	if (!facts->lacks_uid) {
		users_find_name(table->users, facts->uid, now_ns, name);
		whole.user_name = name;
	}
	if (facts->has_parent_uid) {
		users_find_name(table->users, facts->parent_uid, now_ns, parent_name);
		whole.parent_user_name = parent_name;
	}
	return process_new(&whole, facts);
}

/* Reads who runs under "pid" now; NULL where nobody does, or another than was asked for. */
static struct process *read_new(struct process_table *table, struct process_id id, uint64_t now_ns)
{
	cleanup_close int process_fd = -1, stat_fd = -1;
	char path[16], line[PROCFS_STAT_LINE_SIZE];
	struct process_identity identity = {.id = id};
	struct identity_facts facts;
	struct procfs_stat stat;
	struct process *process;
	int r;

	snprintf(path, sizeof(path), "%d", id.pid);
	process_fd = sampler_open_file(&table->sampler, table->options.proc_fd, path,
				       O_RDONLY | O_DIRECTORY);
	if (process_fd < 0)
		return NULL;
	stat_fd = sampler_open_file(&table->sampler, process_fd, "stat", O_RDONLY);
	if (stat_fd < 0 || procfs_stat_read_fd(stat_fd, line, sizeof(line), &stat) < 0)
		return NULL;
	if (id.start_ticks && id.start_ticks != stat.start_ticks)
		return NULL;
	/* A zombie that was seen before. */
	id.start_ticks = stat.start_ticks;
	process = hash_map_find(&table->map, process_table_hash_pid(table, id.pid), match_id, &id);
	if (process)
		return process;
	identity.id.start_ticks = stat.start_ticks;
	identity.start_ns = sampler_start_ns(&table->sampler, stat.start_ticks);
	do
		r = identity_read(table->options.proc_fd, process_fd, id.pid, &stat, table->procps,
				  &facts);
	while ((r == -EMFILE || r == -ENFILE) && sampler_make_room(&table->sampler));
	if (r < 0)
		return NULL;
	table->counters.without_procps += table->sampler.proc_is_ours && facts.without_procps;
	process_exits_complete_parent(table, identity.start_ns, now_ns, true, &facts);
	facts.has_command_line = false;
	if (table->options.command_line)
		identity_read_command_line(process_fd, &facts);
	process = process_table_make_process(table, &identity, &facts, now_ns);
	if (!process)
		return NULL;
	process->cgroup = cgroup_table_read(table->cgroups, process_fd);
	process->identity.cgroup = process->cgroup;
	sampler_keep(&table->sampler, process, steal_fd(&stat_fd));
	return add(table, process, now_ns);
}

/* Known already, and sampled: for a start time the process, else the one that lives. */
static struct process *find_known(struct process_table *table, struct process_id id,
				  uint64_t now_ns)
{
	struct process *process =
		id.start_ticks ? hash_map_find(&table->map, process_table_hash_pid(table, id.pid),
					       match_id, &id)
			       : process_table_find_living(table, id.pid);

	if (!process || process->is_gone)
		return process;
	if (!process->has_usage || now_ns >= process->usage.taken_ns + PROCESS_SHARE_NS)
		process_table_take_sample(table, process, now_ns);
	return process->is_gone && id.start_ticks == 0 ? NULL : process;
}

static void hold(struct process_table *table, struct process *process)
{
	table->counters.acquired++;
	if (process->references++)
		return;
	table->counters.processes++;
	if (process->is_remembered) {
		process->is_remembered = false;
		table->counters.remembered--;
	}
	list_remove(&process->turn);
	if (!process->is_gone)
		list_add_tail(&table->schedule, &process->turn);
}

/* Who runs now; NULL where it is gone. Not held yet. */
static struct process *find_or_read(struct process_table *table, struct process_id id,
				    uint64_t now_ns)
{
	struct process *process = find_known(table, id, now_ns);

	if (process)
		return process;
	process = read_new(table, id, now_ns);
	if (process && !process->is_gone) {
		sampler_read_start(&table->sampler, process);
		process_exits_join(table, process, now_ns);
		process_table_take_sample(table, process, now_ns);
		process->is_late = process->is_gone;
	}
	return process;
}

static struct process *hold_or_miss(struct process_table *table, struct process *process)
{
	if (process)
		hold(table, process);
	else
		table->counters.vanished++;
	return process;
}

struct process *process_table_acquire(struct process_table *table, struct process_id id,
				      uint64_t now_ns)
{
	struct process *process;

	table->now_ns = now_ns;
	expire_remembered(table, now_ns);
	process = find_or_read(table, id, now_ns);
	if (!process)
		process = process_exits_find_ended(table, id, now_ns);
	return hold_or_miss(table, process);
}

/* Whether it can have been at work then. A start is told by up to a tick too early, never too late,
 * and an end never too early; of an exit record that had to wait before it was read, the start is
 * known as well as the end. */
static bool lived_at(const struct process *process, uint64_t when_ns)
{
	uint64_t start_ns = process->earliest_start_ns ? process->earliest_start_ns
						       : process->identity.start_ns;

	return start_ns <= when_ns && (!process->is_gone || process->gone_ns >= when_ns);
}

void process_table_remember(struct process_table *table, struct process *process)
{
	if (process->references || process->is_remembered)
		return;
	hold(table, process);
	process_table_release(table, process);
}

struct process *process_table_acquire_at(struct process_table *table, pid_t pid, uint64_t when_ns,
					 uint64_t now_ns)
{
	struct process_id id = {.pid = pid};
	struct process *process;

	table->now_ns = now_ns;
	expire_remembered(table, now_ns);
	process = find_or_read(table, id, now_ns);
	if (process && lived_at(process, when_ns))
		return hold_or_miss(table, process);
	if (process)
		process_table_remember(table, process);
	process = process_exits_find_ended(table, id, now_ns);
	if (process && lived_at(process, when_ns))
		return hold_or_miss(table, process);
	if (process)
		process_table_remember(table, process);
	return hold_or_miss(table, NULL);
}

struct process *process_table_acquire_traced(struct process_table *table,
					     const struct process_trace *trace, uint64_t now_ns)
{
	struct process *process;

	table->now_ns = now_ns;
	process = process_exits_find_traced(table, trace, now_ns);
	if (!process)
		return NULL;
	table->counters.traced++;
	hold(table, process);
	return process;
}

void process_table_complete(struct process_table *table, struct process *process,
			    const struct process_trace *trace, uint64_t cgroup_id)
{
	if (trace)
		(void)process_take_trace(process, trace);
	if (process->cgroup || !cgroup_id)
		return;
	process->cgroup = cgroup_table_find_id(table->cgroups, cgroup_id);
	process->identity.cgroup = process->cgroup;
}

void process_table_hold(struct process_table *table, struct process *process)
{
	hold(table, process);
}

struct process *process_table_find(const struct process_table *table, pid_t pid)
{
	return process_table_find_living(table, pid);
}

DIR *process_table_open_proc(const struct process_table *table)
{
	int fd = openat(table->options.proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *proc = fd >= 0 ? fdopendir(fd) : NULL;

	if (!proc && fd >= 0)
		close(fd);
	return proc;
}

void process_table_release(struct process_table *table, struct process *process)
{
	if (!process || --process->references)
		return;
	table->counters.processes--;
	table->counters.remembered++;
	process->is_remembered = true;
	process->released_ns = table->now_ns;
	watch_list_remove(&process->watch);
	list_move_tail(&table->remembered, &process->turn);
	expire_remembered(table, table->now_ns);
}

const struct process_identity *process_get_identity(const struct process *process)
{
	return &process->identity;
}

void process_table_watch(struct process_table *table, struct process *process, uint64_t now_ns)
{
	if (!process->is_gone && process->references)
		watch_list_add(&table->watched, &process->watch, now_ns);
}

uint64_t process_table_get_watch_due(const struct process_table *table)
{
	return watch_list_get_due(&table->watched);
}

void process_table_run_watched(struct process_table *table, uint64_t now_ns, unsigned budget)
{
	struct watch *watch;

	table->now_ns = now_ns;
	while (budget-- && (watch = watch_list_take(&table->watched, now_ns))) {
		struct process *process = container_of(watch, struct process, watch);

		process_table_take_sample(table, process, now_ns);
	}
}

static uint64_t sample_due(struct process_table *table, uint64_t now_ns, unsigned budget)
{
	uint64_t soon_ns = now_ns + table->options.sample_interval_ns / WAKEUPS_AN_INTERVAL;
	struct list_node *node;

	table->now_ns = now_ns;
	expire_remembered(table, now_ns);
	while ((node = list_first(&table->schedule))) {
		struct process *process = container_of(node, struct process, turn);
		uint64_t due_ns = process->tried_ns + table->options.sample_interval_ns;

		if (due_ns > soon_ns)
			return due_ns;
		if (budget-- == 0)
			return now_ns;
		process_table_take_sample(table, process, now_ns);
	}
	return now_ns + table->options.sample_interval_ns;
}

uint64_t process_table_run_schedule(struct process_table *table, uint64_t now_ns, unsigned budget)
{
	uint64_t due_ns = sample_due(table, now_ns, budget);
	uint64_t packages_due_ns = table->packages ? packages_run(table->packages, now_ns) : due_ns;

	return packages_due_ns < due_ns ? packages_due_ns : due_ns;
}

const char *process_table_find_package(const struct process_table *table,
				       const struct process_identity *identity)
{
	return table->packages && identity->executable_is_hosts
		       ? packages_find(table->packages, identity->executable)
		       : NULL;
}

const char *process_table_find_parent_package(const struct process_table *table,
					      const struct process_identity *identity)
{
	return table->packages && identity->parent_executable_is_hosts
		       ? packages_find(table->packages, identity->parent_executable)
		       : NULL;
}

const struct process_table_counters *process_table_get_counters(const struct process_table *table)
{
	return &table->counters;
}

void process_table_find_user_name(struct process_table *table, uid_t uid, uint64_t now_ns,
				  char ret[USER_NAME_SIZE])
{
	users_find_name(table->users, uid, now_ns, ret);
}

struct cgroup_table *process_table_get_cgroups(struct process_table *table)
{
	return table->cgroups;
}

const struct packages_counters *
process_table_get_packages_counters(const struct process_table *table)
{
	return table->packages ? packages_get_counters(table->packages) : NULL;
}
