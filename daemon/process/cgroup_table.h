/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The cgroups that processes and sockets are in: each kept once, with what its path tells, as long
 * as somebody refers to it. A socket's cgroup is known by its id in cgroup v2 (INET_DIAG_CGROUP_ID),
 * also where no process was found: the id is the cgroup's file handle on the mounted hierarchy
 * (kernfs_encode_fh() in fs/kernfs/mount.c), which open_by_handle_at(2) turns into a directory as
 * long as the cgroup exists. Ids are never given out twice. */

#include <stdint.h>

#include "base/text.h"

struct cgroup_table;

struct cgroup {
	const char *path;
	const char *unit, *container; /* NULL: in none; see cgroup.h */
};

struct cgroup_table_counters {
	uint64_t cgroups; /* kept now */
	uint64_t ids_resolved, ids_gone;
	uint64_t ids_refused; /* CAP_DAC_READ_SEARCH is missing, or cgroup v2 is not mounted */
};

/* "proc_fd" is borrowed. 0 or -ENOMEM. */
int cgroup_table_new(int proc_fd, struct cgroup_table **ret);
/* Frees all cgroups, also those that are still referred to. Accepts NULL. */
void cgroup_table_free(struct cgroup_table *table);

/* With one reference more; NULL when memory ran out. */
struct cgroup *cgroup_table_take(struct cgroup_table *table, struct text path);
/* The cgroup of the process whose directory is "process_fd"; NULL where it cannot be read. */
struct cgroup *cgroup_table_read(struct cgroup_table *table, int process_fd);
/* The cgroup with this id, NULL where it is gone or not to be looked up, and for the root, which
 * tells nothing: it holds the kernel's own sockets, and all where v2 is not in use. The last 1,024
 * ids stay known when their cgroup is gone. About 10 us for a new id. */
struct cgroup *cgroup_table_find_id(struct cgroup_table *table, uint64_t id);
/* Accepts NULL. */
void cgroup_table_release(struct cgroup_table *table, struct cgroup *cgroup);

const struct cgroup_table_counters *cgroup_table_get_counters(const struct cgroup_table *table);
