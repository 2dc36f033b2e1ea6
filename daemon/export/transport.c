/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/transport.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "export/transport_ops.h"

int transport_open(const struct config_address *to, const char *log_name,
		   const struct transport_rotation *rotation, struct transport **ret)
{
	switch (to->transport) {
	case CONFIG_TRANSPORT_STDOUT:
		return transport_stdout_open(ret);
	case CONFIG_TRANSPORT_FILE:
		return transport_file_open(to, log_name, rotation, ret);
	case CONFIG_TRANSPORT_UDP:
		return transport_udp_open(to, log_name, ret);
	case CONFIG_TRANSPORT_TCP:
	case CONFIG_TRANSPORT_TLS:
	case CONFIG_TRANSPORT_UNIX: /* delivery_stream.h */
	default:		    /* services */
		break;
	}
	return -EINVAL;
}

void transport_close(struct transport *transport)
{
	if (transport)
		transport->ops->close(transport);
}

int transport_send(struct transport *transport, const void *bytes, size_t length, size_t *ret_taken)
{
	return transport->ops->send(transport, bytes, length, ret_taken);
}

void transport_begin_message(struct transport *transport, size_t length)
{
	if (transport->ops->begin_message)
		transport->ops->begin_message(transport, length);
}

int transport_reopen(struct transport *transport)
{
	return transport->ops->reopen ? transport->ops->reopen(transport) : TRANSPORT_HAS_NO_NAME;
}

bool transport_take_back(struct transport *transport, const void *bytes, size_t length)
{
	return transport->ops->take_back && transport->ops->take_back(transport, bytes, length);
}

size_t transport_find_sent(struct transport *transport, const void *bytes, size_t length)
{
	return transport->ops->find_sent ? transport->ops->find_sent(transport, bytes, length) : 0;
}

bool transport_is_stream(const struct transport *transport)
{
	return transport->ops->is_stream;
}

int transport_get_fd(const struct transport *transport)
{
	return transport->fd;
}

unsigned transport_get_columns(const struct transport *transport)
{
	struct winsize size;

	if (transport->fd < 0 || ioctl(transport->fd, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

/* The signal is blocked around the write and taken back from the queue, so that neither the
 * process's disposition nor its children's is touched. */
int transport_write(int fd, const void *bytes, size_t length, size_t *ret_taken)
{
	const struct timespec no_wait = {0};
	sigset_t pipe_signal, before, pending;
	ssize_t taken;
	int error;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	do
		taken = write(fd, bytes, length);
	while (taken < 0 && errno == EINTR);
	error = taken < 0 ? errno : 0;
	if (error == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_signal, NULL, &no_wait);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return error == EWOULDBLOCK ? -EAGAIN : -error;
	*ret_taken = (size_t)taken;
	return 0;
}
