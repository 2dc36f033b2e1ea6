/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/sole.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0procflow/daemon"};

/* The name without the NUL behind it, which abstract names do not need. */
enum { ADDRESS_LENGTH = offsetof(struct sockaddr_un, sun_path) + sizeof("\0procflow/daemon") - 1 };

static bool is_trusted(uid_t user)
{
	const struct passwd *own = getpwnam("procflow");

	return user == 0 || user == geteuid() || (own && own->pw_uid == user);
}

/* Whose it is. */
static int ask(pid_t *ret_other)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, ADDRESS_LENGTH) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || !is_trusted(peer.uid))
		return -EACCES;
	*ret_other = peer.pid;
	return -EBUSY;
}

int sole_take(pid_t *ret_other)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, ADDRESS_LENGTH) < 0)
		return errno == EADDRINUSE ? ask(ret_other) : -errno;
	/* Nobody is accepted: whoever asks is told by the kernel who listens. */
	return listen(fd, SOMAXCONN) < 0 ? -errno : steal_fd(&fd);
}
