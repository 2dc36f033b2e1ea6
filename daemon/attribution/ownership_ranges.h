/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Who was seen acting on which tuple from when until when, from records made in the context of the
 * acting process itself (trace, sysdig). Several owners of one tuple follow each other: ports are
 * used again, also while conntrack keeps the old entry. A flow is resolved by its beginning.
 *
 * A bounded table; what is oldest by its last act goes first. The namespace is not in the key,
 * because the records do not tell it: where that matters, the query's "accept" decides. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flow/flow_event.h"
#include "flow/ownership.h"

struct ownership_ranges;

struct ownership_ranges_options {
	size_t max_ranges;   /* 144 bytes each, and up to 43 for finding it */
	uint64_t max_age_ns; /* since the last act */
	/* How far the clocks that told the flow's beginning and the records may be apart. */
	uint64_t tolerance_ns;
};

/* One owner's acts that followed each other without another owner's between. */
struct ownership_act {
	pid_t pid;
	uint64_t first_ns, last_ns;
	uint64_t socket_address; /* or 0 */
	uint64_t cgroup_id;	 /* that it was in at first, or 0 */
	/* When it last read from the connection, and when it closed it; 0: it did not. */
	uint64_t read_ns, closed_ns;
	bool has_begun; /* it connected, or sent */
};

struct ownership_ranges_query {
	struct socket_tuple socket; /* netns is not looked at */
	/* The flow began between these, both included. For the end that answers on UDP: its
	 * beginning, and its end or now, as an answer comes later. */
	uint64_t earliest_ns, latest_ns;
	bool needs_local; /* acts whose local address is not known do not fit */
	/* May refuse one ("its process is in another namespace", "it had exited by then"). NULL
	 * takes any. */
	bool (*accept)(void *userdata, const struct ownership_act *act);
	void *userdata;
};

enum {
	/* No record fits, or only one from before a loss, which may be out of date: another method
	 * has to answer. */
	OWNERSHIP_RANGES_LOST = 1,
};

struct ownership_ranges_counters {
	uint64_t added, extended; /* records: a new range; one more act in one */
	uint64_t closed;
	uint64_t ignored; /* records that prove nothing: softirq, or a tuple with holes */
	uint64_t evicted, expired, forgotten;
	uint64_t found, missed, lost; /* answers */
	uint64_t ranges;	      /* now */
};

int ownership_ranges_new(const struct ownership_ranges_options *options,
			 struct ownership_ranges **ret);
void ownership_ranges_free(struct ownership_ranges *ranges);

/* Takes a record in; they may come late. A closed socket ends its range. 0 or -ENOMEM. */
int ownership_ranges_add(struct ownership_ranges *ranges, const struct socket_event *event);
void ownership_ranges_add_lost(struct ownership_ranges *ranges, uint64_t from_ns,
			       uint64_t until_ns);

/* Who began the flow: the first to act after "earliest" and until "latest"; where nobody did, the
 * last to act before, unless that socket was closed by then; where there is none, the first to act
 * within the tolerance after. 0 and the answer (method trace, start_ticks 0: the process may be
 * gone), -ENOENT, or OWNERSHIP_RANGES_LOST. */
int ownership_ranges_find(struct ownership_ranges *ranges,
			  const struct ownership_ranges_query *query, struct ownership_range *ret);

enum {
	/* Several processes sent there at that time. */
	OWNERSHIP_RANGES_SEVERAL = 2,
};

/* Who began a flow of which nothing but the other end is known, as of protocols without ports: the only
 * process to send there between "earliest" and "latest", as far as the clocks can tell. 0, -ENOENT,
 * OWNERSHIP_RANGES_SEVERAL or _LOST. */
int ownership_ranges_find_only(struct ownership_ranges *ranges,
			       const struct ownership_ranges_query *query,
			       struct ownership_range *ret);

/* Who began the flow, where nobody else was ever seen acting on its tuple, in any namespace, and the one
 * who was did so between "earliest" and "latest", as far as the clocks can tell. 0, -ENOENT (another
 * question has to tell), or OWNERSHIP_RANGES_LOST. */
int ownership_ranges_find_alone(struct ownership_ranges *ranges,
				const struct ownership_ranges_query *query,
				struct ownership_range *ret);

/* Who was seen at the accepting end of a connection. */
struct ownership_server {
	struct ownership_act reader; /* who read last; pid 0: nobody did */
	struct ownership_act closer; /* who closed it last; pid 0: nobody did (yet) */
};

/* What is known of the accepting end of the connection that began between "earliest" and "latest", by
 * the socket that was the first to be read or closed since. 0; -ENOENT where there is nothing, or
 * another socket of that tuple may have been meant; or OWNERSHIP_RANGES_LOST: another reader's or
 * closer's record may be missing. */
int ownership_ranges_find_server(struct ownership_ranges *ranges,
				 const struct ownership_ranges_query *query,
				 struct ownership_server *ret);

/* Forgets what is known of UDP sent from this local port, or of TCP read there (it is no longer
 * recorded). */
void ownership_ranges_forget_port(struct ownership_ranges *ranges, uint8_t protocol, uint16_t port);
/* Forgets what is too old; cheap when there is nothing to do. */
void ownership_ranges_expire(struct ownership_ranges *ranges, uint64_t now_ns);

const struct ownership_ranges_counters *
ownership_ranges_get_counters(const struct ownership_ranges *ranges);
