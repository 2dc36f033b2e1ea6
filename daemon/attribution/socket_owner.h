/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The method "sock_diag": from the tuple to its socket, from the socket's inode to the process.
 * What it answers, it has seen at the time of asking; who owned the tuple earlier it cannot tell.
 */

#include <stdint.h>

#include "attribution/inode_map.h"
#include "attribution/socket_space.h"
#include "flow/ownership.h"

struct socket_owner;

struct socket_owner_query {
	const struct ownership_query *query; /* its IPv4 addresses are not written as IPv6 */
	const uint32_t *interfaces;	     /* that the local address stands on, ended by 0 */
	uint64_t now_ns;
	/* The namespace that the tuple is of; NULL: the one that the owner was made in. */
	const struct socket_space *space;
	/* Another namespace has the address too: only a socket connected to exactly this tuple is
	 * taken, else the answer is "ambiguous". */
	bool exact_only;
};

struct socket_owner_counters {
	uint64_t queries, errors;
};

/* "proc_fd" is borrowed. 0, or a negative errno. */
int socket_owner_new(int proc_fd, struct socket_owner **ret);
void socket_owner_free(struct socket_owner *owner);

/* See inode_map.h. */
struct inode_map *socket_owner_get_inodes(struct socket_owner *owner);
/* Of the namespace that the owner was made in. */
struct sock_diag *socket_owner_get_diag(struct socket_owner *owner);

/* Always an answer; never OWNERSHIP_REMOTE, OWNERSHIP_UNKNOWN. */
void socket_owner_find(struct socket_owner *owner, const struct socket_owner_query *query,
		       struct ownership *ret);

/* Whether a UDP flow that begins here is the outer one of a tunnel of the kernel (VXLAN, GENEVE): from a
 * port that no socket has, to the one that the kernel's own socket is bound to at both ends. KERNEL where it
 * is, NONE where it is not, else why that is not known. */
enum ownership_reason socket_owner_find_tunnel(struct socket_owner *owner,
					       const struct socket_owner_query *query);

const struct socket_owner_counters *socket_owner_get_counters(const struct socket_owner *owner);
const struct inode_map_counters *socket_owner_get_inode_counters(const struct socket_owner *owner);
