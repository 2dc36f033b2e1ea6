/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/control_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { BACKLOG = 64, GROUP_BUFFER_MAX = 1 << 20, PEER_GROUPS_MAX = 65536 };

static int fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	strcpy(ret->sun_path, path);
	return 0;
}

/* 0: nothing is there, or a socket that nobody listens to. */
static int check_vacant(const char *path)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	struct stat status;
	int r = fill_address(path, &address);

	if (r < 0)
		return r;
	if (fd < 0)
		return -errno;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED ? 0 : -errno;
}

static int make_directory(struct control_socket *self)
{
	char *slash = strrchr(self->path, '/');
	int r = 0;

	if (!slash || slash == self->path)
		return 0;
	*slash = '\0';
	if (mkdir(self->path, 0755) == 0)
		self->made_directory = true;
	else if (errno != EEXIST)
		r = -errno;
	*slash = '/';
	return r;
}

static int set_owner(struct control_socket *self, const char *path, gid_t group)
{
	struct stat status;

	/* The daemon's own group is there already, and chown(2) may not be allowed. */
	if (lstat(path, &status) < 0)
		return -errno;
	if (group != (gid_t)-1 && status.st_gid != group && chown(path, (uid_t)-1, group) < 0) {
		if (errno != EPERM)
			return -errno;
		self->lacks_group = true;
	}
	if (chmod(path, group != (gid_t)-1 && !self->lacks_group ? 0660 : 0600) < 0 ||
	    lstat(path, &status) < 0)
		return -errno;
	self->device = status.st_dev;
	self->inode = status.st_ino;
	return 0;
}

/* Under another name first: whoever finds the socket finds it with its owner, its mode and somebody
 * who listens; and rename(2) takes the place of a dead one in one step. */
static int publish(struct control_socket *self, gid_t group)
{
	cleanup_free char *hidden = NULL;
	struct sockaddr_un address;
	mode_t mask;
	int r;

	if (asprintf(&hidden, "%s.%d", self->path, (int)getpid()) < 0)
		return -ENOMEM;
	r = fill_address(hidden, &address);
	if (r < 0)
		return r;
	if (unlink(hidden) < 0 && errno != ENOENT)
		return -errno;
	mask = umask(0177);
	r = bind(self->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	r = set_owner(self, hidden, group);
	if (r == 0 && (listen(self->fd, BACKLOG) < 0 || rename(hidden, self->path) < 0))
		r = -errno;
	if (r < 0)
		unlink(hidden);
	return r;
}

int control_socket_open(const char *path, gid_t group, struct control_socket *ret)
{
	struct control_socket self = {.fd = -1, .path = strdup(path)};
	int r;

	if (!self.path)
		return -ENOMEM;
	r = make_directory(&self);
	if (r == 0)
		r = check_vacant(path);
	if (r == 0) {
		self.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		r = self.fd < 0 ? -errno : publish(&self, group);
	}
	if (r == 0) {
		*ret = self;
		return 0;
	}
	control_socket_close(&self);
	return r;
}

void control_socket_close(struct control_socket *self)
{
	struct stat status;

	if (self->inode && lstat(self->path, &status) == 0 && status.st_dev == self->device &&
	    status.st_ino == self->inode)
		unlink(self->path);
	if (self->made_directory) {
		*strrchr(self->path, '/') = '\0';
		rmdir(self->path);
	}
	if (self->fd >= 0)
		close(self->fd);
	free(self->path);
	*self = (struct control_socket){.fd = -1};
}

int control_socket_find_group(const char *name, gid_t *ret)
{
	struct group entry, *found;

	for (size_t size = 1024; size <= GROUP_BUFFER_MAX; size *= 4) {
		cleanup_free char *room = malloc(size);
		int r;

		if (!room)
			return -ENOMEM;
		r = getgrnam_r(name, &entry, room, size, &found);
		if (r == ERANGE)
			continue;
		if (r != 0 || !found)
			return -ENOENT;
		*ret = entry.gr_gid;
		return 0;
	}
	return -ENOENT;
}

static int read_groups(int fd, gid_t **ret, size_t *ret_count)
{
	socklen_t length = 64 * sizeof(gid_t);
	cleanup_free gid_t *groups = malloc(length);

	if (!groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0) {
		gid_t *more;

		/* It tells how many there are. */
		if (errno != ERANGE || length > PEER_GROUPS_MAX * sizeof(gid_t))
			return -errno;
		more = realloc(groups, length);
		if (!more)
			return -ENOMEM;
		groups = more;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
			return -errno;
	}
	*ret = steal_pointer(&groups);
	*ret_count = length / sizeof(gid_t);
	return 0;
}

int control_socket_read_peer(int fd, uid_t *ret_user, gid_t group, bool *ret_is_member)
{
	cleanup_free gid_t *groups = NULL;
	struct ucred peer;
	socklen_t length = sizeof(peer);
	size_t count = 0;
	bool is_member;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -errno;
	is_member = group != (gid_t)-1 && peer.gid == group;
	if (group != (gid_t)-1 && !is_member) {
		r = read_groups(fd, &groups, &count);
		if (r < 0)
			return r;
		for (size_t i = 0; i < count; i++)
			is_member |= groups[i] == group;
	}
	*ret_user = peer.uid;
	*ret_is_member = is_member;
	return 0;
}
