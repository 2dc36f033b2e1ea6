/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the sources tell the rest of the daemon: plain values, valid during the callback. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "flow/flow_key.h"
#include "flow/ownership.h"

/* Initiator to responder is "in", as in fields.md. Totals since the flow began. */
struct flow_counters {
	uint64_t in_bytes, in_packets, out_bytes, out_packets;
};

enum flow_event_type {
	FLOW_EVENT_NEW,
	FLOW_EVENT_CLOSED, /* TCP: TIME_WAIT or CLOSE was reached; conntrack keeps the entry for a
			      while */
	FLOW_EVENT_DESTROY,
	FLOW_EVENT_LISTED, /* found by a dump or a query, with counters where there are any */
};

struct flow_event {
	enum flow_event_type type;
	struct flow_key key;
	struct flow_tuple reply; /* as the responder sends: src is the responder, NAT applied */
	uint32_t conntrack_id;	 /* tells two flows with one tuple apart */
	bool is_translated;	 /* "reply" is not the mirror image of key.tuple */
	bool has_counters;	 /* false: nf_conntrack_acct was off when the flow began */
	bool is_assured;	 /* seen traffic both ways */
	bool has_reply;		 /* an answer was seen */
	bool is_from_packets;	 /* NEW, CLOSED: no tracking tells it, but packets do */
	bool is_offloaded;	 /* its packets pass by conntrack (a flowtable), counted or not */
	bool is_early;		 /* DESTROY: before its timeout can have run out */
	uint8_t tcp_state;	 /* enum tcp_conntrack, 0 for others */
	struct flow_counters counters;
	uint64_t when_ns;	 /* monotonic: when this was read */
	uint64_t not_before_ns;	 /* with NEW: it happened after this and before "when_ns" */
	uint64_t start_ns;	 /* monotonic, from nf_conntrack_timestamp; 0 where unknown, as in
				  * NEW before Linux 6.14; else as wall_steps.h places it */
	uint64_t stop_ns;	 /* the same, with DESTROY */
	uint64_t last_packet_ns; /* best estimate of the last packet's time; 0 where unknown */
	uint32_t mark;
};

/* A socket got its tuple in the context of a process (trace, sysdig). */
struct socket_event {
	struct socket_tuple socket;
	uint64_t when_ns;
	uint64_t socket_address; /* kernel address that identifies the socket (skaddr), or 0 */
	uint64_t cgroup_id;	 /* of cgroup v2, that "pid" was in then; 0: not told */
	pid_t pid;		 /* the thread group; 0 where nobody is named */
	uint8_t tcp_state;	 /* the state it went to, or 0 */
	bool is_proof;		 /* "pid" did it, in its own context */
};

enum process_event_type {
	PROCESS_EVENT_FORK,
	PROCESS_EVENT_EXEC,
	PROCESS_EVENT_NAME,
	PROCESS_EVENT_EXIT, /* of one thread */
	PROCESS_EVENT_EXECUTABLE
};

struct process_event {
	enum process_event_type type;
	uint64_t when_ns;
	pid_t pid, thread;	/* thread group and thread */
	pid_t parent;		/* FORK */
	char name[16];		/* EXEC and NAME */
	const char *executable; /* EXECUTABLE, after EXEC: the path as execve(2) was given it */
};
