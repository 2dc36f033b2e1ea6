/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The processes below /proc, as far as finding the holder of a socket needs them: who is new, who
 * is whose parent, whose directory is whose. Kept up to date for next to nothing while no process
 * starts: the last number of /proc/loadavg is the newest pid. Or somebody tells who starts and exits
 * (process_list_set_teller()): then nobody has to be looked for. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "flow/flow_event.h"
#include "flow/ownership.h"

struct process_list;

struct listed_process {
	struct process_id id;
	uint64_t began_ns; /* monotonic: not later than that, as it was told; 0: it was not */
	pid_t parent; /* as it was when first seen: a parent that died stays the link to siblings */
	uid_t uid;    /* owner of /proc/PID: the effective uid, or root for undumpable ones */
	bool may_have_threads; /* now, or it had some */
	uint64_t born; /* generation of the list with this process: later ones have larger values */
	/* The caller's own: when its descriptors were last read (round, and generation before
	 * that), where a wanted socket was last found and the lowest number that was free, -1:
	 * unknown. */
	uint64_t scan_round, scan_generation;
	int last_fd, free_fd;
	struct list_node node;	  /* in "unscanned" or "scanned" */
	struct list_node by_age;  /* in "born" */
	struct list_node recent;  /* of the caller, removed from its list with the process */
	struct list_node holders; /* of the caller, who must empty it in on_gone */
	struct list_node kept;	  /* internal: open directories, least recently used first */
	int directory_fd;	  /* internal */
	uint64_t seen;		  /* internal */
};

/* The process is about to be forgotten. */
typedef void (*process_list_on_gone)(struct listed_process *process, void *userdata);

/* "proc_fd" is borrowed. 0, or a negative errno. The list is empty until the first refresh. */
int process_list_new(int proc_fd, process_list_on_gone on_gone, void *userdata,
		     struct process_list **ret);
void process_list_free(struct process_list *list);

/* From now on "tell" tells, by process_list_add_event(), of all processes that started, executed or
 * exited before it was called; and by process_list_add_lost() that some of that is missing, which a
 * reading of /proc then makes good. */
typedef void (*process_list_tell)(void *userdata);
void process_list_set_teller(struct process_list *list, process_list_tell tell, void *userdata);
void process_list_add_event(struct process_list *list, const struct process_event *event);
void process_list_add_lost(struct process_list *list);
/* Lets the teller tell, where there is one. */
void process_list_hear(struct process_list *list);
/* Told of, and not taken in yet: struct newborn, the last one first. */
struct list_node *process_list_get_newborns(struct process_list *list);
/* Takes a newborn in. Borrowed, or NULL where it is gone. */
struct listed_process *process_list_take_newborn(struct process_list *list, pid_t pid);

/* Takes in what started since the last call. Where that needs a reading of all of /proc, this is
 * done so rarely that it takes one part in twenty of the time. Adds the cost in microseconds
 * (roughly) to *cost. Returns whether all is known that had started before the call. */
bool process_list_refresh(struct process_list *list, uint64_t now_ns, uint64_t *cost);

/* Grows with every process that is taken in. */
uint64_t process_list_get_generation(const struct process_list *list);
size_t process_list_count(const struct process_list *list);

struct listed_process *process_list_find(const struct process_list *list, pid_t pid);

/* Never scanned, newest first; and scanned, the last scanned first (process_list_mark_scanned()).
 */
struct list_node *process_list_get_unscanned(struct process_list *list);
struct list_node *process_list_get_scanned(struct process_list *list);
void process_list_mark_scanned(struct process_list *list, struct listed_process *process,
			       uint64_t round);
/* All, the last taken in first. */
struct list_node *process_list_get_born(struct process_list *list);

/* Descriptor of the process's own directory, borrowed until the next call of this function. What is
 * opened below it is this process's or fails, also when its pid was given to another. Negative
 * errno: -ESRCH, and then the process is gone and forgotten ("process" is no more). */
int process_list_enter(struct process_list *list, struct listed_process *process);
/* Forgets a process that turned out to be gone, and takes in whoever has its number now. */
void process_list_replace(struct process_list *list, struct listed_process *process);
