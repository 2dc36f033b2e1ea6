/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "truth_maker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct order {
	struct truth_cell cell;
	size_t parallel;
	bool is_one;
};

static pid_t start_one(const struct truth_senders *senders)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (size_t i = 0; i < senders->count; i++)
		if (!truth_send(senders->cell, senders->server->ports[i % TRUTH_SERVER_PORTS],
				false, &senders->flows[i]))
			_exit(1);
	_exit(0);
}

static void make(const struct truth_maker *maker, const struct order *order)
{
	struct truth_server server;
	struct truth_senders senders = {.cell = &order->cell,
					.server = &server,
					.program = maker->sender,
					.count = maker->count,
					.parallel = order->is_one ? 1 : order->parallel,
					.flows = maker->flows,
					.flows_fd = maker->flows_fd};

	truth_server_start(&order->cell, &server);
	for (size_t i = 0; i < senders.parallel; i++)
		if ((order->is_one ? start_one(&senders) : truth_spawner_start(&senders, i)) < 0)
			abort();
	for (size_t i = 0; i < senders.parallel; i++) {
		int status, pid;

		do
			pid = waitpid(-1, &status, 0);
		while (pid == server.pid);
		if (pid < 0 || status != 0)
			abort();
	}
	truth_server_stop(&server);
}

__attribute__((noreturn)) static void run(const struct truth_maker *maker, int orders)
{
	struct order order;

	while (recv(orders, &order, sizeof(order), 0) == (ssize_t)sizeof(order)) {
		make(maker, &order);
		if (send(orders, "", 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

void truth_maker_start(struct truth_maker *maker)
{
	int pair[2];
	pid_t pid;

	maker->flows = truth_map(maker->count, &maker->flows_fd);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "truth_maker");
		close(pair[0]);
		run(maker, pair[1]);
	}
	close(pair[1]);
	maker->orders = pair[0];
}

void truth_maker_begin(struct truth_maker *maker, const struct truth_cell *cell, size_t parallel,
		       bool is_one)
{
	struct order order = {.cell = *cell, .parallel = parallel, .is_one = is_one};

	memset(maker->flows, 0, maker->count * sizeof(*maker->flows));
	if (send(maker->orders, &order, sizeof(order), MSG_NOSIGNAL) != (ssize_t)sizeof(order))
		abort();
}

bool truth_maker_has_ended(struct truth_maker *maker)
{
	char byte;
	ssize_t length = recv(maker->orders, &byte, 1, MSG_DONTWAIT);

	if (length == 0) /* it went by abort(), which it said */
		abort();
	return length == 1;
}

size_t truth_maker_count(const struct truth_maker *maker)
{
	size_t count = 0;

	for (size_t i = 0; i < maker->count; i++)
		count += maker->flows[i].pid != 0;
	return count;
}
