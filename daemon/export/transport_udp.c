/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A connected, non-blocking socket: connected, so that the kernel hands us the ICMP error of a
 * collector that is not there. What is sent while a name is looked up waits; while none is known,
 * it is lost. */

#define LOG_MODULE "export"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "export/resolver.h"
#include "export/transport_ops.h"
#include "runtime/log.h"

#define RESOLVE_EVERY_NS (30 * NS_PER_SEC)

struct transport_udp {
	struct transport head;
	const struct config_address *to;
	const char *log_name;
	struct resolver *resolver; /* a lookup under way, or NULL */
	uint64_t next_lookup_ns;
	bool was_told;
};

static int connect_socket(struct transport_udp *self, const struct addrinfo *address)
{
	cleanup_close int fd =
		socket(address->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) < 0)
		return -errno;
	self->head.fd = steal_fd(&fd);
	return 0;
}

/* The first address that there is a route to. */
static int connect_any(struct transport_udp *self, const struct addrinfo *addresses)
{
	int r = -EADDRNOTAVAIL;

	for (const struct addrinfo *at = addresses; at; at = at->ai_next) {
		r = connect_socket(self, at);
		if (r == 0)
			return 0;
	}
	return r;
}

static void tell_failure(struct transport_udp *self, const char *doing, const char *reason)
{
	if (!self->was_told)
		log_warning("%s: cannot %s %s: %s; trying again every 30 s", self->log_name, doing,
			    self->to->host, reason);
	self->was_told = true;
}

/* 0: there is a socket; -EAGAIN: the lookup goes on; -EADDRNOTAVAIL. */
static int look_up(struct transport_udp *self)
{
	const struct addrinfo *addresses;
	int r;

	if (!self->resolver) {
		if (clock_now_ns() < self->next_lookup_ns)
			return -EADDRNOTAVAIL;
		self->next_lookup_ns = clock_now_ns() + RESOLVE_EVERY_NS;
		if (resolver_new(self->to->host, self->to->port, SOCK_DGRAM, &self->resolver) < 0)
			return -EADDRNOTAVAIL;
	}
	r = resolver_poll(self->resolver, &addresses);
	if (r == RESOLVER_PENDING)
		return -EAGAIN;
	if (r < 0) {
		tell_failure(self, "resolve", resolver_get_reason(self->resolver));
	} else {
		r = connect_any(self, addresses);
		if (r < 0)
			tell_failure(self, "reach", strerror(-r));
	}
	resolver_free(steal_pointer(&self->resolver));
	if (r < 0)
		return -EADDRNOTAVAIL;
	if (self->was_told)
		log_notice("%s: %s is known now", self->log_name, self->to->host);
	return 0;
}

static int udp_send(struct transport *transport, const void *bytes, size_t length,
		    size_t *ret_taken)
{
	struct transport_udp *self = (struct transport_udp *)transport;
	ssize_t taken;

	if (transport->fd < 0) {
		int r = look_up(self);

		if (r < 0)
			return r;
	}
	do
		taken = send(transport->fd, bytes, length, MSG_NOSIGNAL);
	while (taken < 0 && errno == EINTR);
	if (taken < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	*ret_taken = (size_t)taken;
	return 0;
}

static void udp_close(struct transport *transport)
{
	struct transport_udp *self = (struct transport_udp *)transport;

	resolver_free(self->resolver);
	if (transport->fd >= 0)
		close(transport->fd);
	free(self);
}

int transport_udp_open(const struct config_address *to, const char *log_name,
		       struct transport **ret)
{
	static const struct transport_ops ops = {.send = udp_send, .close = udp_close};
	struct transport_udp *self = calloc(1, sizeof(*self));

	if (!self)
		return -ENOMEM;
	*self = (struct transport_udp){
		.head = {.ops = &ops, .fd = -1}, .to = to, .log_name = log_name};
	(void)look_up(self);
	*ret = &self->head;
	return 0;
}
