/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The control socket as a file, and who stands at its other end. */

#include <stdbool.h>
#include <sys/types.h>

struct control_socket {
	int fd; /* -1: not open */
	char *path;
	dev_t device; /* of the file, to know it again */
	ino_t inode;
	bool made_directory;
	bool lacks_group; /* it may not be given to the group: mode 0600 */
};

/* Listens at "path": mode 0660 for "group", 0600 where that is (gid_t)-1. The file appears with its
 * owner and mode at once. Errors as control_new(), and -ENAMETOOLONG. */
int control_socket_open(const char *path, gid_t group, struct control_socket *ret);
/* Removes the file, if it is still this one's, and the directory, if it was made. */
void control_socket_close(struct control_socket *socket);

/* 0, or -ENOENT where there is no such group. Asks nsswitch, so it is for the start only. */
int control_socket_find_group(const char *name, gid_t *ret);

/* Who connected. 0 or a negative errno. */
int control_socket_read_peer(int fd, uid_t *ret_user, gid_t group, bool *ret_is_member);
