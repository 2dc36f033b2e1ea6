/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/trace_processes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attribution/lost_spans.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "base/slab.h"

/* A child has its parent's until it executes another: most never do. */
struct path {
	unsigned users;
	char text[];
};

struct life {
	struct list_node age;
	struct life *older; /* an earlier one of the same pid */
	struct trace_process process;
	struct path *path; /* of process.executable */
	uint64_t known_ns; /* its start, or when it was last found in /proc */
	/* Threads, where the start was seen; else how many more were started than ended. */
	int threads;
};

struct trace_processes {
	struct trace_processes_options options;
	struct hash_map newest;		  /* of each pid */
	struct list_node running, exited; /* oldest first */
	struct slab slab;
	struct lost_spans lost;
	struct path *last_path; /* the same program is often executed many times in a row */
	uint64_t seed;
	struct trace_processes_counters counters;
};

DEFINE_CLEANUP(struct trace_processes *, trace_processes_free);

int trace_processes_new(const struct trace_processes_options *options, struct trace_processes **ret)
{
	cleanup(trace_processes_free_cleanup) struct trace_processes *processes =
		calloc(1, sizeof(*processes));

	if (!processes)
		return -ENOMEM;
	processes->options = *options;
	hash_map_init(&processes->newest);
	list_init(&processes->running);
	list_init(&processes->exited);
	slab_init(&processes->slab, sizeof(struct life));
	processes->seed = hash_seed_new();
	*ret = steal_pointer(&processes);
	return 0;
}

static void release_path(struct path *path)
{
	if (path && --path->users == 0)
		free(path);
}

static void drop_path(struct life *life)
{
	release_path(life->path);
	life->path = NULL;
	life->process.executable = NULL;
}

static void share_path(struct life *life, struct path *path)
{
	path->users++;
	life->path = path;
	life->process.executable = path->text;
}

/* The last one where it is the same; "last_path" holds it. NULL without memory. */
static struct path *get_path(struct trace_processes *processes, const char *text)
{
	size_t size = strlen(text) + 1;
	struct path *path = processes->last_path;

	if (path && strcmp(path->text, text) == 0)
		return path;
	path = malloc(sizeof(*path) + size);
	if (!path)
		return NULL;
	path->users = 1;
	memcpy(path->text, text, size);
	release_path(processes->last_path);
	processes->last_path = path;
	return path;
}

void trace_processes_free(struct trace_processes *processes)
{
	if (!processes)
		return;
	list_for_each (node, &processes->running)
		drop_path(container_of(node, struct life, age));
	list_for_each (node, &processes->exited)
		drop_path(container_of(node, struct life, age));
	release_path(processes->last_path);
	hash_map_fini(&processes->newest);
	slab_fini(&processes->slab);
	free(processes);
}

static uint64_t hash_pid(const struct trace_processes *processes, pid_t pid)
{
	return hash_u64(processes->seed, (uint32_t)pid);
}

static bool match_pid(const void *value, const void *key)
{
	const struct life *life = value;

	return life->process.pid == *(const pid_t *)key;
}

static bool match_life(const void *value, const void *life)
{
	return value == life;
}

static struct life *find_newest(const struct trace_processes *processes, pid_t pid)
{
	return hash_map_find(&processes->newest, hash_pid(processes, pid), match_pid, &pid);
}

static void drop(struct trace_processes *processes, struct life *life)
{
	uint64_t hash = hash_pid(processes, life->process.pid);

	if (hash_map_remove(&processes->newest, hash, match_life, life)) {
		/* There is room: one was just taken out. */
		if (life->older)
			hash_map_add(&processes->newest, hash, life->older);
	} else {
		struct life *newer = find_newest(processes, life->process.pid);

		while (newer->older != life)
			newer = newer->older;
		newer->older = life->older;
	}
	list_remove(&life->age);
	drop_path(life);
	slab_give(&processes->slab, life);
	processes->counters.processes--;
}

static void make_room(struct trace_processes *processes)
{
	struct list_node *oldest = list_first(&processes->exited);

	if (processes->counters.processes < processes->options.max_processes)
		return;
	if (!oldest)
		oldest = list_first(&processes->running);
	if (!oldest)
		return;
	drop(processes, container_of(oldest, struct life, age));
	processes->counters.evicted++;
}

static void set_exit(struct trace_processes *processes, struct life *life, uint64_t when_ns)
{
	life->process.exit_ns = when_ns;
	list_move_tail(&processes->exited, &life->age);
}

/* A new newest life of its pid; one that was thought to run has ended unseen. NULL without memory.
 */
static struct life *begin(struct trace_processes *processes, pid_t pid, uint64_t start_ns,
			  uint64_t now_ns)
{
	uint64_t hash = hash_pid(processes, pid);
	struct life *former, *life;

	make_room(processes);
	life = slab_take(&processes->slab);
	if (!life)
		return NULL;
	*life = (struct life){.process = {.pid = pid, .start_ns = start_ns, .exit_ns = UINT64_MAX},
			      .known_ns = now_ns,
			      .threads = 1};
	former = hash_map_remove(&processes->newest, hash, match_pid, &pid);
	if (former && former->process.exit_ns == UINT64_MAX)
		set_exit(processes, former, now_ns);
	if (hash_map_add(&processes->newest, hash, life) < 0) {
		slab_give(&processes->slab, life);
		return NULL;
	}
	life->older = former;
	list_add_tail(&processes->running, &life->age);
	processes->counters.processes++;
	return life;
}

/* The life that an event is about. After an end that was seen for certain it is another one, whose
 * start was not. */
static struct life *find_or_begin(struct trace_processes *processes, pid_t pid, uint64_t now_ns)
{
	struct life *life = find_newest(processes, pid);

	if (life && (life->process.exit_ns == UINT64_MAX || life->process.start_ns == 0))
		return life;
	return begin(processes, pid, 0, now_ns);
}

static int on_fork(struct trace_processes *processes, const struct process_event *event)
{
	struct life *life, *parent;

	if (event->pid == event->parent && event->thread != event->pid) {
		life = find_or_begin(processes, event->pid, event->when_ns);
		if (!life)
			return -ENOMEM;
		life->threads++;
		return 0;
	}
	processes->counters.forks++;
	life = begin(processes, event->pid, event->when_ns, event->when_ns);
	if (!life)
		return -ENOMEM;
	life->process.parent = event->parent;
	parent = find_newest(processes, event->parent);
	if (parent && parent != life) {
		parent->process.fork_ns = event->when_ns;
		memcpy(life->process.name, parent->process.name, sizeof(life->process.name));
		if (parent->path)
			share_path(life, parent->path);
	}
	return 0;
}

static int on_exec(struct trace_processes *processes, const struct process_event *event)
{
	struct life *life = find_or_begin(processes, event->pid, event->when_ns);

	if (!life)
		return -ENOMEM;
	processes->counters.execs++;
	memcpy(life->process.name_before_exec, life->process.name, sizeof(life->process.name));
	memcpy(life->process.name, event->name, sizeof(life->process.name));
	life->process.exec_ns = event->when_ns;
	life->threads = 1; /* the others are ended by it, the leader included */
	life->process.exit_ns = UINT64_MAX;
	list_move_tail(&processes->running, &life->age);
	/* Its path follows; without that record the old one would be wrong. */
	drop_path(life);
	return 0;
}

/* The leader may go first; the process ends with its last thread. Where the start was not seen the
 * number of threads is not known, and each later end moves the process' own. */
static int on_exit_of(struct trace_processes *processes, const struct process_event *event)
{
	struct life *life = find_or_begin(processes, event->pid, event->when_ns);
	bool is_leader = event->thread == event->pid;

	if (!life)
		return -ENOMEM;
	life->threads--;
	if (life->process.start_ns ? life->threads > 0
				   : !is_leader && life->process.exit_ns == UINT64_MAX)
		return 0;
	if (life->process.exit_ns == UINT64_MAX)
		processes->counters.exits++;
	set_exit(processes, life, event->when_ns);
	return 0;
}

static int on_name(struct trace_processes *processes, const struct process_event *event)
{
	struct life *life;

	if (event->thread != event->pid)
		return 0;
	life = find_or_begin(processes, event->pid, event->when_ns);
	if (!life)
		return -ENOMEM;
	memcpy(life->process.name, event->name, sizeof(life->process.name));
	return 0;
}

/* A path that starts elsewhere than at the root leads to the file only from where the process stood, and
 * one below /dev/fd or /proc (fexecve(3)) only for as long as it lived. */
static bool is_whole_path(const char *path)
{
	return path[0] == '/' && strncmp(path, "/dev/fd/", 8) != 0 &&
	       strncmp(path, "/proc/", 6) != 0;
}

static int set_executable(struct trace_processes *processes, struct life *life, const char *text)
{
	struct path *path;

	drop_path(life);
	if (!is_whole_path(text))
		return 0;
	path = get_path(processes, text);
	if (!path)
		return -ENOMEM;
	share_path(life, path);
	return 0;
}

static int on_executable(struct trace_processes *processes, const struct process_event *event)
{
	struct life *life = find_newest(processes, event->pid);

	return life && event->executable ? set_executable(processes, life, event->executable) : 0;
}

int trace_processes_add(struct trace_processes *processes, const struct process_event *event)
{
	processes->counters.events++;
	switch (event->type) {
	case PROCESS_EVENT_FORK:
		return on_fork(processes, event);
	case PROCESS_EVENT_EXEC:
		return on_exec(processes, event);
	case PROCESS_EVENT_NAME:
		return on_name(processes, event);
	case PROCESS_EVENT_EXIT:
		return on_exit_of(processes, event);
	case PROCESS_EVENT_EXECUTABLE:
		return on_executable(processes, event);
	}
	return 0;
}

int trace_processes_learn(struct trace_processes *processes, const struct trace_process *found,
			  uint64_t now_ns)
{
	struct life *life = find_newest(processes, found->pid);

	if (!life || life->process.exit_ns != UINT64_MAX)
		life = begin(processes, found->pid, 0, now_ns);
	if (!life)
		return -ENOMEM;
	life->known_ns = now_ns;
	life->process.parent = found->parent;
	memcpy(life->process.name, found->name, sizeof(life->process.name));
	return found->executable ? set_executable(processes, life, found->executable) : 0;
}

void trace_processes_add_lost(struct trace_processes *processes, uint64_t from_ns,
			      uint64_t until_ns)
{
	lost_spans_add(&processes->lost, from_ns, until_ns);
}

static bool began_by(const struct life *life, uint64_t when_ns)
{
	if (life->process.start_ns == 0 && life->older)
		return life->older->process.exit_ns < when_ns;
	return life->process.start_ns <= when_ns;
}

const struct trace_process *trace_processes_find(const struct trace_processes *processes, pid_t pid,
						 uint64_t when_ns)
{
	const struct life *life = find_newest(processes, pid);

	while (life && !began_by(life, when_ns))
		life = life->older;
	if (!life)
		return NULL;
	/* With the end of one and the start of the next lost, two lives look like one. */
	if (life->known_ns < when_ns && lost_spans_touch(&processes->lost, life->known_ns, when_ns))
		return NULL;
	return &life->process;
}

const char *trace_process_get_name(const struct trace_process *process, uint64_t when_ns)
{
	return when_ns < process->exec_ns ? process->name_before_exec : process->name;
}

void trace_processes_expire(struct trace_processes *processes, uint64_t now_ns)
{
	uint64_t keep_ns = processes->options.keep_ns;
	uint64_t before_ns = now_ns > keep_ns ? now_ns - keep_ns : 0;
	struct list_node *oldest;

	while ((oldest = list_first(&processes->exited))) {
		struct life *life = container_of(oldest, struct life, age);

		if (life->process.exit_ns >= before_ns)
			break;
		drop(processes, life);
		processes->counters.expired++;
	}
	lost_spans_expire(&processes->lost, before_ns);
}

const struct trace_processes_counters *
trace_processes_get_counters(const struct trace_processes *processes)
{
	return &processes->counters;
}
