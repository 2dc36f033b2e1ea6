/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The method "trace": who was seen, in its own context, to send from a tuple or to connect it. What
 * the tracepoints do not tell is the network namespace: it is the process's, or where that is gone its
 * nearest living ancestor's, that has to be the one that has the address. */

#include <stdint.h>

#include "attribution/ownership_ranges.h"
#include "attribution/trace_processes.h"
#include "flow/flow_event.h"
#include "flow/ownership.h"

struct trace_owner;

/* Named outcomes. */
enum {
	TRACE_OWNER_FOUND = 0,
	TRACE_OWNER_NOBODY = 1, /* nobody was seen */
	TRACE_OWNER_LOST = 2,	/* records of the time were lost: another method has to answer */
	/* *ret is who was seen, but the socket may be another's: a UDP socket that another process
	 * may have got since, by fork or by SCM_RIGHTS (a connected one sends without being
	 * recorded); or a connection over IPv6 that was closed by then. */
	TRACE_OWNER_DOUBTFUL = 3,
};

/* "proc_fd" is borrowed. 0 or a negative errno. */
int trace_owner_new(int proc_fd, struct trace_owner **ret);
void trace_owner_free(struct trace_owner *owner);

/* Takes in all of /proc: names and parents of processes that are older than the records. To be
 * called once trace tells. 0 or a negative errno. */
int trace_owner_learn(struct trace_owner *owner, uint64_t now_ns);

void trace_owner_add_socket(struct trace_owner *owner, const struct socket_event *event);
void trace_owner_add_process(struct trace_owner *owner, const struct process_event *event);
void trace_owner_add_lost(struct trace_owner *owner, uint64_t from_ns, uint64_t until_ns);
/* No more records of UDP sent from this local port, or of TCP read there, come. */
void trace_owner_forget_port(struct trace_owner *owner, uint8_t protocol, uint16_t port);
/* Forgets what is too old to be asked for; once a second is enough. */
void trace_owner_expire(struct trace_owner *owner, uint64_t now_ns);

/* The process that had the pid at that time, or the last before; see trace_processes_find(). */
const struct trace_process *trace_owner_find_life(const struct trace_owner *owner, pid_t pid,
						  uint64_t when_ns);

struct trace_owner_query {
	const struct ownership_query *query;
	uint64_t now_ns;
	ino_t netns; /* of the namespace that the tuple is of; 0: our own */
	/* The packet had a header of the program's own (IPPROTO_RAW): the tuple is in no lookup, and
	 * no socket has it. */
	bool is_own_header;
	/* No other namespace has the address. Where the process and its family are gone, or what is
	 * left of it is in our own namespace (which does not have the address, so the process had gone
	 * into another), this is what is left to go by. */
	bool is_only_owner;
	/* The question is asked for this namespace alone: the flow began in it, so the only one who was
	 * seen beginning it need not be looked at. */
	bool is_only_question;
	/* No namespace is known that has the address, but one may have been seen to use it: the very
	 * tuple is what there is to go by. */
	bool is_unplaced;
};

/* One of the outcomes; *ret is written with TRACE_OWNER_FOUND and TRACE_OWNER_DOUBTFUL: pid,
 * start_ticks 0, acted_ns.
 *
 * Protocols without ports (ICMP) and packets with headers of a program's own are known by who sent anything of
 * the kind to the same address when the flow began, if it was one process.
 *
 * The accepting end of a connection does nothing in its own context that a tracepoint tells, but that it
 * reads and closes. Who read last serves it; where another closed it, both had it: "shared". So is what
 * nobody read: whoever closed it may have handed it on before (SCM_RIGHTS, fork). As long as the
 * connection may go on the answer is provisional. */
int trace_owner_find(struct trace_owner *owner, const struct trace_owner_query *query,
		     struct ownership *ret);

/* See attribution_find_process(). */
bool trace_owner_find_process(const struct trace_owner *owner, pid_t pid, uint64_t when_ns,
			      struct process_trace *ret);

const struct ownership_ranges_counters *trace_owner_get_counters(const struct trace_owner *owner);
