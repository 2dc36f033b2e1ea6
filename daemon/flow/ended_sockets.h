/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What TCP sockets told when they ended, until the records of their flows go out. Kept apart from the
 * flows, which are many and open, while these are few and done. Bounded: at the bound the oldest is
 * forgotten. 104 bytes each, and up to 24 for its place in the map. */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash_map.h"
#include "base/list.h"
#include "base/slab.h"
#include "flow/tcp_quality.h"

struct ended_sockets_counters {
	uint64_t added;
	uint64_t joined;    /* taken for a record */
	uint64_t stale;	    /* were of an earlier connection with the same tuple */
	uint64_t ambiguous; /* several namespaces had the tuple: told of none */
	uint64_t expired;   /* nobody asked for them */
	uint64_t forgotten; /* ... had to make room, or memory ran out */
};

struct ended_sockets {
	struct hash_map map;
	struct slab slab;
	struct list_node oldest_first;
	uint64_t seed, keep_ns;
	size_t bound;
	struct ended_sockets_counters counters;
};

/* Each is kept for "keep_ns" at the most. */
void ended_sockets_init(struct ended_sockets *sockets, size_t bound, uint64_t keep_ns);
void ended_sockets_fini(struct ended_sockets *sockets);

static inline bool ended_sockets_is_empty(const struct ended_sockets *sockets)
{
	return sockets->map.used == 0;
}

/* A later end of the same tuple replaces the earlier one; if it was in another namespace, neither is
 * believed. */
void ended_sockets_add(struct ended_sockets *sockets, const struct socket_end_event *event);

/* A connection with this tuple began: what ended before "before_ns" was another. */
void ended_sockets_forget(struct ended_sockets *sockets, const struct socket_tuple *socket,
			  bool is_elsewhere, uint64_t before_ns);

bool ended_sockets_has(const struct ended_sockets *sockets, const struct socket_tuple *socket,
		       bool is_elsewhere);

/* Takes it out. Whether it was there, and is the only one. */
bool ended_sockets_take(struct ended_sockets *sockets, const struct socket_tuple *socket,
			bool is_elsewhere, struct tcp_quality *ret);
