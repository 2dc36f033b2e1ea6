/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Who waits for connections or datagrams on which port, of the network namespace that the thread is
 * in: TCP sockets that listen, UDP sockets that are bound and not connected. */

#include <stdint.h>

#include "attribution/inode_map.h"
#include "attribution/sock_diag.h"

struct listener {
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t family;	  /* of the socket; an IPv6 one may take IPv4 as well */
	uint16_t port;
	struct process_id process; /* its oldest holder; pid 0: not known (yet) */
};

typedef void (*listener_on_found)(void *userdata, const struct listener *listener);

/* Tells each socket once. Holders come from "inodes", on its budget. 0, or a negative errno. */
int listeners_list(struct sock_diag *diag, struct inode_map *inodes, uint64_t now_ns,
		   listener_on_found on_found, void *userdata);
