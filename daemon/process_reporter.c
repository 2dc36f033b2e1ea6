/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process_reporter.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "process/identity.h"
#include "process/inspect.h"
#include "process/network_use.h"
#include "process/totals.h"
#include "record_builder.h"

/* Between two turns; and where one had to leave something undone. */
#define TURN_NS	  (250 * NS_PER_MS)
#define PAUSE_NS  (20 * NS_PER_MS)
#define WALK_NS	  NS_PER_SEC
#define SETTLE_NS NS_PER_SEC
/* So far may the wall clock be slewed; beyond that it was set. */
#define STEP_NS ((int64_t)NS_PER_SEC)
/* A trace of a process and its exit record tell of the same life when they differ by less. */
#define SAME_LIFE_NS (20 * NS_PER_MS)

enum {
	MAX_LIVES = 1 << 18,
	RECORDS_A_TURN = 256,
	NEW_A_TURN = 64,     /* some 0.1 ms each */
	LOOKS_A_TURN = 4096, /* entries of /proc */
	KTHREADD = 2,
};

/* A process that has records. */
struct life {
	struct list_node
		node; /* running: by when the next record is due; ended: by when that was seen */
	struct process *process; /* held */
	struct flow_end base;
	struct process_totals base_totals;
	struct network_counters base_network;
	/* Stays, as long as the wall clock is not set: a process is told apart by it. */
	uint64_t start_ms;
	int64_t wall_offset_ns; /* by which that was found */
	uint64_t due_ns;
	uint32_t records;
	bool has_ended;
};

struct process_reporter {
	struct process_reporter_options options;
	struct process_reporter_counters counters;
	struct loop_source *timer;
	struct list_node running, ended;
	DIR *proc; /* scope all */
	uint64_t since_ns, walk_due_ns;
	bool is_walking, has_kthreadd;
};

DEFINE_CLEANUP(struct process_reporter *, process_reporter_free);

static const struct process_totals nothing_used = {.has_io = true, .has_switches = true};

static bool is_kernel_thread(const struct process_reporter *reporter,
			     const struct process_identity *identity)
{
	return reporter->has_kthreadd &&
	       (identity->id.pid == KTHREADD || identity->parent_pid == KTHREADD);
}

static void set_base(struct life *life, const struct process_usage *usage,
		     const struct process_totals *totals)
{
	record_builder_set_base(&life->base, usage);
	life->base_totals = *totals;
}

static void take_first_base(struct process_reporter *reporter, struct life *life, uint64_t now_ns)
{
	struct process_usage usage = {.taken_ns = process_get_identity(life->process)->start_ns};

	if (usage.taken_ns >= reporter->since_ns || process_is_gone(life->process) ||
	    process_table_sample(reporter->options.processes, life->process, now_ns, now_ns,
				 &usage) < 0) {
		set_base(life, &usage, &nothing_used);
		return;
	}
	set_base(life, &usage, &(struct process_totals){0});
	life->base_totals = process_read_totals(reporter->options.processes, life->process);
}

/* Unique on the host since boot, and no flow has the highest bit: pid and start. */
static uint64_t make_id(const struct process_identity *identity)
{
	return RECORD_PROCESS | identity->id.start_ticks << 22 | (uint32_t)identity->id.pid;
}

/* What trace tells of the same life; of its end a moment after the exit record. */
static bool find_traced(const struct process_reporter *reporter,
			const struct process_identity *identity, uint64_t end_ns,
			struct attribution_life *ret)
{
	uint64_t lived_ns = end_ns - identity->start_ns, traced_ns;

	if (!reporter->options.attribution ||
	    !attribution_find_life(reporter->options.attribution, identity->id.pid,
				   end_ns + SAME_LIFE_NS, ret) ||
	    ret->end_ns < ret->start_ns)
		return false;
	traced_ns = ret->end_ns - ret->start_ns;
	return traced_ns <= lived_ns + SAME_LIFE_NS && traced_ns + SAME_LIFE_NS >= lived_ns;
}

/* Of a process that was gone when it was first seen only about when it lived is known, and no executable;
 * trace knows. */
static void correct_late(const struct process_reporter *reporter, const struct life *life,
			 struct process_identity *identity, char name[IDENTITY_NAME_SIZE],
			 struct record_interval *interval, struct record_process *process)
{
	struct attribution_life traced;

	if (life->records > 0 || !process_is_late(life->process) ||
	    !find_traced(reporter, identity, interval->end_ns, &traced))
		return;
	identity->start_ns = interval->base.base_ns = traced.start_ns;
	interval->end_ns = process->usage.taken_ns = traced.end_ns;
	if (identity->has_executable || !traced.executable || traced.executable[0] != '/')
		return;
	identity->executable = traced.executable;
	identity->has_executable = true;
	identity_complete_name(identity->name, traced.executable, name);
	identity->name = name;
}

static void hand_over(struct process_reporter *reporter, const struct flow_record *record)
{
	reporter->counters.records++;
	for (size_t i = 0; i < reporter->options.exporters->count; i++)
		exporter_export(reporter->options.exporters->items[i], record);
}

static uint64_t to_epoch_ms(uint64_t ns, int64_t wall_offset_ns)
{
	return (uint64_t)((int64_t)ns + wall_offset_ns) / NS_PER_MS;
}

/* Where the clock was set the start is told by what it shows now, as all other times are: a process must
 * not end before it began. */
static void set_start(struct life *life, const struct process_identity *identity,
		      int64_t wall_offset_ns)
{
	int64_t step_ns = wall_offset_ns - life->wall_offset_ns;

	if (life->start_ms && step_ns < STEP_NS && step_ns > -STEP_NS)
		return;
	life->start_ms = to_epoch_ms(identity->start_ns, wall_offset_ns);
	life->wall_offset_ns = wall_offset_ns;
}

static void describe(const struct process_reporter *reporter, const struct life *life,
		     struct record_process *process)
{
	const struct process_table *processes = reporter->options.processes;

	process->identity = process_get_identity(life->process);
	process->cgroup = process->identity->cgroup;
	process->package = process_table_find_package(processes, process->identity);
	process->parent_package = process_table_find_parent_package(processes, process->identity);
}

/* What it used until "process->usage" goes out; the next interval begins there. */
static void report(struct process_reporter *reporter, struct life *life,
		   struct record_process *process, struct record_interval *interval)
{
	struct process_identity identity;
	struct flow_record record;
	char name[IDENTITY_NAME_SIZE];
	int64_t wall_offset_ns = clock_wall_offset_ns();

	describe(reporter, life, process);
	identity = *process->identity;
	process->identity = &identity;
	interval->id = make_id(&identity);
	interval->number = life->records + 1;
	interval->base = life->base;
	interval->base_totals = life->base_totals;
	interval->base_network = life->base_network;
	interval->network = process_get_network(life->process)->total;
	correct_late(reporter, life, &identity, name, interval, process);
	set_start(life, &identity, wall_offset_ns);
	interval->start_ms = life->start_ms;
	record_builder_build_process(interval, process, wall_offset_ns, &record);
	hand_over(reporter, &record);
	life->records++;
	if (!process->has_usage)
		return;
	set_base(life, &process->usage, &interval->totals);
	life->base_network = interval->network;
}

static void report_start(struct process_reporter *reporter, struct life *life)
{
	struct record_process process = {0};
	struct record_interval interval = {.event = RECORD_EVENT_START,
					   .reason = FLOW_END_ACTIVE,
					   .end_ns = life->base.base_ns};

	report(reporter, life, &process, &interval);
}

static void report_usage(struct process_reporter *reporter, struct life *life,
			 enum record_event event, enum flow_end_reason reason)
{
	struct record_process process = {.has_usage = true};
	struct record_interval interval = {.event = event, .reason = reason};

	process.has_usage = process_inspect_last_usage(life->process, &process.usage);
	interval.end_ns = process.has_usage ? process.usage.taken_ns : clock_now_ns();
	if (event == RECORD_EVENT_END)
		interval.end_ns = process_get_end_ns(life->process);
	/* As a zombie it was sampled after its end, and of an exit record the time is that of its reading:
	 * the load is over the time that is told. */
	if (interval.end_ns > life->base.base_ns)
		process.usage.taken_ns = interval.end_ns;
	process.peak_memory_bytes = process_get_peak_memory(life->process, life->base.base_ns);
	interval.totals = process_read_totals(reporter->options.processes, life->process);
	report(reporter, life, &process, &interval);
}

/* It may turn out to be gone: then on_gone() has put it among those that ended. */
static void report_interim(struct process_reporter *reporter, struct life *life,
			   enum flow_end_reason reason, uint64_t now_ns)
{
	struct process_usage usage;

	if (process_table_sample(reporter->options.processes, life->process, now_ns, now_ns,
				 &usage) < 0 ||
	    life->has_ended)
		return;
	report_usage(reporter, life, RECORD_EVENT_INTERIM, reason);
}

static void free_life(struct process_reporter *reporter, struct life *life)
{
	list_remove(&life->node);
	process_set_owner(life->process, NULL);
	process_table_release(reporter->options.processes, life->process);
	free(life);
	reporter->counters.processes--;
}

static void end_life(struct process_reporter *reporter, struct life *life, uint64_t now_ns)
{
	life->has_ended = true;
	life->due_ns = now_ns;
	list_move_tail(&reporter->ended, &life->node);
}

/* NULL: it has none. The table calls this from within other calls: nothing is sampled here. */
static struct life *begin_life(struct process_reporter *reporter, struct process *process)
{
	struct life *life = NULL;

	if (is_kernel_thread(reporter, process_get_identity(process)))
		return NULL;
	if (reporter->counters.processes < reporter->options.most)
		life = calloc(1, sizeof(*life));
	if (!life) {
		reporter->counters.refused++;
		return NULL;
	}
	process_table_hold(reporter->options.processes, process);
	process_set_owner(process, life);
	life->process = process;
	list_init(&life->node);
	reporter->counters.processes++;
	return life;
}

static void on_gone(void *userdata, struct process *process)
{
	struct process_reporter *reporter = userdata;
	struct life *life = process_get_owner(process);
	uint64_t now_ns = clock_now_ns();
	struct attribution_life traced;

	/* Trace tells of processes alone. */
	if (!life && process_may_be_thread(process) &&
	    !find_traced(reporter, process_get_identity(process), process_get_end_ns(process),
			 &traced)) {
		reporter->counters.unconfirmed += reporter->options.all;
		return;
	}
	if (!life && reporter->options.all) {
		life = begin_life(reporter, process);
		if (life)
			take_first_base(reporter, life, now_ns);
	}
	if (life)
		end_life(reporter, life, now_ns);
}

static void begin_running(struct process_reporter *reporter, struct process *process,
			  uint64_t now_ns)
{
	struct life *life = begin_life(reporter, process);

	if (!life)
		return;
	take_first_base(reporter, life, now_ns);
	if (reporter->options.report_start)
		report_start(reporter, life);
	if (life->has_ended)
		return;
	if (process_is_gone(process)) {
		end_life(reporter, life, now_ns);
		return;
	}
	life->due_ns = now_ns + reporter->options.interval_ns;
	list_add_tail(&reporter->running, &life->node);
}

void process_reporter_note(struct process_reporter *reporter, struct process *process)
{
	if (!reporter || process_get_owner(process))
		return;
	if (process_was_told(process))
		reporter->counters.late++;
	else
		begin_running(reporter, process, clock_now_ns());
}

/* A process that the table knows has been read; nobody may hold it but us. */
static void look_at(struct process_reporter *reporter, pid_t pid, uint64_t now_ns, unsigned *budget)
{
	struct process_table *processes = reporter->options.processes;
	struct process *process = process_table_find(processes, pid);

	if (process && (process_get_owner(process) ||
			is_kernel_thread(reporter, process_get_identity(process))))
		return;
	--*budget;
	process = process_table_acquire(processes, (struct process_id){.pid = pid}, now_ns);
	if (process && !process_is_gone(process) && !process_was_told(process))
		process_reporter_note(reporter, process);
	process_table_release(processes, process);
}

/* True where the whole of /proc has been looked at. */
static bool walk(struct process_reporter *reporter, uint64_t now_ns)
{
	unsigned budget = NEW_A_TURN;
	const struct dirent *entry;

	for (unsigned looks = 0; budget > 0 && looks < LOOKS_A_TURN; looks++) {
		char *end;
		long pid;

		entry = readdir(reporter->proc);
		if (!entry)
			return true;
		pid = strtol(entry->d_name, &end, 10);
		if (*end == '\0' && pid > 0)
			look_at(reporter, (pid_t)pid, now_ns, &budget);
	}
	return false;
}

static void look_around(struct process_reporter *reporter, uint64_t now_ns)
{
	if (!reporter->proc || (!reporter->is_walking && now_ns < reporter->walk_due_ns))
		return;
	if (!reporter->is_walking) {
		rewinddir(reporter->proc);
		reporter->walk_due_ns = now_ns + WALK_NS;
	}
	reporter->is_walking = !walk(reporter, now_ns);
}

static bool is_complete(const struct process_reporter *reporter, const struct life *life,
			uint64_t now_ns)
{
	return now_ns >= life->due_ns + reporter->options.interval_ns ||
	       (now_ns >= life->due_ns + SETTLE_NS && process_count_references(life->process) <= 1);
}

static void finish(struct process_reporter *reporter, struct life *life)
{
	report_usage(reporter, life, RECORD_EVENT_END, FLOW_END_DETECTED);
	process_mark_told(life->process);
	free_life(reporter, life);
}

/* False where there is more. */
static bool report_ended(struct process_reporter *reporter, uint64_t now_ns)
{
	unsigned budget = RECORDS_A_TURN;

	list_for_each_safe (node, &reporter->ended) {
		struct life *life = container_of(node, struct life, node);

		if (now_ns < life->due_ns + SETTLE_NS)
			return true;
		if (!is_complete(reporter, life, now_ns))
			continue;
		if (budget-- == 0)
			return false;
		finish(reporter, life);
	}
	return true;
}

static bool report_due(struct process_reporter *reporter, uint64_t now_ns)
{
	unsigned budget = RECORDS_A_TURN;
	struct list_node *node;

	while ((node = list_first(&reporter->running))) {
		struct life *life = container_of(node, struct life, node);

		if (life->due_ns > now_ns)
			return true;
		if (budget-- == 0)
			return false;
		life->due_ns = now_ns + reporter->options.interval_ns;
		list_move_tail(&reporter->running, &life->node);
		report_interim(reporter, life, FLOW_END_ACTIVE, now_ns);
	}
	return true;
}

uint64_t process_reporter_run(struct process_reporter *reporter, uint64_t now_ns)
{
	bool is_done = true;

	if (reporter->options.all)
		is_done = process_table_tell_ends(reporter->options.processes, now_ns,
						  RECORDS_A_TURN);
	look_around(reporter, now_ns);
	is_done &= report_ended(reporter, now_ns);
	is_done &= report_due(reporter, now_ns);
	is_done &= !reporter->is_walking;
	return now_ns + (is_done ? TURN_NS : PAUSE_NS);
}

static void on_turn(void *userdata, uint64_t now_ns)
{
	struct process_reporter *reporter = userdata;

	loop_source_set_time(reporter->timer, process_reporter_run(reporter, now_ns));
}

void process_reporter_flush(struct process_reporter *reporter)
{
	uint64_t now_ns = clock_now_ns();
	struct list_node *node;

	if (!reporter)
		return;
	process_table_read_exits(reporter->options.processes);
	process_table_tell_ends(reporter->options.processes, UINT64_MAX, UINT32_MAX);
	while ((node = list_first(&reporter->running))) {
		struct life *life = container_of(node, struct life, node);

		report_interim(reporter, life, FLOW_END_FORCED, now_ns);
		if (!life->has_ended)
			free_life(reporter, life);
	}
	while ((node = list_first(&reporter->ended)))
		finish(reporter, container_of(node, struct life, node));
}

/* Kernel threads are the children of kthreadd, where this is the host's /proc. */
static bool find_kthreadd(struct process_table *processes, uint64_t now_ns)
{
	struct process *process =
		process_table_acquire(processes, (struct process_id){.pid = KTHREADD}, now_ns);
	bool found = process && strcmp(process_get_identity(process)->name, "kthreadd") == 0;

	process_table_release(processes, process);
	return found;
}

int process_reporter_new(const struct process_reporter_options *options,
			 struct process_reporter **ret)
{
	cleanup(process_reporter_free_cleanup) struct process_reporter *reporter =
		calloc(1, sizeof(*reporter));
	uint64_t now_ns = clock_now_ns();
	int r;

	if (!reporter)
		return -ENOMEM;
	reporter->options = *options;
	if (!options->most)
		reporter->options.most = MAX_LIVES;
	list_init(&reporter->running);
	list_init(&reporter->ended);
	reporter->since_ns = now_ns;
	reporter->has_kthreadd = find_kthreadd(options->processes, now_ns);
	if (options->all) {
		reporter->proc = process_table_open_proc(options->processes);
		if (!reporter->proc)
			return -errno;
	}
	r = loop_add_timer(options->loop, now_ns, on_turn, reporter, &reporter->timer);
	if (r < 0)
		return r;
	process_table_set_on_gone(options->processes, on_gone, reporter);
	*ret = steal_pointer(&reporter);
	return 0;
}

void process_reporter_free(struct process_reporter *reporter)
{
	struct list_node *node;

	if (!reporter)
		return;
	process_table_set_on_gone(reporter->options.processes, NULL, NULL);
	while ((node = list_first(&reporter->running)) || (node = list_first(&reporter->ended)))
		free_life(reporter, container_of(node, struct life, node));
	loop_source_free(reporter->timer);
	if (reporter->proc)
		closedir(reporter->proc);
	free(reporter);
}

const struct process_reporter_counters *
process_reporter_get_counters(const struct process_reporter *reporter)
{
	return &reporter->counters;
}
