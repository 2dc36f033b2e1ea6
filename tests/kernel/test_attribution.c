/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whose is this tuple: real processes, real sockets, on the loopback of a network namespace of the
 * test's own. Numbers are those of the attribution cases. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/icmp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attribution/attribution.h"
#include "base/clock.h"
#include "config/config.h"
#include "support/actor.h"
#include "support/network_namespace.h"

/* --- Steps: they run in the actors' processes. Each keeps its descriptors by their number. --- */

enum shape { V4, V6, MAPPED };

static struct sockaddr_in6 make_address(enum shape shape, uint16_t port)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};

	if (shape == V4)
		memcpy(&address, &v4, sizeof(v4));
	else
		inet_pton(AF_INET6, shape == V6 ? "::1" : "::ffff:127.0.0.1", &address.sin6_addr);
	return address;
}

static socklen_t address_length(enum shape shape)
{
	return shape == V4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static int64_t pack(int64_t shape, int64_t port, int64_t fd)
{
	return shape | port << 8 | fd << 32;
}
#define SHAPE(argument) ((enum shape)((argument)&0xff))
#define PORT(argument)	((uint16_t)((argument) >> 8))
#define FD(argument)	((int)((argument) >> 32))

static int64_t open_bound(int64_t argument, int type, int option)
{
	enum shape shape = SHAPE(argument);
	struct sockaddr_in6 address = make_address(shape, PORT(argument));
	int fd = socket(shape == V4 ? AF_INET : AF_INET6, type, 0);
	int on = 1;

	if (fd < 0 || (option && setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)) < 0) ||
	    bind(fd, (struct sockaddr *)&address, address_length(shape)) < 0)
		return -errno;
	return fd;
}

static int64_t do_listen(int64_t argument)
{
	int64_t fd = open_bound(argument, SOCK_STREAM, SO_REUSEADDR);

	return fd < 0 || listen((int)fd, 64) == 0 ? fd : -errno;
}

static int64_t do_listen_reuseport(int64_t argument)
{
	int64_t fd = open_bound(argument, SOCK_STREAM, SO_REUSEPORT);

	return fd < 0 || listen((int)fd, 64) == 0 ? fd : -errno;
}

static int64_t do_bind_udp(int64_t argument)
{
	return open_bound(argument, SOCK_DGRAM, 0);
}

static int64_t do_bind_udp_reuse(int64_t argument)
{
	return open_bound(argument, SOCK_DGRAM, SO_REUSEADDR);
}

static int64_t do_bind_udp_reuseport(int64_t argument)
{
	return open_bound(argument, SOCK_DGRAM, SO_REUSEPORT);
}

static int64_t do_bind_udp_any(int64_t argument)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT(argument))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -errno;
}

/* "address" in host order. */
static int64_t listen_on(uint32_t address, uint16_t port)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(fd, 64) == 0
		       ? fd
		       : -errno;
}

static int64_t do_listen_any(int64_t argument)
{
	return listen_on(INADDR_ANY, PORT(argument));
}

static int64_t do_listen_second(int64_t argument)
{
	return listen_on(INADDR_LOOPBACK + 1, PORT(argument));
}

static int64_t connect_to(int64_t argument, int type)
{
	enum shape shape = SHAPE(argument);
	struct sockaddr_in6 address = make_address(shape, PORT(argument));
	int fd = socket(shape == V4 ? AF_INET : AF_INET6, type, 0);
	int on = 1;

	/* Another may bind the port while this socket is in TIME_WAIT. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, address_length(shape)) < 0)
		return -errno;
	return fd;
}

static int64_t do_connect(int64_t argument)
{
	return connect_to(argument, SOCK_STREAM);
}

static int64_t do_connect_udp(int64_t argument)
{
	return connect_to(argument, SOCK_DGRAM);
}

/* Sends one datagram from descriptor FD to the port, without connecting. */
static int64_t do_send(int64_t argument)
{
	enum shape shape = SHAPE(argument);
	struct sockaddr_in6 address = make_address(shape, PORT(argument));

	return sendto(FD(argument), "x", 1, 0, (struct sockaddr *)&address,
		      address_length(shape)) == 1
		       ? 0
		       : -errno;
}

static int64_t do_open_udp(int64_t argument)
{
	return socket(SHAPE(argument) == V4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
}

static int64_t do_accept(int64_t fd)
{
	int connection = accept((int)fd, NULL, NULL);

	return connection < 0 ? -errno : connection;
}

static int64_t do_close(int64_t fd)
{
	return close((int)fd);
}

static int64_t do_port(int64_t fd)
{
	struct sockaddr_in6 address;
	socklen_t length = sizeof(address);

	if (getsockname((int)fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	return ntohs(address.sin6_port);
}

/* --- The test's side --- */

struct fixture {
	struct attribution *attribution;
	int proc_fd;
	struct actor server, client;
};

static int set_up_group(void **state)
{
	static struct fixture fixture;

	if (network_namespace_enter() < 0 ||
	    network_namespace_set("ipv4/ping_group_range", "0 2147483647") < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		exit(77);
	}
	fixture.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &fixture;
	return 0;
}

static int set_up(void **state)
{
	struct fixture *fixture = *state;
	struct attribution_options options = {.methods = CONFIG_METHOD_SOCK_DIAG,
					      .proc_fd = fixture->proc_fd};

	fixture->server = actor_start();
	fixture->client = actor_start();
	return attribution_new(&options, &fixture->attribution);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	actor_stop(&fixture->client);
	actor_stop(&fixture->server);
	attribution_free(fixture->attribution);
	return 0;
}

static int64_t tell(const struct actor *actor, actor_step step, int64_t argument)
{
	int64_t answer = actor_tell(actor, step, argument);

	if (answer < 0)
		fail_msg("a step of process %d failed: %s", actor->pid, strerror((int)-answer));
	return answer;
}

static uint16_t port_of(const struct actor *actor, int64_t fd)
{
	return (uint16_t)tell(actor, do_port, fd);
}

static struct ip_address loopback(enum shape shape)
{
	enum ip_family family;
	struct ip_address address;

	ip_address_parse(shape == V6 ? "::1" : "127.0.0.1", &family, &address);
	return address;
}

/* Asks again, for a while, where the host was too busy to look: others use it too. */
static struct ownership ask_query(struct fixture *fixture, const struct ownership_query *query)
{
	uint64_t deadline_ns = clock_now_ns() + 5 * NS_PER_SEC;
	struct ownership answer;

	for (;;) {
		attribution_find_owner(fixture->attribution, query, clock_now_ns(), &answer);
		if (answer.reason != OWNERSHIP_REASON_BUSY || clock_now_ns() > deadline_ns)
			return answer;
		assert_true(answer.is_provisional);
		poll(NULL, 0, 1);
	}
}

static struct ownership ask_protocol(struct fixture *fixture, uint8_t protocol, enum shape shape,
				     uint16_t local_port, uint16_t remote_port, bool initiator)
{
	struct ownership_query query = {
		.socket = {.local = loopback(shape),
			   .remote = loopback(shape),
			   .local_port = local_port,
			   .remote_port = remote_port,
			   .family = shape == V6 ? IP_FAMILY_V6 : IP_FAMILY_V4,
			   .protocol = protocol},
		.when_ns = clock_now_ns(),
		.initiator = initiator};

	return ask_query(fixture, &query);
}

static struct ownership ask(struct fixture *fixture, uint8_t protocol, enum shape shape,
			    uint16_t local_port, uint16_t remote_port)
{
	return ask_protocol(fixture, protocol, shape, local_port, remote_port, true);
}

static struct ownership ask_responder(struct fixture *fixture, uint8_t protocol, enum shape shape,
				      uint16_t local_port, uint16_t remote_port)
{
	return ask_protocol(fixture, protocol, shape, local_port, remote_port, false);
}

static void print_answer(const struct ownership *answer)
{
	fprintf(stderr, "answer: %s %s pid %d start %llu uid %d(%d) cgroup %llu%s\n",
		ownership_method_name(answer->method), ownership_reason_name(answer->reason),
		answer->process.pid, (unsigned long long)answer->process.start_ticks, answer->uid,
		answer->has_uid, (unsigned long long)answer->cgroup_id,
		answer->is_provisional ? " provisional" : "");
}

#define assert_owner(answer, wanted_method, wanted_pid)                                            \
	do {                                                                                       \
		struct ownership _answer = (answer);                                               \
		print_answer(&_answer);                                                            \
		assert_string_equal(ownership_method_name(_answer.method),                         \
				    ownership_method_name(wanted_method));                         \
		assert_int_equal(_answer.process.pid, wanted_pid);                                 \
		assert_true(_answer.process.start_ticks > 0);                                      \
	} while (0)

#define assert_none(answer, wanted_reason)                                                         \
	do {                                                                                       \
		struct ownership _answer = (answer);                                               \
		print_answer(&_answer);                                                            \
		assert_string_equal(ownership_method_name(_answer.method), "none");                \
		assert_string_equal(ownership_reason_name(_answer.reason),                         \
				    ownership_reason_name(wanted_reason));                         \
		assert_int_equal(_answer.process.pid, 0);                                          \
	} while (0)

/* A listener and a client that connects to it, nobody has accepted. */
struct connection {
	enum shape shape;
	int64_t listener, client;
	uint16_t server_port, client_port;
};

static struct connection connect_actors(struct fixture *fixture, enum shape client_shape,
					enum shape server_shape)
{
	struct connection connection = {.shape = client_shape};

	connection.listener = tell(&fixture->server, do_listen, pack(server_shape, 0, 0));
	connection.server_port = port_of(&fixture->server, connection.listener);
	connection.client =
		tell(&fixture->client, do_connect, pack(client_shape, connection.server_port, 0));
	connection.client_port = port_of(&fixture->client, connection.client);
	return connection;
}

static struct ownership ask_client(struct fixture *fixture, const struct connection *connection)
{
	return ask(fixture, IPPROTO_TCP, connection->shape, connection->client_port,
		   connection->server_port);
}

static struct ownership ask_server(struct fixture *fixture, const struct connection *connection)
{
	return ask_responder(fixture, IPPROTO_TCP, connection->shape, connection->server_port,
			     connection->client_port);
}

static void check_tcp(struct fixture *fixture, enum shape client_shape, enum shape server_shape)
{
	struct connection connection = connect_actors(fixture, client_shape, server_shape);
	struct ownership before = ask_server(fixture, &connection);

	assert_owner(before, OWNERSHIP_LISTENER, fixture->server.pid);
	assert_true(before.is_provisional);
	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	tell(&fixture->server, do_accept, connection.listener);
	assert_owner(ask_server(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->server.pid);
	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	/* Again, from the cache. */
	assert_owner(ask_server(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->server.pid);
	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->client.pid);
}

static void a45_tcp_v4_has_both_ends(void **state)
{
	check_tcp(*state, V4, V4);
}

static void a45_tcp_v6_has_both_ends(void **state)
{
	check_tcp(*state, V6, V6);
}

static void a21_mapped_client_of_a_v4_server(void **state)
{
	check_tcp(*state, MAPPED, V4);
}

static void a21_v4_client_of_a_mapped_server(void **state)
{
	check_tcp(*state, V4, MAPPED);
}

static void a04_time_wait_has_no_owner(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);
	int64_t accepted = tell(&fixture->server, do_accept, connection.listener);

	tell(&fixture->client, do_close, connection.client);
	tell(&fixture->server, do_close, accepted);
	assert_none(ask_client(fixture, &connection), OWNERSHIP_REASON_CLOSED);
	/* The server's end is gone, and its listener is all that answers. */
	assert_owner(ask_server(fixture, &connection), OWNERSHIP_LISTENER, fixture->server.pid);
	tell(&fixture->server, do_close, connection.listener);
	assert_none(ask_server(fixture, &connection), OWNERSHIP_REASON_CLOSED);
}

static void a04_live_socket_wins_over_time_wait(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);
	int64_t accepted = tell(&fixture->server, do_accept, connection.listener);
	struct actor other = actor_start();
	int64_t bound;
	struct connection second;

	tell(&fixture->client, do_close, connection.client);
	tell(&fixture->server, do_close, accepted);
	/* Another process takes the port, while the old tuple is in TIME_WAIT, for another peer. */
	second = connection;
	bound = tell(&other, do_listen, pack(V4, connection.client_port, 0));
	assert_true(bound >= 0);
	assert_none(ask_client(fixture, &connection), OWNERSHIP_REASON_CLOSED);
	second.client = tell(&fixture->client, do_connect, pack(V4, connection.client_port, 0));
	second.client_port = port_of(&fixture->client, second.client);
	tell(&other, do_accept, bound);
	assert_owner(
		ask_responder(fixture, IPPROTO_TCP, V4, connection.client_port, second.client_port),
		OWNERSHIP_SOCK_DIAG, other.pid);
	assert_none(ask_client(fixture, &connection), OWNERSHIP_REASON_CLOSED);
	actor_stop(&other);
}

static void an_initiator_is_never_a_listener(void **state)
{
	struct fixture *fixture = *state;
	int64_t listener = tell(&fixture->server, do_listen, pack(V4, 0, 0));

	assert_none(ask(fixture, IPPROTO_TCP, V4, port_of(&fixture->server, listener), 9),
		    OWNERSHIP_REASON_CLOSED);
}

static void a01_process_that_exited(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);

	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	actor_stop(&fixture->client);
	assert_none(ask_client(fixture, &connection), OWNERSHIP_REASON_CLOSED);
}

static void check_udp(struct fixture *fixture, enum shape shape, enum shape server_shape)
{
	int64_t server = tell(&fixture->server, do_bind_udp, pack(server_shape, 0, 0));
	uint16_t server_port = port_of(&fixture->server, server);
	int64_t connected = tell(&fixture->client, do_connect_udp, pack(shape, server_port, 0));
	uint16_t connected_port = port_of(&fixture->client, connected);
	int64_t loose = tell(&fixture->client, do_open_udp, pack(shape, 0, 0));
	uint16_t loose_port;

	tell(&fixture->client, do_send, pack(shape, server_port, loose));
	loose_port = port_of(&fixture->client, loose);
	assert_owner(ask(fixture, IPPROTO_UDP, shape, connected_port, server_port),
		     OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	assert_owner(ask(fixture, IPPROTO_UDP, shape, loose_port, server_port), OWNERSHIP_SOCK_DIAG,
		     fixture->client.pid);
	assert_owner(ask_responder(fixture, IPPROTO_UDP, shape, server_port, connected_port),
		     OWNERSHIP_SOCK_DIAG, fixture->server.pid);
	assert_owner(ask_responder(fixture, IPPROTO_UDP, shape, server_port, loose_port),
		     OWNERSHIP_SOCK_DIAG, fixture->server.pid);
	/* The client is gone: the server's socket, the other end of it, must not stand in. */
	actor_stop(&fixture->client);
	assert_none(ask(fixture, IPPROTO_UDP, shape, connected_port, server_port),
		    OWNERSHIP_REASON_CLOSED);
	assert_none(ask(fixture, IPPROTO_UDP, shape, loose_port, server_port),
		    OWNERSHIP_REASON_CLOSED);
}

static void a23_udp_v4_connected_and_not(void **state)
{
	check_udp(*state, V4, V4);
}

static void a23_udp_v6_connected_and_not(void **state)
{
	check_udp(*state, V6, V6);
}

static void a21_udp_mapped_connected_and_not(void **state)
{
	check_udp(*state, MAPPED, V4);
}

static void a21_udp_mapped_server(void **state)
{
	check_udp(*state, V4, MAPPED);
}

static void a05_port_taken_over_by_a_later_process(void **state)
{
	struct fixture *fixture = *state;
	int64_t first = tell(&fixture->client, do_bind_udp, pack(V4, 0, 0));
	uint16_t port = port_of(&fixture->client, first);
	struct ownership_query query = {.socket = {.local = loopback(V4),
						   .remote = loopback(V4),
						   .local_port = port,
						   .remote_port = 9,
						   .family = IP_FAMILY_V4,
						   .protocol = IPPROTO_UDP},
					.initiator = true};
	struct ownership answer;
	struct actor later;
	uint64_t deadline_ns;

	tell(&fixture->client, do_send, pack(V4, 9, first));
	query.when_ns = clock_now_ns();
	actor_stop(&fixture->client);
	/* Start times are told in ticks of 10 ms: the later process must be in a later one. */
	deadline_ns = query.when_ns + 30 * NS_PER_MS;
	while (clock_now_ns() < deadline_ns)
		poll(NULL, 0, 1);
	later = actor_start();
	tell(&later, do_bind_udp, pack(V4, port, 0));
	answer = ask_query(fixture, &query);
	assert_none(answer, OWNERSHIP_REASON_EXITED);
	/* Its own flow is its own. */
	query.when_ns = clock_now_ns();
	answer = ask_query(fixture, &query);
	assert_owner(answer, OWNERSHIP_SOCK_DIAG, later.pid);
	actor_stop(&later);
}

static void a16_the_specific_address_wins(void **state)
{
	struct fixture *fixture = *state;

	for (int order = 0; order < 2; order++) {
		uint16_t port = (uint16_t)(20001 + order);
		actor_step steps[2] = {do_bind_udp_any, do_bind_udp_reuse};
		const struct actor *actors[2] = {&fixture->client, &fixture->server};

		tell(actors[order], steps[order], pack(V4, port, 0));
		tell(actors[!order], steps[!order], pack(V4, port, 0));
		assert_owner(ask_responder(fixture, IPPROTO_UDP, V4, port, 9), OWNERSHIP_SOCK_DIAG,
			     fixture->server.pid);
		assert_owner(ask(fixture, IPPROTO_UDP, V4, port, 9), OWNERSHIP_SOCK_DIAG,
			     fixture->server.pid);
	}
}

/* A connection to 127.0.0.1, which "server" listens on, while "other" has the same port elsewhere. */
static void check_one_port(struct fixture *fixture, actor_step listen_other, uint16_t port,
			   bool is_server_first)
{
	struct actor other = actor_start();
	int64_t listener, accepted, client;
	uint16_t client_port;

	if (!is_server_first)
		tell(&other, listen_other, pack(V4, port, 0));
	listener = tell(&fixture->server, do_listen_reuseport, pack(V4, port, 0));
	if (is_server_first)
		tell(&other, listen_other, pack(V4, port, 0));
	client = tell(&fixture->client, do_connect, pack(V4, port, 0));
	client_port = port_of(&fixture->client, client);
	assert_owner(ask_responder(fixture, IPPROTO_TCP, V4, port, client_port), OWNERSHIP_LISTENER,
		     fixture->server.pid);
	accepted = tell(&fixture->server, do_accept, listener);
	assert_owner(ask_responder(fixture, IPPROTO_TCP, V4, port, client_port),
		     OWNERSHIP_SOCK_DIAG, fixture->server.pid);
	/* Closed: nothing but the listeners is left to tell by. */
	tell(&fixture->server, do_close, accepted);
	assert_owner(ask_responder(fixture, IPPROTO_TCP, V4, port, client_port), OWNERSHIP_LISTENER,
		     fixture->server.pid);
	actor_stop(&other);
}

static void a16_one_port_of_two_listeners(void **state)
{
	struct fixture *fixture = *state;

	for (int order = 0; order < 2; order++) {
		check_one_port(fixture, do_listen_any, (uint16_t)(20021 + order), order);
		check_one_port(fixture, do_listen_second, (uint16_t)(20031 + order), order);
	}
}

static void a25_two_senders_on_one_port_are_ambiguous(void **state)
{
	struct fixture *fixture = *state;

	tell(&fixture->server, do_bind_udp_reuse, pack(V4, 20011, 0));
	assert_owner(ask(fixture, IPPROTO_UDP, V4, 20011, 9), OWNERSHIP_SOCK_DIAG,
		     fixture->server.pid);
	tell(&fixture->client, do_bind_udp_reuse, pack(V4, 20011, 0));
	assert_none(ask(fixture, IPPROTO_UDP, V4, 20011, 9), OWNERSHIP_REASON_AMBIGUOUS);
}

static void a25_two_sockets_of_one_process_are_not(void **state)
{
	struct fixture *fixture = *state;

	tell(&fixture->server, do_bind_udp_reuse, pack(V4, 20012, 0));
	tell(&fixture->server, do_bind_udp_reuse, pack(V4, 20012, 0));
	assert_owner(ask(fixture, IPPROTO_UDP, V4, 20012, 9), OWNERSHIP_SOCK_DIAG,
		     fixture->server.pid);
}

/* The datagram arrives in exactly one of the group: the answer must name the one that gets it. */
static int64_t do_count_datagrams(int64_t fd)
{
	char byte;
	int64_t count = 0;

	while (recv((int)fd, &byte, 1, MSG_DONTWAIT) == 1)
		count++;
	return count;
}

static void a14_reuseport_names_the_worker_that_receives(void **state)
{
	struct fixture *fixture = *state;
	struct actor other = actor_start();
	int64_t first = tell(&fixture->server, do_bind_udp_reuseport, pack(V4, 20013, 0));
	int64_t second = tell(&other, do_bind_udp_reuseport, pack(V4, 20013, 0));
	unsigned to_first = 0;

	for (int i = 0; i < 20; i++) {
		int64_t fd = tell(&fixture->client, do_open_udp, pack(V4, 0, 0));
		struct ownership answer;
		bool is_first;

		tell(&fixture->client, do_send, pack(V4, 20013, fd));
		is_first = tell(&fixture->server, do_count_datagrams, first) == 1;
		assert_int_equal(tell(&other, do_count_datagrams, second), !is_first);
		to_first += is_first;
		answer = ask_responder(fixture, IPPROTO_UDP, V4, 20013,
				       port_of(&fixture->client, fd));
		assert_owner(answer, OWNERSHIP_SOCK_DIAG,
			     is_first ? fixture->server.pid : other.pid);
	}
	fprintf(stderr, "%u of 20 datagrams went to the first\n", to_first);
	actor_stop(&other);
}

static void a14_unaccepted_in_a_reuseport_group_is_ambiguous(void **state)
{
	struct fixture *fixture = *state;
	struct actor other = actor_start();
	int64_t client;
	struct ownership answer;

	tell(&fixture->server, do_listen_reuseport, pack(V4, 20014, 0));
	tell(&other, do_listen_reuseport, pack(V4, 20014, 0));
	client = tell(&fixture->client, do_connect, pack(V4, 20014, 0));
	answer = ask_responder(fixture, IPPROTO_TCP, V4, 20014, port_of(&fixture->client, client));
	assert_none(answer, OWNERSHIP_REASON_AMBIGUOUS);
	assert_true(answer.is_provisional);
	actor_stop(&other);
}

static void a15_shared_by_fork_names_the_oldest(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);
	struct actor child;

	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	child = actor_fork(&fixture->client);
	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SHARED, fixture->client.pid);
	/* The older one closes it: the child is the single holder. */
	tell(&fixture->client, do_close, connection.client);
	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SOCK_DIAG, child.pid);
	actor_stop(&child);
	assert_none(ask_client(fixture, &connection), OWNERSHIP_REASON_CLOSED);
}

static void a12_accept_then_fork_is_the_child(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);
	int64_t accepted = tell(&fixture->server, do_accept, connection.listener);
	struct actor child = actor_fork(&fixture->server);
	struct ownership both = ask_server(fixture, &connection);

	assert_owner(both, OWNERSHIP_SHARED, fixture->server.pid);
	assert_true(both.is_provisional);
	tell(&fixture->server, do_close, accepted);
	assert_owner(ask_server(fixture, &connection), OWNERSHIP_SOCK_DIAG, child.pid);
	actor_stop(&child);
}

static void a13_accepted_by_a_worker_of_an_inherited_listener(void **state)
{
	struct fixture *fixture = *state;
	int64_t listener = tell(&fixture->server, do_listen, pack(V4, 0, 0));
	uint16_t port = port_of(&fixture->server, listener);
	struct actor workers[2];
	int64_t client;
	uint16_t client_port;

	for (int i = 0; i < 2; i++)
		workers[i] = actor_fork(&fixture->server);
	client = tell(&fixture->client, do_connect, pack(V4, port, 0));
	client_port = port_of(&fixture->client, client);
	assert_owner(ask_responder(fixture, IPPROTO_TCP, V4, port, client_port), OWNERSHIP_LISTENER,
		     fixture->server.pid);
	tell(&workers[1], do_accept, listener);
	assert_owner(ask_responder(fixture, IPPROTO_TCP, V4, port, client_port),
		     OWNERSHIP_SOCK_DIAG, workers[1].pid);
	for (int i = 0; i < 2; i++)
		actor_stop(&workers[i]);
}

static void shared_by_workers_names_the_master(void **state)
{
	struct fixture *fixture = *state;
	int64_t socket = tell(&fixture->server, do_bind_udp, pack(V4, 0, 0));
	uint16_t port = port_of(&fixture->server, socket);
	struct actor workers[3];

	for (int i = 0; i < 3; i++)
		workers[i] = actor_fork(&fixture->server);
	assert_owner(ask_responder(fixture, IPPROTO_UDP, V4, port, 9), OWNERSHIP_SHARED,
		     fixture->server.pid);
	/* The master closes it: the oldest worker, still shared. */
	tell(&fixture->server, do_close, socket);
	assert_owner(ask_responder(fixture, IPPROTO_UDP, V4, port, 9), OWNERSHIP_SHARED,
		     workers[0].pid);
	for (int i = 0; i < 3; i++)
		actor_stop(&workers[i]);
}

static int64_t do_exec(int64_t unused_argument)
{
	(void)unused_argument;
	execl("/bin/sleep", "sleep", "30", NULL);
	abort();
}

static bool has_name(pid_t pid, const char *wanted)
{
	char path[32], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "r");
	if (file) {
		if (fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = '\0';
		fclose(file);
	}
	return strcmp(name, wanted) == 0;
}

/* exec(2) keeps the pid and the start time, and what is not closed on exec. */
static void a08_exec_keeps_the_socket_and_the_process(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);
	struct ownership before = ask_client(fixture, &connection);
	struct ownership after;
	uint64_t deadline_ns = clock_now_ns() + 5 * NS_PER_SEC;

	actor_release(&fixture->client, do_exec, 0);
	while (!has_name(fixture->client.pid, "sleep") && clock_now_ns() < deadline_ns)
		poll(NULL, 0, 1);
	after = ask_client(fixture, &connection);
	assert_owner(after, OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	assert_int_equal(before.process.start_ticks, after.process.start_ticks);
}

/* --- ICMP --- */

static int64_t open_echo(int type, uint16_t id, bool is_v6)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(id)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(id)};
	int fd = is_v6 ? socket(AF_INET6, type, IPPROTO_ICMPV6)
		       : socket(AF_INET, type, IPPROTO_ICMP);

	/* A ping socket's port is the identifier of its echo requests. */
	if (fd >= 0 && type == SOCK_DGRAM &&
	    (is_v6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6))
		   : bind(fd, (struct sockaddr *)&v4, sizeof(v4))) < 0)
		return -errno;
	return fd < 0 ? -errno : fd;
}

static int64_t do_open_ping(int64_t id)
{
	return open_echo(SOCK_DGRAM, (uint16_t)id, false);
}

static int64_t do_open_ping6(int64_t id)
{
	return open_echo(SOCK_DGRAM, (uint16_t)id, true);
}

static int64_t do_open_raw(int64_t unused_argument)
{
	(void)unused_argument;
	return open_echo(SOCK_RAW, 0, false);
}

static struct ownership ask_echo(struct fixture *fixture, enum shape shape, uint16_t id,
				 uint64_t when_ns, bool initiator)
{
	struct ownership_query query = {
		.socket = {.local = loopback(shape),
			   .remote = loopback(shape),
			   .echo_id = id,
			   .family = shape == V6 ? IP_FAMILY_V6 : IP_FAMILY_V4,
			   .protocol = shape == V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP},
		.when_ns = when_ns,
		.initiator = initiator};

	return ask_query(fixture, &query);
}

static void a27_ping_socket(void **state)
{
	struct fixture *fixture = *state;

	tell(&fixture->client, do_open_ping, 4711);
	tell(&fixture->server, do_open_ping, 4712);
	tell(&fixture->server, do_open_ping6, 4714);
	assert_owner(ask_echo(fixture, V4, 4711, clock_now_ns(), true), OWNERSHIP_SOCK_DIAG,
		     fixture->client.pid);
	assert_owner(ask_echo(fixture, V4, 4712, clock_now_ns(), true), OWNERSHIP_SOCK_DIAG,
		     fixture->server.pid);
	assert_owner(ask_echo(fixture, V6, 4714, clock_now_ns(), true), OWNERSHIP_SOCK_DIAG,
		     fixture->server.pid);
	/* Of one bucket of the kernel's table, and then of one identifier. */
	tell(&fixture->server, do_open_ping6, 4711 + 64);
	tell(&fixture->client, do_open_ping, 4714 + 64);
	assert_int_not_equal(ask_echo(fixture, V6, 4711, clock_now_ns(), true).process.pid,
			     fixture->client.pid);
	assert_int_not_equal(ask_echo(fixture, V4, 4714, clock_now_ns(), true).process.pid,
			     fixture->server.pid);
	assert_none(ask_echo(fixture, V4, 4713, clock_now_ns(), true), OWNERSHIP_REASON_CLOSED);
}

static void a26_echo_replies_are_the_kernels(void **state)
{
	struct fixture *fixture = *state;

	tell(&fixture->client, do_open_ping, 4711);
	tell(&fixture->server, do_open_raw, 0);
	assert_none(ask_echo(fixture, V4, 4711, clock_now_ns(), false), OWNERSHIP_REASON_KERNEL);
}

static void a27_raw_socket(void **state)
{
	struct fixture *fixture = *state;
	uint64_t long_after_ns = clock_now_ns() + 3600 * NS_PER_SEC;

	tell(&fixture->client, do_open_raw, 0);
	assert_owner(ask_echo(fixture, V4, 4711, clock_now_ns(), true), OWNERSHIP_SOCK_DIAG,
		     fixture->client.pid);
	/* A process that has been there for long is a bystander, unless the identifier is its pid. */
	assert_none(ask_echo(fixture, V4, 4711, long_after_ns, true), OWNERSHIP_REASON_AMBIGUOUS);
	assert_owner(ask_echo(fixture, V4, (uint16_t)fixture->client.pid, long_after_ns, true),
		     OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	tell(&fixture->server, do_open_raw, 0);
	assert_none(ask_echo(fixture, V4, 4711, clock_now_ns(), true), OWNERSHIP_REASON_AMBIGUOUS);
}

/* --- Odd sockets --- */

static int64_t open_on_device(int64_t argument, int type)
{
	struct sockaddr_in6 address = make_address(V4, PORT(argument));
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0 ||
	    connect(fd, (struct sockaddr *)&address, address_length(V4)) < 0)
		return -errno;
	return fd;
}

static int64_t do_connect_on_device(int64_t argument)
{
	return open_on_device(argument, SOCK_STREAM);
}

static int64_t do_connect_udp_on_device(int64_t argument)
{
	return open_on_device(argument, SOCK_DGRAM);
}

static void sockets_bound_to_a_device(void **state)
{
	struct fixture *fixture = *state;
	int64_t listener = tell(&fixture->server, do_listen, pack(V4, 0, 0));
	uint16_t port = port_of(&fixture->server, listener);
	int64_t tcp = tell(&fixture->client, do_connect_on_device, pack(V4, port, 0));
	int64_t udp = tell(&fixture->client, do_connect_udp_on_device, pack(V4, port, 0));

	assert_owner(ask(fixture, IPPROTO_TCP, V4, port_of(&fixture->client, tcp), port),
		     OWNERSHIP_SOCK_DIAG, fixture->client.pid);
	assert_owner(ask(fixture, IPPROTO_UDP, V4, port_of(&fixture->client, udp), port),
		     OWNERSHIP_SOCK_DIAG, fixture->client.pid);
}

/* A socket on its way between two processes, in nobody's table. */
static int64_t do_send_away(int64_t fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS}};
	char byte = 'x';
	struct iovec vector = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &ancillary,
				 .msg_controllen = sizeof(ancillary)};
	int pair[2], number = (int)fd;

	memcpy(CMSG_DATA(&ancillary.header), &number, sizeof(number));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || sendmsg(pair[0], &message, 0) != 1)
		return -errno;
	return close(number);
}

static void a31_socket_that_no_process_holds(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);
	struct ownership answer;

	tell(&fixture->client, do_send_away, connection.client);
	answer = ask_client(fixture, &connection);
	assert_none(answer, OWNERSHIP_REASON_KERNEL);
	assert_true(answer.has_uid);
}

static int64_t do_open_many(int64_t count)
{
	struct rlimit limit = {.rlim_cur = 65536, .rlim_max = 65536};

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int64_t i = 0; i < count; i++)
		if (socket(AF_INET, SOCK_DGRAM, 0) < 0)
			return -errno;
	return 0;
}

static void many_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection;

	tell(&fixture->client, do_open_many, 5000);
	connection = connect_actors(fixture, V4, V4);
	assert_owner(ask_client(fixture, &connection), OWNERSHIP_SOCK_DIAG, fixture->client.pid);
}

static void a24_multicast_and_broadcast_are_remote(void **state)
{
	static const char *const addresses[] = {"224.0.0.251", "239.255.255.250", "255.255.255.255",
						"192.0.2.255", "192.0.2.1"};
	struct fixture *fixture = *state;

	tell(&fixture->server, do_bind_udp_any, pack(V4, 20021, 0));
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct ownership_query query = {.socket = {.remote = loopback(V4),
							   .local_port = 20021,
							   .remote_port = 9,
							   .family = IP_FAMILY_V4,
							   .protocol = IPPROTO_UDP}};
		enum ip_family family;
		struct ownership answer;

		ip_address_parse(addresses[i], &family, &query.socket.local);
		attribution_find_owner(fixture->attribution, &query, clock_now_ns(), &answer);
		assert_int_equal(answer.method, OWNERSHIP_REMOTE);
	}
}

static void protocols_that_cannot_be_looked_up(void **state)
{
	struct fixture *fixture = *state;

	assert_none(ask(fixture, IPPROTO_SCTP, V4, 1, 2), OWNERSHIP_REASON_UNSUPPORTED);
	assert_none(ask(fixture, IPPROTO_DCCP, V4, 1, 2), OWNERSHIP_REASON_UNSUPPORTED);
	assert_none(ask(fixture, IPPROTO_GRE, V4, 0, 0), OWNERSHIP_REASON_KERNEL);
}

static void another_namespace_is_not_tracked(void **state)
{
	struct fixture *fixture = *state;
	struct ownership_query query = {
		.socket = {.family = IP_FAMILY_V4, .protocol = IPPROTO_TCP, .netns = 7}};
	struct ownership answer;

	attribution_find_owner(fixture->attribution, &query, clock_now_ns(), &answer);
	assert_none(answer, OWNERSHIP_REASON_UNTRACKED_NAMESPACE);
}

/* --- Without rights --- */

/* Runs in an actor's process: gives up root, and asks whose the connection is. The answer: the
 * reason, and where there is one the pid. */
static int64_t do_ask_as_nobody(int64_t argument)
{
	struct ownership_query query = {.socket = {.local = loopback(V4),
						   .remote = loopback(V4),
						   .local_port = PORT(argument),
						   .remote_port = (uint16_t)(argument >> 32),
						   .family = IP_FAMILY_V4,
						   .protocol = IPPROTO_TCP},
					.initiator = true};
	struct attribution_options options = {.methods = CONFIG_METHOD_SOCK_DIAG};
	struct attribution *attribution;
	struct ownership answer;

	options.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return -errno;
	if (attribution_new(&options, &attribution) < 0)
		return -1;
	query.when_ns = clock_now_ns();
	attribution_find_owner(attribution, &query, clock_now_ns(), &answer);
	attribution_free(attribution);
	return answer.process.pid ? answer.process.pid : answer.reason;
}

static void a50_a_missing_right_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct connection connection = connect_actors(fixture, V4, V4);
	struct actor nobody = actor_start();

	assert_int_equal(tell(&nobody, do_ask_as_nobody,
			      pack(V4, connection.client_port, connection.server_port)),
			 OWNERSHIP_REASON_NO_PERMISSION);
	actor_stop(&nobody);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a45_tcp_v4_has_both_ends),
		TEST(a45_tcp_v6_has_both_ends),
		TEST(a21_mapped_client_of_a_v4_server),
		TEST(a21_v4_client_of_a_mapped_server),
		TEST(a04_time_wait_has_no_owner),
		TEST(a04_live_socket_wins_over_time_wait),
		TEST(an_initiator_is_never_a_listener),
		TEST(a01_process_that_exited),
		TEST(a23_udp_v4_connected_and_not),
		TEST(a23_udp_v6_connected_and_not),
		TEST(a21_udp_mapped_connected_and_not),
		TEST(a21_udp_mapped_server),
		TEST(a05_port_taken_over_by_a_later_process),
		TEST(a16_the_specific_address_wins),
		TEST(a16_one_port_of_two_listeners),
		TEST(a25_two_senders_on_one_port_are_ambiguous),
		TEST(a25_two_sockets_of_one_process_are_not),
		TEST(a14_reuseport_names_the_worker_that_receives),
		TEST(a14_unaccepted_in_a_reuseport_group_is_ambiguous),
		TEST(a15_shared_by_fork_names_the_oldest),
		TEST(a12_accept_then_fork_is_the_child),
		TEST(a13_accepted_by_a_worker_of_an_inherited_listener),
		TEST(shared_by_workers_names_the_master),
		TEST(a08_exec_keeps_the_socket_and_the_process),
		TEST(a27_ping_socket),
		TEST(a26_echo_replies_are_the_kernels),
		TEST(a27_raw_socket),
		TEST(sockets_bound_to_a_device),
		TEST(a31_socket_that_no_process_holds),
		TEST(many_descriptors),
		TEST(a24_multicast_and_broadcast_are_remote),
		TEST(protocols_that_cannot_be_looked_up),
		TEST(another_namespace_is_not_tracked),
		TEST(a50_a_missing_right_is_told),
	};

	return cmocka_run_group_tests(tests, set_up_group, NULL);
}
