/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The question "which process owned this tuple at this time", and its answer: who, how it is known,
 * and where it is not known, why. Shared by attribution, which answers, the flow, which keeps
 * the answer, and the record, which tells it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/address.h"

/* How an answer is known. The order is the order of trust: an answer is never overwritten by one
 * with a smaller value (see ownership_is_better()). */
enum ownership_method {
	OWNERSHIP_UNKNOWN = 0, /* not asked yet; never leaves the daemon */
	OWNERSHIP_NONE,	       /* asked, not found: the reason says why */
	OWNERSHIP_LISTENER,    /* the owner of the listening socket: nobody has accepted yet */
	OWNERSHIP_SHARED, /* several processes hold the socket: the oldest, or the one that acts */
	OWNERSHIP_SYSDIG, /* told by sysdig */
	OWNERSHIP_SOCK_DIAG, /* the single holder of the exact socket */
	OWNERSHIP_TRACE,     /* seen sending, connecting or accepting, in its own context */
	OWNERSHIP_REMOTE,    /* this end is not on this host */
	OWNERSHIP_METHOD_COUNT,
};

enum ownership_reason {
	OWNERSHIP_REASON_NONE = 0,
	OWNERSHIP_REASON_EXITED,	/* the process was gone before it could be looked up */
	OWNERSHIP_REASON_CLOSED,	/* the socket was gone, or in TIME_WAIT, or never there */
	OWNERSHIP_REASON_AMBIGUOUS,	/* several sockets fit and nothing tells them apart */
	OWNERSHIP_REASON_KERNEL,	/* the kernel itself is the owner */
	OWNERSHIP_REASON_NO_PERMISSION, /* a right is missing to look */
	OWNERSHIP_REASON_UNTRACKED_NAMESPACE,
	OWNERSHIP_REASON_BUSY, /* the budget for looking was used up; asking later may help */
	OWNERSHIP_REASON_UNSUPPORTED, /* this kernel cannot tell for this protocol */
	OWNERSHIP_REASON_COUNT,
};

/* The words of user-interface: "trace", "sock_diag", ...; "no-permission", ... */
const char *ownership_method_name(enum ownership_method method);
const char *ownership_reason_name(enum ownership_reason reason);

/* A process is never just a pid: the kernel gives numbers out again. */
struct process_id {
	pid_t pid;	      /* the thread group's, as seen from the host; 0: nobody */
	uint64_t start_ticks; /* /proc/PID/stat field 22: clock ticks since boot */
};

/* What is known of a process by the records of trace alone. Its user is not. */
struct process_trace {
	pid_t pid, parent; /* parent 0: not known */
	uint64_t start_ns, exit_ns;
	char name[16];
	const char *executable; /* borrowed until trace tells more; NULL: not known */
};

/* A socket as its owner sees it: "local" is this end. */
struct socket_tuple {
	struct ip_address local, remote;
	uint16_t local_port, remote_port; /* host order */
	uint16_t echo_id;		  /* of an ICMP echo; the ports are 0 then */
	uint8_t family;			  /* enum ip_family, of the packets */
	uint8_t protocol;
	uint32_t netns;
};

struct ownership_query {
	struct socket_tuple socket;
	uint64_t when_ns; /* monotonic: the moment the flow began, or when it was heard of */
	/* It began after this: an event may wait before it is read. 0: "when_ns" is exact. */
	uint64_t not_before_ns;
	bool initiator; /* this end sent the first packet */
	/* The connection is closed: its tuple may be another's by now, so that only what was recorded
	 * while it lasted may answer (else OWNERSHIP_UNKNOWN). */
	bool has_ended;
};

struct ownership {
	uint8_t method; /* enum ownership_method */
	uint8_t reason; /* enum ownership_reason, with OWNERSHIP_NONE */
	/* A later question may well get a better answer (a connection that is not accepted yet). */
	bool is_provisional;
	/* The kernel told the socket's user, also where no process was found. */
	bool has_uid;
	uid_t uid;
	struct process_id process; /* pid 0 where nobody is named; start_ticks 0: see acted_ns */
	uint64_t acted_ns;	   /* monotonic: when the process was seen to act (trace), or 0 */
	uint64_t cgroup_id;	   /* of the socket, or of the process that was seen to act; or 0 */
};

/* Whether "candidate" may replace "current". */
bool ownership_is_better(const struct ownership *candidate, const struct ownership *current);

/* Who owned a tuple from when until when; what the stronger methods (trace, sysdig) keep so that a
 * flow is resolved by its start and not by who holds the port now. */
struct ownership_range {
	struct ownership ownership;
	uint64_t from_ns, until_ns; /* monotonic; UINT64_MAX: still */
	uint64_t last_ns;	    /* when it was last seen to act */
};
