/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A connected, non-blocking socket: connected, so that the kernel hands us the ICMP error of a
 * collector that is not there. A name that does not resolve yet is looked up again by the C
 * library's own helper thread (getaddrinfo_a), because getaddrinfo() may wait for many seconds. */

#define LOG_MODULE "export"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "export/transport_ops.h"
#include "runtime/log.h"

#define RESOLVE_EVERY_NS (30 * NS_PER_SEC)

static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};

/* Not part of the transport: a lookup that cannot be cancelled outlives it. */
struct lookup {
	struct gaicb request;
	char host[256], port[8];
};

struct transport_udp {
	struct transport head;
	const struct config_address *to;
	const char *log_name;
	struct lookup *lookup; /* under way, or NULL */
	uint64_t next_lookup_ns;
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

static void start_lookup(struct transport_udp *self)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct gaicb *list[1];

	self->next_lookup_ns = clock_now_ns() + RESOLVE_EVERY_NS;
	if (!lookup)
		return;
	snprintf(lookup->host, sizeof(lookup->host), "%s", self->to->host);
	snprintf(lookup->port, sizeof(lookup->port), "%u", self->to->port);
	lookup->request = (struct gaicb){
		.ar_name = lookup->host, .ar_service = lookup->port, .ar_request = &hints};
	list[0] = &lookup->request;
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0)
		self->lookup = lookup;
	else
		free(lookup);
}

static void finish_lookup(struct transport_udp *self)
{
	struct lookup *lookup = self->lookup;
	int error = gai_error(&lookup->request);
	int r = -EADDRNOTAVAIL;

	if (error == EAI_INPROGRESS)
		return;
	self->lookup = NULL;
	if (error == 0) {
		r = connect_any(self, lookup->request.ar_result);
		freeaddrinfo(lookup->request.ar_result);
	}
	free(lookup);
	if (r == 0)
		log_notice("%s: %s is known now", self->log_name, self->to->host);
}

static int udp_send(struct transport *transport, const void *bytes, size_t length,
		    size_t *ret_taken)
{
	struct transport_udp *self = (struct transport_udp *)transport;
	ssize_t taken;

	if (transport->fd < 0 && self->lookup)
		finish_lookup(self);
	if (transport->fd < 0) {
		if (!self->lookup && clock_now_ns() >= self->next_lookup_ns)
			start_lookup(self);
		return -EADDRNOTAVAIL;
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
	struct lookup *lookup = self->lookup;

	/* One that its thread is working on must keep its memory: it is left to the end of the
	 * process. */
	if (lookup && gai_cancel(&lookup->request) != EAI_NOTCANCELED) {
		if (gai_error(&lookup->request) == 0)
			freeaddrinfo(lookup->request.ar_result);
		free(lookup);
	}
	if (transport->fd >= 0)
		close(transport->fd);
	free(self);
}

static void resolve_now(struct transport_udp *self)
{
	struct addrinfo *addresses = NULL;
	char port[8];
	int error, r;

	snprintf(port, sizeof(port), "%u", self->to->port);
	error = getaddrinfo(self->to->host, port, &hints, &addresses);
	if (error) {
		log_warning("%s: cannot resolve %s: %s; trying again every 30 s", self->log_name,
			    self->to->host, gai_strerror(error));
	} else {
		r = connect_any(self, addresses);
		if (r < 0)
			log_warning("%s: cannot reach %s yet: %s; trying again every 30 s",
				    self->log_name, self->to->host, strerror(-r));
		freeaddrinfo(addresses);
	}
	self->next_lookup_ns = clock_now_ns() + RESOLVE_EVERY_NS;
}

int transport_udp_open(const struct config_address *to, const char *log_name,
		       struct transport **ret)
{
	static const struct transport_ops ops = {false, udp_send, udp_close, NULL, NULL};
	struct transport_udp *self = calloc(1, sizeof(*self));

	if (!self)
		return -ENOMEM;
	*self = (struct transport_udp){
		.head = {.ops = &ops, .fd = -1}, .to = to, .log_name = log_name};
	resolve_now(self);
	*ret = &self->head;
	return 0;
}
