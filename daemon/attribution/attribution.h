/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Whose is this tuple, at this time? Asks the configured methods in their order of trust and never
 * guesses in silence: see struct ownership. Answers within the call (netlink questions to the
 * kernel and reads below /proc); never waits on another process. */

#include <stdbool.h>
#include <stdint.h>

#include "attribution/listeners.h"
#include "flow/flow_event.h"
#include "flow/ownership.h"

struct attribution;

struct attribution_options {
	unsigned methods;    /* CONFIG_METHOD_ bits */
	int proc_fd;	     /* borrowed descriptor of /proc */
	bool all_namespaces; /* not only ours, see attribution/namespaces.h */
};

/* What was asked and how it was answered, since the start. */
struct attribution_counters {
	uint64_t answers[OWNERSHIP_METHOD_COUNT];
	uint64_t reasons[OWNERSHIP_REASON_COUNT];
	uint64_t trace_records;	    /* told by trace and kept */
	uint64_t trace_lost;	    /* questions about a time whose records were lost */
	uint64_t ports_excluded;    /* times that a busy local port was left out of trace */
	uint64_t socket_queries;    /* sock_diag questions sent */
	uint64_t socket_errors;	    /* ... that failed with something else than "no such socket" */
	uint64_t inode_hits;	    /* inode to process answered by the cache, and verified */
	uint64_t inode_newborns;    /* found in a process that had just been told to have started */
	uint64_t inode_stale;	    /* cache entries that verification threw out */
	uint64_t processes_scanned; /* /proc/PID/fd directories read */
	uint64_t scans_refused;	    /* the budget of directory reads was used up */
	uint64_t namespaces;	    /* other ones that are known now */
	uint64_t namespace_answers; /* questions about an address of another namespace */
	uint64_t namespace_shared;  /* ... that several have */
	uint64_t namespace_errors;  /* namespaces that could not be entered */
};

/* 0; a negative errno when the sockets cannot be opened. */
int attribution_new(const struct attribution_options *options, struct attribution **ret);
void attribution_free(struct attribution *attribution);

/* Whether other namespaces are looked at: 0, or why not: -EPERM (CAP_SYS_ADMIN is missing) or another
 * negative errno; then all goes on as without all_namespaces. */
int attribution_get_namespaces_error(const struct attribution *attribution);

/* Descriptor that becomes readable when this host's addresses change; then call
 * attribution_on_address_change(). */
int attribution_get_address_fd(const struct attribution *attribution);
/* Takes the announcements and reads the local routes anew. On a negative errno the old ones stay;
 * it may be called again. */
int attribution_on_address_change(struct attribution *attribution);

/* What trace saw. Without the method "trace" they do nothing; what is told here is used by the
 * questions after it. */
void attribution_add_socket(struct attribution *attribution, const struct socket_event *event);
void attribution_add_process(struct attribution *attribution, const struct process_event *event);
void attribution_add_lost(struct attribution *attribution, uint64_t from_ns, uint64_t until_ns);
/* Trace tells no more of UDP sent from this local port, or of TCP read there: what it told gets
 * stale. */
void attribution_forget_port(struct attribution *attribution, uint8_t protocol, uint16_t port);
/* The same of what sysdig saw, for the method "sysdig": it comes late, and is believed after sock_diag. */
void attribution_add_sysdig_socket(struct attribution *attribution,
				   const struct socket_event *event);
void attribution_add_sysdig_process(struct attribution *attribution,
				    const struct process_event *event);
/* Trace tells from now on: takes in who runs already. */
void attribution_begin_trace(struct attribution *attribution, uint64_t now_ns);
/* Trace is not to be had after all: the method is left out from here on. */
void attribution_drop_trace(struct attribution *attribution);
/* Where trace is not in use: from now on "tell" tells by attribution_add_process() who started,
 * executed and exited before it was called, which orders the search for a socket's process, and by
 * attribution_add_lost() that some of that is missing. It is called before a search, and once a
 * second. */
void attribution_set_process_teller(struct attribution *attribution, void (*tell)(void *userdata),
				    void *userdata);
/* Forgets what is too old to be asked for, and looks for new namespaces; to be called once a second. */
void attribution_expire(struct attribution *attribution, uint64_t now_ns);

/* When a process began and ended, monotonic. */
struct attribution_life {
	uint64_t start_ns, end_ns;
	/* What it executed last, as execve(2) was given it: a script's own path, and a link as it is.
	 * Borrowed until trace tells more; NULL: not known. */
	const char *executable;
};

/* What trace told of the last process that had ended under "pid" by "when_ns". False: nothing, or not
 * both times. */
bool attribution_find_life(const struct attribution *attribution, pid_t pid, uint64_t when_ns,
			   struct attribution_life *ret);

/* An end with a multicast or broadcast address is OWNERSHIP_REMOTE: every member socket gets a
 * copy, so no process of this host is its owner. Answers "query" at "now_ns". Always gives an
 * answer (OWNERSHIP_NONE with a reason at worst). */
void attribution_find_owner(struct attribution *attribution, const struct ownership_query *query,
			    uint64_t now_ns, struct ownership *ret);

/* Whether the address is one of the daemon's own network namespace. */
bool attribution_has_address(const struct attribution *attribution, enum ip_family family,
			     const struct ip_address *address);

/* What trace told of the process that acted under "pid" at "when_ns" and has ended since; false where
 * that is not enough to tell it. For one that was gone before anything else could be learnt. */
bool attribution_find_process(const struct attribution *attribution, pid_t pid, uint64_t when_ns,
			      struct process_trace *ret);

/* See listeners.h; of the daemon's own network namespace. Takes what is told by sock_diag whichever
 * methods are configured. 0, or a negative errno. */
int attribution_list_listeners(struct attribution *attribution, uint64_t now_ns,
			       listener_on_found on_found, void *userdata);

const struct attribution_counters *attribution_get_counters(const struct attribution *attribution);
