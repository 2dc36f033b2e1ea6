/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/resolver.h"

#define CONNECT_NS (10 * NS_PER_SEC) /* for each address, the handshake included */
/* How long after the handshake a refusal of our certificate is waited for (tls.h). */
#define CONFIRM_NS NS_PER_SEC

enum {
	/* A peer that acknowledges nothing, or whose window stays closed (RFC 5482, tcp(7)). */
	USER_TIMEOUT_MS = 30000,
	/* One that has gone while nothing is sent. */
	KEEPALIVE_IDLE_S = 30,
	KEEPALIVE_INTERVAL_S = 10,
	KEEPALIVE_COUNT = 3,
	READS_PER_STEP = 16,
	READ_PIECE = 4096,
	REASON_SIZE = 320,
};

enum phase { IDLE, RESOLVING, CONNECTING, SECURING, CONFIRMING, ESTABLISHED };

struct connection {
	const struct config_exporter *config;
	enum phase phase;
	struct resolver *resolver;
	const struct addrinfo *next; /* addresses not tried yet */
	int fd;
	struct tls_context *tls_context;
	struct tls *tls;
	bool wants_write, wants_step;
	uint64_t due_ns;       /* the phase's end */
	uint64_t written;      /* plain bytes */
	uint64_t acknowledged; /* kept when the socket is closed */
	int error;
	char reason[REASON_SIZE];
};

int connection_new(const struct config_exporter *config, const char *log_name,
		   struct connection **ret)
{
	struct connection *self = calloc(1, sizeof(*self));
	int r = 0;

	if (!self)
		return -ENOMEM;
	self->config = config;
	self->fd = -1;
	if (config->to.transport == CONFIG_TRANSPORT_TLS)
		r = tls_context_new(config, log_name, &self->tls_context);
	if (r < 0) {
		free(self);
		return r;
	}
	*ret = self;
	return 0;
}

void connection_free(struct connection *connection)
{
	if (!connection)
		return;
	connection_close(connection, false);
	resolver_free(connection->resolver);
	tls_context_free(connection->tls_context);
	free(connection);
}

static uint64_t read_acknowledged(const struct connection *self)
{
	uint64_t written = connection_get_written(self);
	int queued = 0;

	if (self->config->to.transport == CONFIG_TRANSPORT_UNIX)
		return written;
	if (ioctl(self->fd, SIOCOUTQ, &queued) < 0 || queued < 0 || (uint64_t)queued > written)
		return self->acknowledged;
	return written - (uint64_t)queued;
}

static void drop_socket(struct connection *self)
{
	if (self->fd < 0)
		return;
	tls_free(steal_pointer(&self->tls));
	close(steal_fd(&self->fd));
}

void connection_close(struct connection *connection, bool at_once)
{
	const struct linger no_linger = {.l_onoff = 1};

	if (connection->fd >= 0 && at_once)
		(void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &no_linger,
				 sizeof(no_linger));
	drop_socket(connection);
	resolver_free(steal_pointer(&connection->resolver));
	connection->phase = IDLE;
	connection->wants_write = connection->wants_step = false;
}

/* The socket stays for a moment: what it acknowledged can still be asked. */
static void fail(struct connection *self, int error, const char *reason)
{
	self->error = error;
	snprintf(self->reason, sizeof(self->reason), "%s", reason ? reason : strerror(-error));
	if (self->phase == ESTABLISHED)
		self->acknowledged = read_acknowledged(self);
	self->phase = IDLE;
	self->wants_write = self->wants_step = false;
}

static void set_options(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_NODELAY, 1}, /* chunks are batches already */
	};

	for (size_t i = 0; i < array_length(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].option, &options[i].value,
				 sizeof(options[i].value));
}

static int open_socket(struct connection *self, const struct sockaddr *address, socklen_t length)
{
	self->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (self->fd < 0)
		return -errno;
	if (address->sa_family != AF_UNIX)
		set_options(self->fd);
	if (connect(self->fd, address, length) < 0 && errno != EINPROGRESS)
		return -errno;
	self->phase = CONNECTING;
	self->wants_write = true;
	self->due_ns = clock_now_ns() + CONNECT_NS;
	return 0;
}

/* The next address that can be tried; the error is that of the last one. */
static void try_next(struct connection *self, int error, const char *reason)
{
	drop_socket(self);
	while (self->next) {
		const struct addrinfo *address = self->next;

		self->next = address->ai_next;
		error = open_socket(self, address->ai_addr, address->ai_addrlen);
		reason = NULL;
		if (error == 0)
			return;
		drop_socket(self);
	}
	fail(self, error, reason);
}

static void connect_unix(struct connection *self)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r;

	strncpy(address.sun_path, self->config->to.path, sizeof(address.sun_path) - 1);
	r = open_socket(self, (const struct sockaddr *)&address, sizeof(address));
	if (r < 0)
		fail(self, r, NULL);
}

static void resolve(struct connection *self)
{
	const struct addrinfo *addresses;
	int r = resolver_poll(self->resolver, &addresses);

	if (r == RESOLVER_PENDING)
		return;
	if (r < 0) {
		fail(self, r, resolver_get_reason(self->resolver));
		return;
	}
	self->next = addresses;
	try_next(self, -EADDRNOTAVAIL, NULL);
}

void connection_start(struct connection *connection)
{
	const struct config_address *to = &connection->config->to;
	int r;

	connection_close(connection, false);
	connection->written = connection->acknowledged = 0;
	connection->next = NULL;
	connection->error = 0;
	if (to->transport == CONFIG_TRANSPORT_UNIX) {
		connect_unix(connection);
		return;
	}
	r = resolver_new(to->host, to->port, SOCK_STREAM, &connection->resolver);
	if (r < 0) {
		fail(connection, r, NULL);
		return;
	}
	connection->phase = RESOLVING;
	resolve(connection);
}

static void finish_connect(struct connection *self)
{
	socklen_t length = sizeof(int);
	struct sockaddr_storage peer;
	socklen_t peer_length = sizeof(peer);
	int error = 0;

	(void)getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error) {
		try_next(self, -error, NULL);
		return;
	}
	if (getpeername(self->fd, (struct sockaddr *)&peer, &peer_length) < 0)
		return; /* not yet */
	self->wants_write = false;
	if (!self->tls_context) {
		self->phase = ESTABLISHED;
		return;
	}
	error = tls_new(self->tls_context, self->fd, &self->tls);
	if (error < 0) {
		try_next(self, error, NULL);
		return;
	}
	self->phase = SECURING;
	self->wants_step = true;
}

static void fail_tls(struct connection *self, int error)
{
	char reason[REASON_SIZE];

	snprintf(reason, sizeof(reason), "TLS: %s",
		 error == -EPROTO ? tls_get_reason(self->tls) : strerror(-error));
	fail(self, error, reason);
}

static void secure(struct connection *self)
{
	int r = tls_handshake(self->tls);

	self->wants_step = false;
	self->wants_write = r == TLS_WANTS_WRITE;
	if (r < 0) {
		fail_tls(self, r);
	} else if (r == 0) {
		self->phase = CONFIRMING;
		self->due_ns = clock_now_ns() + CONFIRM_NS;
		self->wants_step = true;
	}
}

/* Reads and throws away: a collector has nothing to say, but its end shows here. */
static int read_some(struct connection *self)
{
	char piece[READ_PIECE];
	ssize_t length = 0;

	for (int i = 0; i < READS_PER_STEP; i++) {
		int r;

		if (self->tls) {
			r = tls_read(self->tls);
		} else {
			length = recv(self->fd, piece, sizeof(piece), MSG_DONTWAIT);
			r = length > 0 ? 0 : length == 0 ? -ECONNRESET : -errno;
		}
		if (r == -EAGAIN || r == -EINTR)
			return 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static void confirm(struct connection *self, uint64_t now_ns)
{
	int r = read_some(self);

	self->wants_step = false;
	if (r < 0)
		fail_tls(self, r);
	else if (tls_is_confirmed(self->tls) || now_ns >= self->due_ns)
		self->phase = ESTABLISHED;
}

static void watch(struct connection *self)
{
	int r = read_some(self);

	if (r == -ECONNRESET)
		fail(self, r, "the collector closed the connection");
	else if (r < 0 && self->tls)
		fail_tls(self, r);
	else if (r < 0)
		fail(self, r, NULL);
}

enum connection_state connection_step(struct connection *connection, uint64_t now_ns)
{
	enum phase before;

	do {
		before = connection->phase;
		if ((before == CONNECTING || before == SECURING) && now_ns >= connection->due_ns) {
			try_next(connection, -ETIMEDOUT, NULL);
			break;
		}
		if (before == RESOLVING)
			resolve(connection);
		else if (before == CONNECTING)
			finish_connect(connection);
		else if (before == SECURING)
			secure(connection);
		else if (before == CONFIRMING)
			confirm(connection, now_ns);
		else if (before == ESTABLISHED)
			watch(connection);
	} while (connection->wants_step && connection->phase != before);
	return connection_get_state(connection);
}

enum connection_state connection_get_state(const struct connection *connection)
{
	if (connection->phase == IDLE)
		return CONNECTION_CLOSED;
	return connection->phase == ESTABLISHED ? CONNECTION_OPEN : CONNECTION_OPENING;
}

int connection_get_fd(const struct connection *connection)
{
	return connection->phase == IDLE ? -1 : connection->fd;
}

uint32_t connection_get_events(const struct connection *connection)
{
	uint32_t events = connection->wants_write ? EPOLLOUT : 0;

	return connection->phase == CONNECTING ? events : events | EPOLLIN | EPOLLRDHUP;
}

uint64_t connection_get_wait_ns(const struct connection *connection)
{
	uint64_t now_ns = clock_now_ns();

	if (connection->phase == RESOLVING)
		return RESOLVER_POLL_NS;
	if (connection->phase == IDLE || connection->phase == ESTABLISHED)
		return UINT64_MAX;
	return connection->due_ns > now_ns ? connection->due_ns - now_ns : 0;
}

int connection_write(struct connection *connection, const void *bytes, size_t length,
		     size_t *ret_taken)
{
	ssize_t taken;
	int r = 0;

	if (connection->tls) {
		r = tls_write(connection->tls, bytes, length, ret_taken);
	} else {
		do
			taken = send(connection->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (taken < 0 && errno == EINTR);
		if (taken < 0)
			r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
		else
			*ret_taken = (size_t)taken;
	}
	connection->wants_write = r == -EAGAIN;
	if (r == 0)
		connection->written += *ret_taken;
	else if (r != -EAGAIN)
		fail(connection, r, connection->tls ? tls_get_reason(connection->tls) : NULL);
	return r;
}

uint64_t connection_get_written(const struct connection *connection)
{
	return connection->tls ? tls_get_written(connection->tls) : connection->written;
}

uint64_t connection_get_acknowledged(const struct connection *connection)
{
	return connection->phase == ESTABLISHED ? read_acknowledged(connection)
						: connection->acknowledged;
}

const char *connection_get_reason(const struct connection *connection)
{
	return connection->reason;
}

int connection_get_error(const struct connection *connection)
{
	return connection->error;
}
