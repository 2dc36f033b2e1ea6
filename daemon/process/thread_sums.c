/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/thread_sums.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "base/macros.h"
#include "base/slab.h"

struct sum {
	struct list_node age;
	pid_t group;
	unsigned threads;
	struct task_figures figures;
};

struct thread_sums {
	size_t most;
	uint64_t since_ns, seed;
	enum thread_switches switches;
	struct hash_map map;
	struct slab slab;
	struct list_node ages; /* the longest without a record first */
};

int thread_sums_new(size_t most, uint64_t now_ns, struct thread_sums **ret)
{
	struct thread_sums *sums = calloc(1, sizeof(*sums));

	if (!sums)
		return -ENOMEM;
	sums->most = most;
	sums->since_ns = now_ns;
	sums->seed = hash_seed_new();
	hash_map_init(&sums->map);
	slab_init(&sums->slab, sizeof(struct sum));
	list_init(&sums->ages);
	*ret = sums;
	return 0;
}

void thread_sums_free(struct thread_sums *sums)
{
	if (!sums)
		return;
	hash_map_fini(&sums->map);
	slab_fini(&sums->slab);
	free(sums);
}

static bool match_group(const void *value, const void *key)
{
	return ((const struct sum *)value)->group == *(const pid_t *)key;
}

static struct sum *find(const struct thread_sums *sums, pid_t group)
{
	return hash_map_find(&sums->map, hash_u64(sums->seed, (uint64_t)group), match_group,
			     &group);
}

static void drop(struct thread_sums *sums, struct sum *sum)
{
	hash_map_remove(&sums->map, hash_u64(sums->seed, (uint64_t)sum->group), match_group,
			&sum->group);
	list_remove(&sum->age);
	slab_give(&sums->slab, sum);
}

static void set_since(struct thread_sums *sums, uint64_t since_ns)
{
	if (since_ns > sums->since_ns)
		sums->since_ns = since_ns;
}

void thread_sums_lose(struct thread_sums *sums, uint64_t now_ns)
{
	struct list_node *node;

	while ((node = list_first(&sums->ages)))
		drop(sums, container_of(node, struct sum, age));
	set_since(sums, now_ns);
}

/* NULL without memory. */
static struct sum *begin(struct thread_sums *sums, pid_t group, uint64_t now_ns)
{
	struct sum *sum;

	if (sums->map.used >= sums->most) {
		drop(sums, container_of(list_first(&sums->ages), struct sum, age));
		set_since(sums, now_ns);
	}
	sum = slab_take(&sums->slab);
	if (!sum)
		return NULL;
	*sum = (struct sum){.group = group};
	list_init(&sum->age);
	if (hash_map_add(&sums->map, hash_u64(sums->seed, (uint64_t)group), sum) < 0) {
		slab_give(&sums->slab, sum);
		return NULL;
	}
	return sum;
}

static void add_figures(struct task_figures *sum, const struct task_figures *task)
{
	sum->cpu_ns += taskstats_find_exit_cpu(task);
	sum->run_count += task->run_count;
	sum->user_us += task->user_us;
	sum->system_us += task->system_us;
	sum->minor_faults += task->minor_faults;
	sum->major_faults += task->major_faults;
	sum->read_bytes += task->read_bytes;
	sum->written_bytes += task->written_bytes;
	sum->voluntary_switches += task->voluntary_switches;
	sum->involuntary_switches += task->involuntary_switches;
}

/* The kernel adds a thread to its sum a moment before it writes the thread's record: none is missing only
 * where the records ran as often. */
static bool is_whole(const struct thread_sums *sums, const struct taskstats_message *message,
		     const struct task_figures *sum, uint64_t now_ns)
{
	uint64_t lived_ns = (message->task_figures.group_elapsed_us + 1) * 1000;

	return now_ns >= lived_ns && now_ns - lived_ns >= sums->since_ns && sum->run_count > 0 &&
	       sum->run_count >= message->group_figures.run_count;
}

static void finish(struct thread_sums *sums, struct taskstats_message *message,
		   const struct task_figures *sum, uint64_t now_ns)
{
	struct task_figures *group = &message->group_figures;

	message->is_whole = is_whole(sums, message, sum, now_ns);
	group->user_us = sum->user_us;
	group->system_us = sum->system_us;
	group->minor_faults = sum->minor_faults;
	group->major_faults = sum->major_faults;
	group->read_bytes = sum->read_bytes;
	group->written_bytes = sum->written_bytes;
	if (sums->switches != THREAD_SWITCHES_KEPT) {
		group->voluntary_switches = sum->voluntary_switches;
		group->involuntary_switches = sum->involuntary_switches;
	}
	if (message->is_whole && sum->cpu_ns > group->cpu_ns)
		group->cpu_ns = sum->cpu_ns;
}

/* The last thread of a group hardly ever ends without a single switch; if it does, nothing is learnt. */
static void learn_switches(struct thread_sums *sums, const struct taskstats_message *message)
{
	const struct task_figures *group = &message->group_figures, *last = &message->task_figures;

	if (group->voluntary_switches + group->involuntary_switches > 0)
		sums->switches = THREAD_SWITCHES_KEPT;
	else if (last->voluntary_switches + last->involuntary_switches > 0)
		sums->switches = THREAD_SWITCHES_LOST;
}

void thread_sums_add(struct thread_sums *sums, struct taskstats_message *message, uint64_t now_ns)
{
	const struct task_figures *task = &message->task_figures;
	struct sum *sum;

	if (!task->group)
		set_since(sums, UINT64_MAX);
	if (message->has_group) {
		learn_switches(sums, message);
		message->sums_since_ns =
			sums->switches == THREAD_SWITCHES_KEPT ? 0 : sums->since_ns;
	}
	if (!task->group || (task->group_ended && !message->has_group))
		return;
	sum = find(sums, task->group);
	if (!sum)
		sum = begin(sums, task->group, now_ns);
	if (!sum) {
		thread_sums_lose(sums, now_ns);
		return;
	}
	add_figures(&sum->figures, task);
	sum->threads++;
	list_move_tail(&sums->ages, &sum->age);
	if (!message->has_group)
		return;
	finish(sums, message, &sum->figures, now_ns);
	drop(sums, sum);
}

unsigned thread_sums_find(const struct thread_sums *sums, pid_t group, struct task_figures *ret)
{
	const struct sum *sum = find(sums, group);

	*ret = sum ? sum->figures : (struct task_figures){0};
	return sum ? sum->threads : 0;
}

enum thread_switches thread_sums_get_switches(const struct thread_sums *sums)
{
	return sums->switches;
}

uint64_t thread_sums_get_since(const struct thread_sums *sums)
{
	return sums->since_ns;
}
