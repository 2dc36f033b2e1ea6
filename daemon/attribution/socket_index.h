/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which process holds which socket under which descriptor, as far as it was seen; bounded. What is
 * found here is a memory, not an answer: inode_map.c verifies it. */

#include <stddef.h>
#include <stdint.h>

#include "attribution/process_list.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "base/slab.h"

/* A log's socket is standard output of hundreds of processes: only the oldest holders are noted. */
enum { SOCKET_INDEX_MOST_ENTRIES = 262144, SOCKET_INDEX_MOST_HOLDERS = 8 };

struct inode_entry {
	uint64_t inode;
	struct list_node holders; /* oldest process first */
	struct list_node used;	  /* all entries, least recently used first */
	bool was_held;		  /* a holder was seen at some time */
	bool has_more;		  /* more were seen than are noted: stays though it is empty */
	unsigned holder_count;
	uint64_t checked; /* processes born up to this generation are known not to share it */
	/* A search came to this outcome; not again before. */
	int nobody_outcome;
	uint64_t nobody_until_ns, nobody_ns;
};

struct socket_holder {
	struct inode_entry *entry;
	struct listed_process *process;
	int fd;
	pid_t thread;	/* the descriptor is in this one's own table; 0: in the leader's */
	uint64_t round; /* of the last time it was seen */
	struct list_node in_entry, in_process;
};

struct socket_index {
	struct hash_map entries;
	uint64_t seed;
	struct slab entry_slab, holder_slab;
	struct list_node used;
	struct inode_entry *wanted; /* the caller's: is not removed though it has no holder */
};

void socket_index_init(struct socket_index *index);
void socket_index_fini(struct socket_index *index);

/* The entry, made where there was none; NULL when memory ran out. */
struct inode_entry *socket_index_acquire(struct socket_index *index, uint64_t inode);
void socket_index_remove(struct socket_index *index, struct inode_entry *entry);

/* Notes that the process holds the inode, seen in "round". "checked" (see above) counts for an
 * entry that had no holder ever. */
void socket_index_add_holder(struct socket_index *index, uint64_t inode,
			     struct listed_process *process, int fd, uint64_t round,
			     uint64_t checked);
void socket_index_remove_holder(struct socket_index *index, struct socket_holder *holder);
/* Removes what the process was not seen to hold in "round"; UINT64_MAX: all. Entries that lose
 * their last holder go, too. */
void socket_index_drop_process(struct socket_index *index, struct listed_process *process,
			       uint64_t round);

struct socket_holder *socket_index_first_holder(const struct inode_entry *entry);
