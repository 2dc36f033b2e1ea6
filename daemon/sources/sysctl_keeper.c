/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/sysctl_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sources/state_directory.h"

#define LOG_MODULE "prerequisites"
#include "runtime/log.h"

/* The sysctls of one state file. */
struct scope {
	bool of_namespace;
	char name[SYSCTL_MEMORY_NAME_SIZE];
	struct sysctl_changes changes; /* what is to be put back */
};

enum { SCOPES = 2 };

struct sysctl_keeper {
	int root_fd;
	struct sysctl_place place;
	char *directory_path;
	struct state_directory directory;
	int directory_error; /* 0, or why the directory is not open */
	struct scope scopes[SCOPES];
};

DEFINE_CLEANUP(struct sysctl_keeper *, sysctl_keeper_free);

static const char unreadable_suffix[] = ".unreadable";

/* The administrator decides what to do with it; it may hold the only trace of an old value. */
static void set_aside(const struct sysctl_keeper *keeper, const char *name)
{
	char aside[300];
	int r;

	snprintf(aside, sizeof(aside), "%s%s", name, unreadable_suffix);
	r = state_directory_rename(&keeper->directory, name, aside);
	if (r < 0)
		log_warning("%s/%s is not a whole state file and cannot be set aside: %s",
			    keeper->directory_path, name, strerror(-r));
	else
		log_warning("%s/%s is not a whole state file: nothing is put back by it; kept as "
			    "%s",
			    keeper->directory_path, name, aside);
}

static int read_memory(const struct sysctl_keeper *keeper, const char *name,
		       struct sysctl_memory *ret_memory)
{
	struct buffer content;
	int r;

	buffer_init(&content);
	r = state_directory_read(&keeper->directory, name, &content);
	if (r == 0)
		r = sysctl_memory_parse((struct text){(const char *)content.bytes, content.length},
					ret_memory);
	buffer_fini(&content);
	return r;
}

static struct scope *find_scope(struct sysctl_keeper *keeper, const char *name)
{
	for (size_t i = 0; i < SCOPES; i++)
		if (strcmp(keeper->scopes[i].name, name) == 0)
			return &keeper->scopes[i];
	return NULL;
}

static void on_state_file(void *userdata, const char *name)
{
	struct sysctl_keeper *keeper = userdata;
	struct scope *scope = find_scope(keeper, name);
	struct sysctl_memory memory;
	bool is_over = true;
	int r;

	if (strstr(name, unreadable_suffix))
		return;
	r = read_memory(keeper, name, &memory);
	if (r == -EBADMSG || r == -EFBIG) {
		set_aside(keeper, name);
		return;
	}
	if (r < 0) {
		log_warning("%s/%s cannot be read: %s; nothing is put back by it",
			    keeper->directory_path, name, strerror(-r));
		return;
	}
	for (size_t i = 0; i < memory.changes.count; i++) {
		struct sysctl_change change = memory.changes.items[i];
		enum sysctl_relation relation =
			sysctl_memory_relate(&memory.place, &keeper->place, change.key);

		is_over &= relation == SYSCTL_RELATION_NOWHERE;
		if (scope && relation == SYSCTL_RELATION_HERE &&
		    sysctl_rows[change.key].of_namespace == scope->of_namespace)
			scope->changes.items[scope->changes.count++] = change;
	}
	if (is_over)
		state_directory_remove(&keeper->directory, name);
}

int sysctl_keeper_new(int root_fd, const struct sysctl_place *place, const char *state_directory,
		      struct sysctl_keeper **ret)
{
	cleanup(sysctl_keeper_free_cleanup) struct sysctl_keeper *keeper =
		calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->directory.fd = -1;
	keeper->root_fd = root_fd;
	keeper->place = *place;
	keeper->scopes[0].of_namespace = true;
	for (size_t i = 0; i < SCOPES; i++)
		sysctl_memory_format_name(keeper->scopes[i].of_namespace, place,
					  keeper->scopes[i].name);
	keeper->directory_path = strdup(state_directory);
	if (!keeper->directory_path)
		return -ENOMEM;
	r = state_directory_open(state_directory, &keeper->directory);
	if (r == -EBUSY || r == -ENOMEM)
		return r;
	if (r == 0)
		r = state_directory_list(&keeper->directory, SYSCTL_MEMORY_PREFIX, on_state_file,
					 keeper);
	keeper->directory_error = r;
	*ret = steal_pointer(&keeper);
	return 0;
}

static void drop_change(struct sysctl_changes *changes, size_t index)
{
	changes->count--;
	memmove(&changes->items[index], &changes->items[index + 1],
		(changes->count - index) * sizeof(changes->items[0]));
}

/* Puts one value back and tells; true where nothing is left to do about it. */
static bool put_back(const struct sysctl_keeper *keeper, const struct sysctl_change *change)
{
	const char *name = sysctl_rows[change->key].dotted;
	int r = sysctl_put_back(keeper->root_fd, change);

	if (r == SYSCTL_PUT_BACK)
		log_notice("%s put back to %u", name, change->old_value);
	else if (r == SYSCTL_FOREIGN)
		log_notice("%s is left alone: somebody else changed it since it was set to %u",
			   name, change->new_value);
	else if (r == -EACCES || r == -EPERM) /* whoever switched it on had more rights */
		log_notice("%s stays on: to put it back to %u takes more rights (procflowd "
			   "--restore, run by root)",
			   name, change->old_value);
	else if (r < 0)
		log_error("%s cannot be put back: %s; by hand: sysctl -w %s=%u", name, strerror(-r),
			  name, change->old_value);
	return r >= 0;
}

/* A leftover that is wanted again and still stands as it was left stays on; others are put back. */
static void settle_leftovers(struct sysctl_keeper *keeper, struct scope *scope,
			     const bool wanted[SYSCTL_KEYS])
{
	for (size_t i = scope->changes.count; i-- > 0;) {
		struct sysctl_change *change = &scope->changes.items[i];
		unsigned value;

		if (wanted[change->key] && change->new_value != 0 &&
		    sysctl_read(keeper->root_fd, change->key, &value) == 0 &&
		    value == change->new_value) {
			log_notice("%s was switched on by an earlier procflowd: it stays on, and "
				   "its old value %u is put back at exit",
				   sysctl_rows[change->key].dotted, change->old_value);
			if (change->since_ns == 0 && !scope->of_namespace)
				change->since_ns = clock_now_ns(); /* at the latest */
			continue;
		}
		if (put_back(keeper, change))
			drop_change(&scope->changes, i);
	}
}

static int remember(const struct sysctl_keeper *keeper, const struct scope *scope,
		    const struct sysctl_changes *changes)
{
	struct sysctl_memory memory = {.place = keeper->place, .changes = *changes};
	struct buffer content;
	int r;

	if (keeper->directory_error < 0)
		return keeper->directory_error;
	if (changes->count == 0)
		return state_directory_remove(&keeper->directory, scope->name);
	buffer_init(&content);
	sysctl_memory_encode(&memory, &content);
	r = state_directory_write(&keeper->directory, scope->name, &content);
	buffer_fini(&content);
	return r;
}

static void tell_lack(enum sysctl_key key, int error)
{
	const struct sysctl_row *row = &sysctl_rows[key];

	if (error == -ENOENT && row->of_namespace)
		log_warning("%s: the kernel has no %s; by hand: modprobe nf_conntrack", row->lack,
			    row->dotted);
	else if (error == -ENOENT)
		log_notice("the kernel has no %s (it came with Linux 5.14): I/O wait is told of "
			   "processes that the kernel counts it for by itself",
			   row->dotted);
	else
		log_warning("%s: %s cannot be switched on: %s; by hand: sysctl -w %s=1", row->lack,
			    row->dotted, strerror(-error), row->dotted);
}

/* What of the scope is wanted and off. */
static struct sysctl_changes find_wanted(const struct sysctl_keeper *keeper, bool of_namespace,
					 const bool wanted[SYSCTL_KEYS])
{
	struct sysctl_changes found = {0};

	for (unsigned key = 0; key < SYSCTL_KEYS; key++) {
		unsigned value;
		int r;

		if (!wanted[key] || sysctl_rows[key].of_namespace != of_namespace)
			continue;
		r = sysctl_read(keeper->root_fd, key, &value);
		if (r < 0)
			tell_lack(key, r);
		else if (value == 0)
			found.items[found.count++] =
				(struct sysctl_change){.key = key, .new_value = 1};
	}
	return found;
}

static void tell_not_remembered(const struct sysctl_keeper *keeper,
				const struct sysctl_changes *changes, int error)
{
	struct buffer text;

	buffer_init(&text);
	for (size_t i = 0; i < changes->count; i++)
		buffer_add_format(&text, "%s; ", sysctl_rows[changes->items[i].key].lack);
	buffer_add_format(&text,
			  "nothing is switched on, because %s cannot keep the old values that are "
			  "to be put back: %s; by hand: sysctl -w",
			  keeper->directory_path, strerror(-error));
	for (size_t i = 0; i < changes->count; i++)
		buffer_add_format(&text, " %s=1", sysctl_rows[changes->items[i].key].dotted);
	log_warning("%.*s", (int)text.length, (const char *)text.bytes);
	buffer_fini(&text);
}

static void switch_scope_on(struct sysctl_keeper *keeper, struct scope *scope,
			    const bool wanted[SYSCTL_KEYS])
{
	struct sysctl_changes found = find_wanted(keeper, scope->of_namespace, wanted);
	struct sysctl_changes planned = scope->changes;
	int r;

	for (size_t i = 0; i < found.count; i++)
		planned.items[planned.count++] = found.items[i];
	r = remember(keeper, scope, &planned);
	if (r < 0 && found.count > 0) {
		tell_not_remembered(keeper, &found, r);
		return;
	}
	for (size_t i = 0; i < found.count; i++) {
		const struct sysctl_row *row = &sysctl_rows[found.items[i].key];

		r = sysctl_write(keeper->root_fd, found.items[i].key, found.items[i].new_value);
		if (r < 0) {
			tell_lack(found.items[i].key, r);
			continue;
		}
		log_notice("%s switched on (it was 0); put back at exit", row->dotted);
		/* Behind the change: what began since then counts for certain. */
		found.items[i].since_ns = row->of_namespace ? 0 : clock_now_ns();
		scope->changes.items[scope->changes.count++] = found.items[i];
	}
	if (scope->changes.count == 0 || (found.count > 0 && !scope->of_namespace))
		remember(keeper, scope, &scope->changes);
}

void sysctl_keeper_switch_on(struct sysctl_keeper *keeper, const bool wanted[SYSCTL_KEYS])
{
	for (size_t i = 0; i < SCOPES; i++) {
		settle_leftovers(keeper, &keeper->scopes[i], wanted);
		switch_scope_on(keeper, &keeper->scopes[i], wanted);
	}
}

uint64_t sysctl_keeper_get_since(const struct sysctl_keeper *keeper, enum sysctl_key key)
{
	for (size_t i = 0; i < SCOPES; i++)
		for (size_t at = 0; at < keeper->scopes[i].changes.count; at++)
			if (keeper->scopes[i].changes.items[at].key == key)
				return keeper->scopes[i].changes.items[at].since_ns;
	return 0;
}

void sysctl_keeper_leave(struct sysctl_keeper *keeper)
{
	if (!keeper)
		return;
	state_directory_close(&keeper->directory);
	free(keeper->directory_path);
	free(keeper);
}

void sysctl_keeper_free(struct sysctl_keeper *keeper)
{
	if (!keeper)
		return;
	for (size_t i = 0; i < SCOPES; i++) {
		struct scope *scope = &keeper->scopes[i];
		bool had_changes = scope->changes.count > 0;

		for (size_t at = scope->changes.count; at-- > 0;)
			if (put_back(keeper, &scope->changes.items[at]))
				drop_change(&scope->changes, at);
		if (had_changes)
			remember(keeper, scope, &scope->changes);
	}
	sysctl_keeper_leave(keeper);
}
