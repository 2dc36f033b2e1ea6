/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Puts together what the kernel tells in pieces about a TCP connect: who connects is told when the
 * socket leaves CLOSE, in the context of the caller but without the source port; the port comes
 * later, in a lookup of the same thread (IPv4) or when the socket leaves SYN_SENT (IPv6, and also
 * IPv4), perhaps in the softirq of somebody else. The socket's kernel address joins them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flow/ownership.h"

struct trace_connect;

/* A connect whose source port is not known yet. */
struct trace_connecting {
	struct socket_tuple socket; /* local_port 0 */
	uint64_t when_ns;
	uint64_t socket_address;
	uint64_t cgroup_id; /* of who connects, or 0 */
	pid_t pid, thread;
};

struct trace_connect_counters {
	uint64_t joined;
	uint64_t dropped;   /* the oldest, when there were too many */
	uint64_t forgotten; /* closed before a port was told */
	uint64_t pending;   /* now */
};

int trace_connect_new(size_t max_pending, struct trace_connect **ret);
void trace_connect_free(struct trace_connect *connect);

/* 0 or -ENOMEM. A socket that was pending already is replaced. */
int trace_connect_add(struct trace_connect *connect, const struct trace_connecting *connecting);

/* The lookup with the whole tuple that "thread" makes while it connects: the pending connect that
 * it belongs to is taken out and told. False: none fits. */
bool trace_connect_join_lookup(struct trace_connect *connect, pid_t thread,
			       const struct socket_tuple *socket, struct trace_connecting *ret);

/* The socket left SYN_SENT: the same by its address; *ret has the port that "socket" tells. A
 * socket that never got a port, or with another remote end, is forgotten, and false returned. */
bool trace_connect_join_state(struct trace_connect *connect, uint64_t socket_address,
			      const struct socket_tuple *socket, struct trace_connecting *ret);

const struct trace_connect_counters *
trace_connect_get_counters(const struct trace_connect *connect);
