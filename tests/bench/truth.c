/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "truth.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static socklen_t address_of(const struct truth_cell *cell, uint16_t port, union address *out)
{
	const char *text = cell->address;

	*out = (union address){.any.sa_family = (sa_family_t)cell->family};
	if (cell->family == AF_INET) {
		out->v4.sin_port = htons(port);
		if (inet_pton(AF_INET, text ? text : "127.0.0.1", &out->v4.sin_addr) != 1)
			abort();
		return sizeof(out->v4);
	}
	out->v6.sin6_port = htons(port);
	if (inet_pton(AF_INET6, text ? text : "::1", &out->v6.sin6_addr) != 1)
		abort();
	return sizeof(out->v6);
}

static uint16_t get_port(int fd)
{
	union address address;
	socklen_t length = sizeof(address);

	if (getsockname(fd, &address.any, &length) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

static int socket_type(const struct truth_cell *cell)
{
	return cell->kind == TRUTH_TCP ? SOCK_STREAM : SOCK_DGRAM;
}

bool truth_send(const struct truth_cell *cell, uint16_t port, bool connects, struct truth_flow *ret)
{
	int fd = socket(cell->family, socket_type(cell) | SOCK_CLOEXEC, 0);
	struct truth_flow flow = {.parent = getppid(), .remote_port = port, .before_ns = now_ns()};
	struct timeval limit = {.tv_sec = 5};
	union address address;
	socklen_t length = address_of(cell, port, &address);
	char byte = 'x';

	if (fd < 0)
		return false;
	if (connects || cell->kind == TRUTH_TCP) {
		if (connect(fd, &address.any, length) < 0 || send(fd, &byte, 1, 0) != 1)
			return false;
	} else if (sendto(fd, &byte, 1, 0, &address.any, length) != 1) {
		return false;
	}
	flow.after_ns = now_ns();
	flow.local_port = get_port(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (cell->kind == TRUTH_UDP_ANSWER && recv(fd, &byte, 1, 0) != 1)
		return false;
	flow.pid = getpid();
	*ret = flow;
	close(fd);
	return true;
}

static void serve_datagram(const struct truth_cell *cell, int fd)
{
	union address from;
	socklen_t length = sizeof(from);
	char byte;

	while (recvfrom(fd, &byte, 1, MSG_DONTWAIT, &from.any, &length) == 1) {
		if (cell->kind == TRUTH_UDP_ANSWER)
			sendto(fd, &byte, 1, 0, &from.any, length);
		length = sizeof(from);
	}
}

static void serve_connections(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		char bytes[16];

		while (recv(fd, bytes, sizeof(bytes), 0) > 0)
			;
		close(fd);
	}
}

__attribute__((noreturn)) static void serve(const struct truth_cell *cell, int epoll)
{
	for (;;) {
		struct epoll_event events[16];
		int count = epoll_wait(epoll, events, 16, -1);

		for (int i = 0; i < count; i++) {
			if (cell->kind == TRUTH_TCP)
				serve_connections(events[i].data.fd);
			else
				serve_datagram(cell, events[i].data.fd);
		}
	}
}

void truth_server_start(const struct truth_cell *cell, struct truth_server *ret)
{
	int fds[TRUTH_SERVER_PORTS], epoll = must(epoll_create1(EPOLL_CLOEXEC));

	for (size_t i = 0; i < TRUTH_SERVER_PORTS; i++) {
		struct epoll_event event = {.events = EPOLLIN};
		union address address;
		socklen_t length = address_of(cell, 0, &address);
		int type = socket_type(cell) | SOCK_CLOEXEC | SOCK_NONBLOCK;

		fds[i] = must(socket(cell->family, type, 0));
		must(bind(fds[i], &address.any, length));
		if (cell->kind == TRUTH_TCP)
			must(listen(fds[i], 1024));
		ret->ports[i] = get_port(fds[i]);
		event.data.fd = fds[i];
		must(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
	}
	ret->pid = must(fork());
	if (ret->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "truth_server");
		serve(cell, epoll);
	}
	for (size_t i = 0; i < TRUTH_SERVER_PORTS; i++)
		close(fds[i]);
	close(epoll);
}

void truth_server_stop(const struct truth_server *server)
{
	must(kill(server->pid, SIGKILL));
	must(waitpid(server->pid, NULL, 0));
}

struct truth_flow *truth_map(size_t count, int *ret_fd)
{
	size_t bytes = count * sizeof(struct truth_flow);
	int fd = must(memfd_create("truth", 0));
	void *flows;

	must(ftruncate(fd, (off_t)bytes));
	flows = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (flows == MAP_FAILED)
		abort();
	*ret_fd = fd;
	return flows;
}

static void exec_sender(const struct truth_senders *senders, size_t place, uint16_t port)
{
	char texts[6][24];

	snprintf(texts[0], sizeof(texts[0]), "%d", (int)senders->cell->kind);
	snprintf(texts[1], sizeof(texts[1]), "%d", senders->cell->family);
	snprintf(texts[2], sizeof(texts[2]), "%u", port);
	snprintf(texts[3], sizeof(texts[3]), "%d", (int)(place / TRUTH_SERVER_PORTS % 2));
	snprintf(texts[4], sizeof(texts[4]), "%d", senders->flows_fd);
	snprintf(texts[5], sizeof(texts[5]), "%zu", place);
	execl(senders->program, "truth_sender", texts[0], texts[1], texts[2], texts[3], texts[4],
	      texts[5], senders->cell->address, NULL);
}

static void run_sender(const struct truth_senders *senders, size_t place)
{
	uint16_t port = senders->server->ports[place % TRUTH_SERVER_PORTS];

	if (senders->cell->is_exec)
		exec_sender(senders, place, port);
	else
		truth_send(senders->cell, port, place / TRUTH_SERVER_PORTS % 2,
			   &senders->flows[place]);
	_exit(0);
}

pid_t truth_spawner_start(const struct truth_senders *senders, size_t first)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "truth_spawner");
	for (size_t i = first; i < senders->count; i += senders->parallel) {
		pid_t sender = fork();

		if (sender == 0)
			run_sender(senders, i);
		if (sender < 0 || waitpid(sender, NULL, 0) != sender)
			_exit(1);
	}
	_exit(0);
}
