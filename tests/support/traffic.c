/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/traffic.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* "call" is an expression that is negative on failure. */
#define must(call)                                                                                 \
	({                                                                                         \
		__typeof__(call) _result = (call);                                                 \
		if (_result < 0) {                                                                 \
			perror(#call);                                                             \
			abort();                                                                   \
		}                                                                                  \
		_result;                                                                           \
	})

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t loopback(int family, uint16_t port, union address *out)
{
	*out = (union address){.any.sa_family = (sa_family_t)family};
	if (family == AF_INET) {
		out->v4.sin_port = htons(port);
		out->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(out->v4);
	}
	out->v6.sin6_port = htons(port);
	out->v6.sin6_addr = in6addr_loopback;
	return sizeof(out->v6);
}

static int open_bound(int family, int type, uint16_t port, uint16_t *ret_port)
{
	int fd = must(socket(family, type | SOCK_CLOEXEC, 0)), one = 1;
	union address address;
	socklen_t length = loopback(family, port, &address);
	struct timeval limit = {.tv_sec = 30};

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	must(bind(fd, &address.any, length));
	must(getsockname(fd, &address.any, &length));
	*ret_port = ntohs(family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
	return fd;
}

struct traffic_pair traffic_open(int family, int type, uint16_t client_port)
{
	struct traffic_pair pair;
	cleanup_close int listener = open_bound(family, type, 0, &pair.server_port);
	union address address;
	socklen_t length;

	if (type == SOCK_STREAM)
		must(listen(listener, 1));
	pair.client = open_bound(family, type, client_port, &pair.client_port);
	length = loopback(family, pair.server_port, &address);
	must(connect(pair.client, &address.any, length));
	if (type == SOCK_STREAM) {
		pair.server = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	} else {
		length = loopback(family, pair.client_port, &address);
		must(connect(listener, &address.any, length));
		pair.server = must(dup(listener));
	}
	return pair;
}

void traffic_exchange(const struct traffic_pair *pair, size_t bytes)
{
	cleanup_free char *data = calloc(1, bytes);

	must(send(pair->client, data, bytes, 0));
	must(recv(pair->server, data, bytes, MSG_WAITALL));
	must(send(pair->server, data, bytes, 0));
	must(recv(pair->client, data, bytes, MSG_WAITALL));
}

void traffic_close(struct traffic_pair *pair)
{
	char end;

	must(close(pair->client));
	recv(pair->server, &end, sizeof(end), MSG_DONTWAIT);
	must(close(pair->server));
}

void traffic_reset(struct traffic_pair *pair)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	must(setsockopt(pair->client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	must(close(pair->client));
	must(close(pair->server));
}

static uint16_t checksum(const void *data, size_t length)
{
	const uint16_t *words = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < length / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

void traffic_ping(int family, uint16_t id)
{
	struct icmphdr request = {.type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
				  .un.echo = {.id = htons(id), .sequence = htons(1)}};
	cleanup_close int fd =
		must(socket(family, SOCK_RAW | SOCK_CLOEXEC,
			    family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6));
	struct timeval limit = {.tv_sec = 30};
	union address address;
	socklen_t length = loopback(family, 0, &address);
	char answer[256];

	if (family == AF_INET)
		request.checksum = checksum(&request, sizeof(request));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	must(sendto(fd, &request, sizeof(request), 0, &address.any, length));
	/* On loopback the request comes back first, then the answer. */
	must(recv(fd, answer, sizeof(answer), 0));
	must(recv(fd, answer, sizeof(answer), 0));
}
