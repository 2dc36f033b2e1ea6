/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sends UDP datagrams from many ports, fast, and such that whoever asked for them knows every byte.
 *
 *     send_flows SOURCE DESTINATION PORT
 *
 * Each line "FIRST COUNT TIMES" on the standard input sends TIMES datagrams from each of COUNT
 * source ports, FIRST and up; the payload of port p is SEND_FLOWS_LEAST + p % SEND_FLOWS_SPREAD
 * bytes. A line "done" answers it. Anything that fails ends the program with a message. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"

enum { SEND_FLOWS_LEAST = 20, SEND_FLOWS_SPREAD = 500 };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void fail(const char *what)
{
	fprintf(stderr, "send_flows: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static socklen_t to_sockaddr(const char *text, uint16_t port, union address *out)
{
	struct ip_address address;
	enum ip_family family;

	errno = EINVAL;
	if (ip_address_parse(text, &family, &address) < 0)
		fail(text);
	memset(out, 0, sizeof(*out));
	if (family == IP_FAMILY_V4) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		memcpy(&out->v4.sin_addr, address.bytes, 4);
		return sizeof(out->v4);
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, address.bytes, 16);
	return sizeof(out->v6);
}

static void send_from(const char *source, uint16_t port, const union address *to, unsigned times)
{
	static const char payload[SEND_FLOWS_LEAST + SEND_FLOWS_SPREAD];
	union address from;
	socklen_t length = to_sockaddr(source, port, &from);
	int fd = socket(from.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, &from.any, length) < 0)
		fail("bind");
	for (unsigned i = 0; i < times; i++)
		if (sendto(fd, payload, (size_t)(SEND_FLOWS_LEAST + port % SEND_FLOWS_SPREAD), 0,
			   &to->any, length) < 0)
			fail("sendto");
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned first, count, times;
	union address to;

	if (argc != 4) {
		fputs("usage: send_flows SOURCE DESTINATION PORT\n", stderr);
		return 2;
	}
	to_sockaddr(argv[2], (uint16_t)atoi(argv[3]), &to);
	while (scanf("%u %u %u", &first, &count, &times) == 3) {
		for (unsigned port = first; port < first + count; port++)
			send_from(argv[1], (uint16_t)port, &to, times);
		puts("done");
		fflush(stdout);
	}
	return EXIT_SUCCESS;
}
