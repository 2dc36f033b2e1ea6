/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Processes that were told to have begun, and that nobody has looked at below /proc yet. Bounded:
 * where there are too many, the oldest goes, and that is told. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

struct newborns;

struct newborn {
	pid_t pid;
	uint64_t began_ns; /* monotonic: not later than that; 0: not told */
	uid_t uid;	   /* as of its parent: a guess */
	bool has_uid;	   /* there is a guess */
	bool has_threads;  /* it made some: the end of its leader is not its own */
	struct list_node node;
};

/* 0 or -ENOMEM. */
int newborns_new(size_t most, struct newborns **ret);
void newborns_free(struct newborns *newborns);

/* Outcomes of newborns_add(). */
enum { NEWBORNS_ADDED = 0, NEWBORNS_DROPPED = 1 /* one, to make room */ };

/* Takes a copy; in the place of one that has the pid. One of the outcomes, or -ENOMEM. */
int newborns_add(struct newborns *newborns, const struct newborn *newborn);
/* Borrowed until the next addition or removal, or NULL. */
struct newborn *newborns_find(const struct newborns *newborns, pid_t pid);
void newborns_remove(struct newborns *newborns, struct newborn *newborn);
void newborns_clear(struct newborns *newborns);

/* All, the last one first. */
struct list_node *newborns_get_all(struct newborns *newborns);
