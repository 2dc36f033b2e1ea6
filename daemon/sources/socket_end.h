/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The ends of TCP sockets, as the kernel announces them with what it knows of the connection
 * (sock_diag_broadcast_destroy() in net/core/sock_diag.c): no packet has to be looked at, and nothing
 * is asked for.
 *
 * Sockets of other network namespaces are heard where these have a number in ours (all that a wire
 * joins to it have), and none is kept alive by that. The kernel makes a message for each TCP socket of
 * the whole machine as long as anybody listens. */

#include <stdbool.h>
#include <stdint.h>

#include "flow/tcp_quality.h"
#include "runtime/loop.h"

struct socket_end;

struct socket_end_options {
	bool all_namespaces;
	void (*on_end)(void *userdata, const struct socket_end_event *event);
	void *userdata;
};

struct socket_end_counters {
	uint64_t ends;	      /* told */
	uint64_t unconnected; /* of sockets that had no peer */
	uint64_t untold;      /* without figures */
	uint64_t malformed;
	uint64_t overruns; /* the kernel had to drop messages, nobody knows how many */
};

/* 0 or a negative errno. *ret_everywhere: 0, or why other namespaces are not heard (-EPERM:
 * CAP_NET_BROADCAST is missing). */
int socket_end_new(struct loop *loop, const struct socket_end_options *options, int *ret_everywhere,
		   struct socket_end **ret);
void socket_end_free(struct socket_end *source);

/* Tells what is there already, before the loop comes to it. */
void socket_end_drain(struct socket_end *source);

const struct socket_end_counters *socket_end_get_counters(const struct socket_end *source);
