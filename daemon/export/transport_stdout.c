/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Standard output is shared with whoever started the daemon, so O_NONBLOCK must not be set on it:
 * the shell's next program would see it. A pipe or a terminal is opened a second time through
 * /proc/self/fd, which gives a file description of our own on the same pipe or terminal. Where that
 * fails, poll(2) tells whether a small piece can be written without waiting (pipe(7): PIPE_BUF). */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/transport_ops.h"

enum { TERMINAL_PIECE = 256 };

struct transport_stdout {
	struct transport head;
	size_t piece; /* 0: as much as there is; else after poll(), this much at a time */
	bool is_own, is_socket;
};

static int send_piecewise(const struct transport_stdout *self, const void *bytes, size_t length,
			  size_t *ret_taken)
{
	size_t done = 0;

	while (done < length) {
		struct pollfd ready = {.fd = self->head.fd, .events = POLLOUT};
		size_t piece = length - done < self->piece ? length - done : self->piece;
		size_t taken = 0;
		int r = -EAGAIN;

		if (poll(&ready, 1, 0) > 0)
			r = transport_write(self->head.fd, (const char *)bytes + done, piece,
					    &taken);
		if (r < 0 && done == 0)
			return r;
		if (r < 0)
			break;
		done += taken;
	}
	*ret_taken = done;
	return 0;
}

static int stdout_send(struct transport *transport, const void *bytes, size_t length,
		       size_t *ret_taken)
{
	const struct transport_stdout *self = (const struct transport_stdout *)transport;
	ssize_t taken;

	if (self->piece)
		return send_piecewise(self, bytes, length, ret_taken);
	if (!self->is_socket)
		return transport_write(transport->fd, bytes, length, ret_taken);
	taken = send(transport->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (taken < 0)
		return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
	*ret_taken = (size_t)taken;
	return 0;
}

static void stdout_close(struct transport *transport)
{
	const struct transport_stdout *self = (const struct transport_stdout *)transport;

	if (self->is_own)
		close(transport->fd);
	free(transport);
}

static void choose_way(struct transport_stdout *self)
{
	struct stat status;
	int fd;

	if (fstat(STDOUT_FILENO, &status) < 0)
		return;
	self->is_socket = S_ISSOCK(status.st_mode);
	if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
		return;
	fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		self->piece = S_ISFIFO(status.st_mode) ? PIPE_BUF : TERMINAL_PIECE;
		return;
	}
	self->head.fd = fd;
	self->is_own = true;
}

int transport_stdout_open(struct transport **ret)
{
	static const struct transport_ops ops = {
		.is_stream = true, .send = stdout_send, .close = stdout_close};
	struct transport_stdout *self = calloc(1, sizeof(*self));

	if (!self)
		return -ENOMEM;
	self->head = (struct transport){.ops = &ops, .fd = STDOUT_FILENO};
	choose_way(self);
	*ret = &self->head;
	return 0;
}
