/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/newborns.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/hash_map.h"
#include "base/macros.h"

struct newborns {
	struct hash_map by_pid;
	uint64_t seed;
	size_t most;
	struct list_node all;
};

int newborns_new(size_t most, struct newborns **ret)
{
	struct newborns *newborns = calloc(1, sizeof(*newborns));

	if (!newborns)
		return -ENOMEM;
	newborns->seed = hash_seed_new();
	newborns->most = most;
	list_init(&newborns->all);
	*ret = newborns;
	return 0;
}

void newborns_free(struct newborns *newborns)
{
	if (!newborns)
		return;
	newborns_clear(newborns);
	hash_map_fini(&newborns->by_pid);
	free(newborns);
}

static bool is_pid(const void *value, const void *key)
{
	return ((const struct newborn *)value)->pid == *(const pid_t *)key;
}

static uint64_t hash_pid(const struct newborns *newborns, pid_t pid)
{
	return hash_u64(newborns->seed, (uint64_t)pid);
}

struct newborn *newborns_find(const struct newborns *newborns, pid_t pid)
{
	return hash_map_find(&newborns->by_pid, hash_pid(newborns, pid), is_pid, &pid);
}

void newborns_remove(struct newborns *newborns, struct newborn *newborn)
{
	pid_t pid = newborn->pid;

	hash_map_remove(&newborns->by_pid, hash_pid(newborns, pid), is_pid, &pid);
	list_remove(&newborn->node);
	free(newborn);
}

void newborns_clear(struct newborns *newborns)
{
	list_for_each_safe (node, &newborns->all)
		newborns_remove(newborns, container_of(node, struct newborn, node));
}

static struct newborn *last_of(struct newborns *newborns)
{
	return container_of(newborns->all.previous, struct newborn, node);
}

int newborns_add(struct newborns *newborns, const struct newborn *newborn)
{
	struct newborn *known = newborns_find(newborns, newborn->pid);
	struct newborn *added = calloc(1, sizeof(*added));
	bool is_full;
	int r;

	if (!added)
		return -ENOMEM;
	*added = *newborn;
	if (known)
		newborns_remove(newborns, known);
	is_full = newborns->by_pid.used >= newborns->most;
	if (is_full)
		newborns_remove(newborns, last_of(newborns));
	r = hash_map_add(&newborns->by_pid, hash_pid(newborns, added->pid), added);
	if (r < 0) {
		free(added);
		return r;
	}
	list_add_tail(newborns->all.next, &added->node);
	return is_full ? NEWBORNS_DROPPED : NEWBORNS_ADDED;
}

struct list_node *newborns_get_all(struct newborns *newborns)
{
	return &newborns->all;
}
