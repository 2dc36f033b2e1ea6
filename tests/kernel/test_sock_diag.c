/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What sock_diag answers, as attribution leans on it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "attribution/sock_diag.h"
#include "netlink/channel.h"
#include "support/network_namespace.h"

static struct sock_diag *diag;

static int set_up(void **state)
{
	(void)state;
	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		exit(77);
	}
	return sock_diag_open(&diag);
}

static int tear_down(void **state)
{
	(void)state;
	sock_diag_close(diag);
	return 0;
}

static struct ip_address address(const char *text)
{
	struct ip_address result;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &result), 0);
	return result;
}

/* A socket of "family" bound to (or listening at) a port of the kernel's choice. */
static int open_socket(int family, int type)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (family == AF_INET)
		assert_int_equal(bind(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
	else
		assert_int_equal(bind(fd, (struct sockaddr *)&v6, sizeof(v6)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int connect_v4(int type, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 name;
	socklen_t length = sizeof(name);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	return ntohs(name.sin6_port);
}

static uint64_t inode_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_ino;
}

static struct socket_tuple tuple(uint8_t protocol, uint16_t local_port, uint16_t remote_port)
{
	return (struct socket_tuple){.local = address("127.0.0.1"),
				     .remote = address("127.0.0.1"),
				     .local_port = local_port,
				     .remote_port = remote_port,
				     .family = IP_FAMILY_V4,
				     .protocol = protocol};
}

static int find(uint8_t protocol, uint16_t local_port, uint16_t remote_port,
		struct sock_diag_socket *ret)
{
	struct socket_tuple question = tuple(protocol, local_port, remote_port);

	return sock_diag_find(diag, &question, 0, ret);
}

static int on_answer(const struct nlmsghdr *message, void *userdata)
{
	return sock_diag_parse(message, userdata);
}

static void a_connection_has_its_inode_cookie_and_cgroup(void **state)
{
	int listener = open_socket(AF_INET, SOCK_STREAM);
	int client = connect_v4(SOCK_STREAM, port_of(listener));
	struct sock_diag_socket socket;
	uint64_t cookie;
	socklen_t length = sizeof(cookie);

	(void)state;
	assert_int_equal(find(IPPROTO_TCP, port_of(client), port_of(listener), &socket), 0);
	assert_int_equal(socket.inode, inode_of(client));
	assert_int_equal(socket.state, SOCK_DIAG_ESTABLISHED);
	assert_int_equal(getsockopt(client, SOL_SOCKET, SO_COOKIE, &cookie, &length), 0);
	assert_int_equal(socket.cookie, cookie);
	/* Fact 12. */
	assert_int_not_equal(socket.cgroup_id, 0);
	assert_int_equal(socket.uid, geteuid());
	close(client);
	close(listener);
}

/* Fact 9: asked in the socket's orientation, UDP names the peer's socket. */
static void udp_wants_source_and_destination_swapped(void **state)
{
	int server = open_socket(AF_INET, SOCK_DGRAM);
	int client = connect_v4(SOCK_DGRAM, port_of(server));
	struct socket_tuple question = tuple(IPPROTO_UDP, port_of(client), port_of(server));
	union {
		uint8_t bytes[SOCK_DIAG_REQUEST_SIZE];
		struct nlmsghdr header;
	} request;
	struct inet_diag_req_v2 *body = (void *)(request.bytes + NLMSG_HDRLEN);
	struct sock_diag_socket socket;
	struct netlink_channel *channel;

	(void)state;
	assert_int_equal(sock_diag_find(diag, &question, 0, &socket), 0);
	assert_int_equal(socket.inode, inode_of(client));
	assert_int_equal(netlink_channel_open(NETLINK_SOCK_DIAG, &channel), 0);
	sock_diag_encode_find(&question, 0, request.bytes);
	body->id.idiag_sport = htons(port_of(client));
	body->id.idiag_dport = htons(port_of(server));
	assert_int_equal(netlink_channel_request(channel, &request.header, on_answer, &socket), 0);
	assert_int_equal(socket.inode, inode_of(server));
	/* The check of what came back is what stands between this and a wrong process. */
	assert_false(sock_diag_socket_fits(&socket, &question));
	netlink_channel_close(channel);
	close(client);
	close(server);
}

/* Fact 10. */
static void an_unconnected_udp_socket_is_found(void **state)
{
	int server = open_socket(AF_INET, SOCK_DGRAM);
	struct sock_diag_socket socket;

	(void)state;
	assert_int_equal(find(IPPROTO_UDP, port_of(server), 9, &socket), 0);
	assert_int_equal(socket.inode, inode_of(server));
	assert_int_equal(socket.remote_port, 0);
	assert_int_equal(socket.state, SOCK_DIAG_CLOSE);
	close(server);
	assert_int_equal(find(IPPROTO_UDP, 9, 9, &socket), -ENOENT);
}

static void tcp_falls_back_to_the_listener(void **state)
{
	int listener = open_socket(AF_INET, SOCK_STREAM);
	struct sock_diag_socket socket;

	(void)state;
	assert_int_equal(find(IPPROTO_TCP, port_of(listener), 9, &socket), 0);
	assert_int_equal(socket.state, SOCK_DIAG_LISTEN);
	assert_int_equal(socket.inode, inode_of(listener));
	close(listener);
}

/* Fact 5, and fact 10 again. */
static void inode_0_before_accept_after_close_and_in_time_wait(void **state)
{
	int listener = open_socket(AF_INET, SOCK_STREAM);
	uint16_t port = port_of(listener), client_port;
	int client = connect_v4(SOCK_STREAM, port), accepted;
	struct sock_diag_socket socket;

	(void)state;
	client_port = port_of(client);
	assert_int_equal(find(IPPROTO_TCP, port, client_port, &socket), 0);
	assert_int_equal(socket.state, SOCK_DIAG_ESTABLISHED);
	assert_int_equal(socket.inode, 0);
	accepted = accept(listener, NULL, NULL);
	assert_int_equal(find(IPPROTO_TCP, port, client_port, &socket), 0);
	assert_int_equal(socket.inode, inode_of(accepted));
	close(client);
	assert_int_equal(find(IPPROTO_TCP, client_port, port, &socket), 0);
	/* Depends on whether the other side has acknowledged yet. */
	assert_in_range(socket.state, SOCK_DIAG_FIN_WAIT1, SOCK_DIAG_FIN_WAIT2);
	assert_int_equal(socket.inode, 0);
	close(accepted);
	assert_int_equal(find(IPPROTO_TCP, client_port, port, &socket), 0);
	assert_int_equal(socket.state, SOCK_DIAG_TIME_WAIT);
	assert_int_equal(socket.inode, 0);
	assert_false(socket.has_uid && socket.uid == 0);
	close(listener);
}

/* So that one question is enough for a packet's family. */
static void an_ipv4_question_finds_ipv6_sockets(void **state)
{
	int listener = open_socket(AF_INET6, SOCK_STREAM);
	int server = open_socket(AF_INET6, SOCK_DGRAM);
	int client = connect_v4(SOCK_STREAM, port_of(listener));
	int accepted = accept(listener, NULL, NULL);
	struct sock_diag_socket socket;

	(void)state;
	assert_int_equal(find(IPPROTO_TCP, port_of(listener), 9, &socket), 0);
	assert_int_equal(socket.inode, inode_of(listener));
	assert_int_equal(find(IPPROTO_TCP, port_of(listener), port_of(client), &socket), 0);
	assert_int_equal(socket.inode, inode_of(accepted));
	assert_int_equal(socket.family, IP_FAMILY_V4);
	assert_int_equal(find(IPPROTO_UDP, port_of(server), 9, &socket), 0);
	assert_int_equal(socket.inode, inode_of(server));
	close(accepted);
	close(client);
	close(server);
	close(listener);
}

static void a_socket_bound_to_a_device_needs_its_index(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct socket_tuple question;
	struct sock_diag_socket socket;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	question = tuple(IPPROTO_UDP, port_of(fd), 9);
	assert_int_equal(sock_diag_find(diag, &question, 0, &socket), -ENOENT);
	assert_int_equal(sock_diag_find(diag, &question, 1, &socket), 0);
	assert_int_equal(socket.inode, inode_of(fd));
	assert_int_equal(socket.interface, 1);
	close(fd);
}

static void count(const struct sock_diag_socket *socket, void *userdata)
{
	unsigned *counted = userdata;

	assert_int_not_equal(socket->inode, 0);
	++*counted;
}

static void a_port_is_listed_with_both_families(void **state)
{
	int fds[3];
	unsigned counted = 0;
	uint16_t port = 20031;
	int on = 1;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

		fds[i] = socket(i ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		assert_int_equal(i ? bind(fds[i], (struct sockaddr *)&v4, sizeof(v4))
				   : bind(fds[i], (struct sockaddr *)&v6, sizeof(v6)),
				 0);
	}
	assert_int_equal(sock_diag_list_port(diag, IPPROTO_UDP, port, 1u << SOCK_DIAG_CLOSE, count,
					     &counted),
			 0);
	assert_int_equal(counted, 3);
	assert_int_equal(sock_diag_list_port(diag, IPPROTO_UDP, (uint16_t)(port + 1),
					     1u << SOCK_DIAG_CLOSE, count, &counted),
			 0);
	assert_int_equal(counted, 3);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

/* Without a handler the kernel answers as for a socket that is not there. */
static void k7_a_protocol_without_diag_is_told_apart(void **state)
{
	struct sock_diag_socket socket;

	(void)state;
	assert_true(sock_diag_has_protocol(diag, IPPROTO_TCP));
	assert_true(sock_diag_has_protocol(diag, IPPROTO_UDP));
	assert_false(sock_diag_has_protocol(diag, IPPROTO_GRE));
	assert_int_equal(find(IPPROTO_GRE, 1, 2, &socket), -EPROTONOSUPPORT);
	assert_int_equal(find(IPPROTO_TCP, 1, 2, &socket), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_has_its_inode_cookie_and_cgroup),
		cmocka_unit_test(udp_wants_source_and_destination_swapped),
		cmocka_unit_test(an_unconnected_udp_socket_is_found),
		cmocka_unit_test(tcp_falls_back_to_the_listener),
		cmocka_unit_test(inode_0_before_accept_after_close_and_in_time_wait),
		cmocka_unit_test(an_ipv4_question_finds_ipv6_sockets),
		cmocka_unit_test(a_socket_bound_to_a_device_needs_its_index),
		cmocka_unit_test(a_port_is_listed_with_both_families),
		cmocka_unit_test(k7_a_protocol_without_diag_is_told_apart),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
