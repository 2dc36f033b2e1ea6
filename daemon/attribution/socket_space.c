/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/socket_space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct socket_space *, socket_space_close);

int socket_space_open(int proc_fd, int netns_fd, ino_t inode, struct socket_space **ret)
{
	cleanup(socket_space_close_cleanup) struct socket_space *space = calloc(1, sizeof(*space));
	int r;

	if (!space)
		return -ENOMEM;
	space->proc_fd = proc_fd;
	space->inode = inode;
	r = netns_fd < 0 ? sock_diag_open(&space->diag) : sock_diag_open_in(netns_fd, &space->diag);
	if (r < 0)
		return r;
	r = port_sockets_new(space->diag, &space->ports);
	if (r < 0)
		return r;
	*ret = steal_pointer(&space);
	return 0;
}

void socket_space_close(struct socket_space *space)
{
	if (!space)
		return;
	port_sockets_free(space->ports);
	sock_diag_close(space->diag);
	free(space);
}

int socket_space_find_raw(const struct socket_space *space, const struct socket_tuple *tuple,
			  struct raw_socket *ret)
{
	cleanup_close int directory = -1;
	struct stat netns;
	char name[16];

	if (space->inode == 0)
		return raw_sockets_find(space->proc_fd, tuple, ret);
	if (space->pid == 0)
		return -EOPNOTSUPP;
	snprintf(name, sizeof(name), "%d", space->pid);
	directory = openat(space->proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* It may have gone, or gone elsewhere, since it was seen in there. */
	if (directory < 0 || fstatat(directory, "ns/net", &netns, 0) < 0 ||
	    netns.st_ino != space->inode)
		return -EOPNOTSUPP;
	return raw_sockets_find(directory, tuple, ret);
}
