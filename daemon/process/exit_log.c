/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/exit_log.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "base/slab.h"

struct logged {
	struct list_node age;
	struct list_node due; /* ended, and not told of yet */
	struct exit_entry entry;
};

struct exit_log {
	size_t most;
	uint64_t keep_ns, seed;
	struct hash_map map;
	struct slab slab;
	struct list_node ages; /* oldest first */
	struct list_node due;  /* likewise */
	exit_log_on_due on_due;
	void *userdata;
};

static bool match_group(const void *value, const void *key)
{
	return ((const struct logged *)value)->entry.group == *(const pid_t *)key;
}

static uint64_t hash_group(const struct exit_log *log, pid_t group)
{
	return hash_u64(log->seed, (uint64_t)group);
}

int exit_log_new(size_t most, uint64_t keep_ns, struct exit_log **ret)
{
	struct exit_log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->most = most;
	log->keep_ns = keep_ns;
	log->seed = hash_seed_new();
	hash_map_init(&log->map);
	slab_init(&log->slab, sizeof(struct logged));
	list_init(&log->ages);
	list_init(&log->due);
	*ret = log;
	return 0;
}

void exit_log_free(struct exit_log *log)
{
	if (!log)
		return;
	hash_map_fini(&log->map);
	slab_fini(&log->slab);
	free(log);
}

void exit_log_set_handler(struct exit_log *log, exit_log_on_due on_due, void *userdata)
{
	log->on_due = on_due;
	log->userdata = userdata;
}

static bool is_due(const struct logged *logged)
{
	return !list_is_empty(&logged->due);
}

static void tell(struct exit_log *log, struct logged *logged)
{
	if (!is_due(logged))
		return;
	list_remove(&logged->due);
	if (log->on_due)
		log->on_due(log->userdata, &logged->entry);
}

bool exit_log_tell(struct exit_log *log, uint64_t until_ns, unsigned most)
{
	struct list_node *node;

	while ((node = list_first(&log->due))) {
		struct logged *logged = container_of(node, struct logged, due);

		if (logged->entry.seen_ns > until_ns)
			return true;
		if (most-- == 0)
			return false;
		tell(log, logged);
	}
	return true;
}

bool exit_log_claim(struct exit_log *log, pid_t group)
{
	struct logged *logged =
		hash_map_find(&log->map, hash_group(log, group), match_group, &group);

	if (!logged || !is_due(logged))
		return false;
	list_remove(&logged->due);
	return true;
}

static void drop(struct exit_log *log, struct logged *logged)
{
	pid_t group = logged->entry.group;

	tell(log, logged);
	hash_map_remove(&log->map, hash_group(log, group), match_group, &group);
	list_remove(&logged->age);
	slab_give(&log->slab, logged);
}

static void expire(struct exit_log *log, uint64_t now_ns)
{
	struct list_node *node;

	while ((node = list_first(&log->ages))) {
		struct logged *logged = container_of(node, struct logged, age);

		if (log->map.used < log->most && now_ns < logged->entry.seen_ns + log->keep_ns)
			return;
		drop(log, logged);
	}
}

static struct logged *add_entry(struct exit_log *log, pid_t group)
{
	struct logged *logged = slab_take(&log->slab);

	if (!logged)
		return NULL;
	*logged = (struct logged){.entry = {.group = group}};
	list_init(&logged->age);
	list_init(&logged->due);
	if (hash_map_add(&log->map, hash_group(log, group), logged) < 0) {
		slab_give(&log->slab, logged);
		return NULL;
	}
	return logged;
}

void exit_log_add(struct exit_log *log, const struct taskstats_message *message, uint64_t after_ns,
		  uint64_t now_ns)
{
	const struct task_figures *task = &message->task_figures;
	pid_t group = message->has_group ? message->group : message->pid;
	struct logged *logged;
	struct exit_entry *entry;

	/* Another thread's own end tells nothing about its group. */
	if (!message->has_group && task->group && task->group != message->pid)
		return;
	expire(log, now_ns);
	logged = hash_map_find(&log->map, hash_group(log, group), match_group, &group);
	if (!logged) {
		logged = add_entry(log, group);
		if (!logged)
			return;
	}
	entry = &logged->entry;
	/* The pid was given out again; or else the end of a leader was taken for that of its process. */
	if (entry->has_ended && !(entry->may_be_thread && message->pid != group)) {
		tell(log, logged);
		*entry = (struct exit_entry){.group = group};
	}
	if (message->pid == group) {
		entry->leader = *task;
		entry->has_leader = true;
	}
	entry->is_sum = message->has_group;
	entry->is_whole = message->is_whole;
	entry->sums_since_ns = message->sums_since_ns;
	entry->may_be_thread = !message->has_group && !task->group;
	entry->has_ended = message->has_group || task->group_ended || task->group == 0;
	entry->total = message->has_group ? message->group_figures : *task;
	entry->last = *task;
	if (task->peak_memory_bytes > entry->peak_memory_bytes)
		entry->peak_memory_bytes = task->peak_memory_bytes;
	entry->after_ns = after_ns;
	entry->seen_ns = now_ns;
	list_move_tail(&log->ages, &logged->age);
	if (entry->has_ended && log->on_due)
		list_move_tail(&log->due, &logged->due);
}

const struct exit_entry *exit_log_find(const struct exit_log *log, pid_t group, uint64_t now_ns)
{
	const struct logged *logged =
		hash_map_find(&log->map, hash_group(log, group), match_group, &group);

	if (!logged || !logged->entry.has_ended || !logged->entry.has_leader ||
	    now_ns > logged->entry.seen_ns + log->keep_ns)
		return NULL;
	return &logged->entry;
}

size_t exit_log_count(const struct exit_log *log)
{
	return log->map.used;
}
