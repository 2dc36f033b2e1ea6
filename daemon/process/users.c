/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/users.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { MAX_USERS = 100000 };

struct user {
	uid_t uid;
	size_t order; /* in the file: of two lines with one uid the first counts */
	char *name;
};

struct users {
	char *path;
	uint64_t checked_ns;
	bool was_checked;
	struct stat seen; /* of the file as it was read last */
	struct user *items;
	size_t count, capacity;
};

DEFINE_CLEANUP(struct users *, users_free);

int users_new(const char *path, struct users **ret)
{
	cleanup(users_free_cleanup) struct users *users = calloc(1, sizeof(*users));

	if (!users)
		return -ENOMEM;
	users->path = strdup(path);
	if (!users->path)
		return -ENOMEM;
	*ret = steal_pointer(&users);
	return 0;
}

static void clear(struct users *users)
{
	for (size_t i = 0; i < users->count; i++)
		free(users->items[i].name);
	users->count = 0;
}

void users_free(struct users *users)
{
	if (!users)
		return;
	clear(users);
	free(users->items);
	free(users->path);
	free(users);
}

static bool add(struct users *users, uid_t uid, const char *name)
{
	char *copy;

	if (users->count == users->capacity) {
		size_t capacity = users->capacity ? users->capacity * 2 : 64;
		struct user *items = realloc(users->items, capacity * sizeof(*items));

		if (!items)
			return false;
		users->items = items;
		users->capacity = capacity;
	}
	copy = strdup(name);
	if (!copy)
		return false;
	users->items[users->count] = (struct user){.uid = uid, .order = users->count, .name = copy};
	users->count++;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct user *one = a, *other = b;

	if (one->uid != other->uid)
		return one->uid < other->uid ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}

static void load(struct users *users)
{
	cleanup_file FILE *file = fopen(users->path, "re");
	const struct passwd *entry;

	clear(users);
	if (!file)
		return;
	/* fgetpwent() keeps its answer in memory of its own: there is one thread. */
	while (users->count < MAX_USERS && (entry = fgetpwent(file)))
		if (!add(users, entry->pw_uid, entry->pw_name))
			break;
	if (users->count)
		qsort(users->items, users->count, sizeof(*users->items), compare);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void refresh(struct users *users, uint64_t now_ns)
{
	struct stat now = {0};

	if (users->was_checked && now_ns - users->checked_ns < NS_PER_SEC)
		return;
	/* A file that is gone compares as all zeroes, and is tried again. */
	if (stat(users->path, &now) < 0)
		now = (struct stat){0};
	if (!users->was_checked || !is_same_file(&now, &users->seen))
		load(users);
	users->seen = now;
	users->checked_ns = now_ns;
	users->was_checked = true;
}

void users_find_name(struct users *users, uid_t uid, uint64_t now_ns, char ret[USER_NAME_SIZE])
{
	size_t low = 0, high;

	refresh(users, now_ns);
	high = users->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (users->items[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < users->count && users->items[low].uid == uid)
		snprintf(ret, USER_NAME_SIZE, "%s", users->items[low].name);
	else
		snprintf(ret, USER_NAME_SIZE, "%u", uid);
}
