/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* All sockets on one local port, as a kernel's dump tells them, kept for a tenth of a second: the
 * dump walks the kernel's whole table (17 us for 4096 slots), and busy ports are asked about for
 * every flow. Says whether a tuple that names no connected socket has one owner or several. */

#include <stddef.h>
#include <stdint.h>

#include "attribution/sock_diag.h"

struct port_sockets;

/* "diag" is borrowed. 0, or a negative errno. */
int port_sockets_new(struct sock_diag *diag, struct port_sockets **ret);
void port_sockets_free(struct port_sockets *ports);

struct port_matches {
	const struct sock_diag_socket *const *sockets; /* borrowed until the next call */
	size_t count;
};

/* The sockets that fit the tuple best: TCP's listeners, UDP's unconnected sockets; one bound to the
 * tuple's address goes before one bound to none. Socket "known_inode" (0: none) must be among all
 * that are on the port, or the remembered list is too old and is taken anew. 0, or a negative
 * errno. */
int port_sockets_find(struct port_sockets *ports, const struct socket_tuple *tuple,
		      uint64_t known_inode, uint64_t now_ns, struct port_matches *ret);

/* Pure: of "count" sockets, those that fit best, written to "out" (room for "count"). */
size_t port_sockets_select(const struct sock_diag_socket *sockets, size_t count,
			   const struct socket_tuple *tuple, const struct sock_diag_socket **out);
