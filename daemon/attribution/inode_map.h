/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* From a socket's inode to the processes that hold it, over /proc/PID/fd. What a directory that was
 * read shows is remembered, and every answer is verified when it is given: the link must still
 * point to the socket, in a directory that belongs to that very process and no later one with its
 * number. Reading is on a budget, so that a flood of flows cannot burn the CPU. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "flow/flow_event.h"
#include "flow/ownership.h"

struct inode_map;

struct inode_map_counters {
	uint64_t hits, stale, processes_scanned, scans_refused;
	uint64_t newborns; /* found in a process that was just told to have started */
};

/* Outcomes of inode_map_find(). */
enum {
	INODE_MAP_FOUND = 0,
	INODE_MAP_NOBODY = 1,  /* no process that we can see holds it */
	INODE_MAP_DENIED = 2,  /* the same, but some would not let us look */
	INODE_MAP_REFUSED = 3, /* the budget is used up: ask again later */
};

struct inode_query {
	uint64_t inode; /* 0 has nobody */
	uid_t uid;	/* of the socket: its processes are looked at first */
	bool has_uid;
	/* Whether the socket is still there; NULL: not to be asked. A search that takes long asks, and
	 * ends where it is not: its process is not to be found any more. */
	bool (*is_there)(void *userdata);
	void *userdata;
};

struct inode_holder {
	struct process_id process; /* the oldest one */
	uint64_t began_ns;	   /* monotonic: it began not later than that; 0: not told */
	bool is_shared;		   /* another process holds it too */
	bool was_searched;	   /* not from the cache */
};

/* "proc_fd" is borrowed. 0, or a negative errno. */
int inode_map_new(int proc_fd, struct inode_map **ret);
void inode_map_free(struct inode_map *map);

/* See process_list_set_teller(): newborn processes are looked at first then. */
void inode_map_set_teller(struct inode_map *map, void (*tell)(void *userdata), void *userdata);
void inode_map_add_process(struct inode_map *map, const struct process_event *event);
void inode_map_add_lost(struct inode_map *map);
void inode_map_hear(struct inode_map *map);

/* One of the outcomes. "Shared" is found out where it may come from (relatives of the process that
 * was found: its parent line, its children, its siblings) and for whatever is known from earlier
 * readings; a socket that was handed over with SCM_RIGHTS to a stranger counts only after the
 * stranger's directory was read. */
int inode_map_find(struct inode_map *map, const struct inode_query *query, uint64_t now_ns,
		   struct inode_holder *ret);

const struct inode_map_counters *inode_map_get_counters(const struct inode_map *map);
