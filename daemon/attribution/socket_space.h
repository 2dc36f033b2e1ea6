/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The sockets of one network namespace: what has to be asked there. An open one keeps the namespace
 * alive, whoever else leaves it. */

#include <sys/types.h>

#include "attribution/port_sockets.h"
#include "attribution/raw_sockets.h"
#include "attribution/sock_diag.h"

struct socket_space {
	struct sock_diag *diag;
	struct port_sockets *ports;
	int proc_fd; /* borrowed */
	ino_t inode; /* of the namespace; 0: the thread's own */
	pid_t pid;   /* a process in there, for /proc/PID/net; 0: none is known. May be set. */
};

/* "netns_fd" -1: the namespace that the thread is in, and "inode" 0 then. 0, or a negative errno. */
int socket_space_open(int proc_fd, int netns_fd, ino_t inode, struct socket_space **ret);
void socket_space_close(struct socket_space *space);

/* raw_sockets_find() in there; -EOPNOTSUPP where no process is known through which to look. */
int socket_space_find_raw(const struct socket_space *space, const struct socket_tuple *tuple,
			  struct raw_socket *ret);
