/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/actor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { PATIENCE_MS = 10000, CONTROL_FD = 3 };

struct order {
	actor_step step; /* NULL: fork, the descriptor comes with it */
	int64_t argument;
};

static void fail(const char *what)
{
	fprintf(stderr, "actor: %s: %s\n", what, strerror(errno));
	abort();
}

static void send_all(int fd, const void *bytes, size_t length)
{
	if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		fail("send");
}

static int64_t await_answer(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	int64_t answer;

	if (poll(&poller, 1, PATIENCE_MS) != 1)
		fail("no answer in time");
	if (recv(fd, &answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		fail("recv");
	return answer;
}

/* An order, with a descriptor where one came along, else -1. False at the end. */
static bool receive_order(int control, struct order *order, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct iovec vector = {.iov_base = order, .iov_len = sizeof(*order)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &ancillary,
				 .msg_controllen = sizeof(ancillary)};
	struct cmsghdr *header;

	*ret_fd = -1;
	if (recvmsg(control, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof(*order))
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	return true;
}

static _Noreturn void play(int control)
{
	struct order order;
	int fd;

	while (receive_order(control, &order, &fd)) {
		int64_t answer = order.step ? order.step(order.argument) : fork();

		if (!order.step && answer == 0) {
			/* The child goes on with a control socket of its own. */
			if (dup2(fd, control) < 0)
				fail("dup2");
			close(fd);
			continue;
		}
		if (fd >= 0)
			close(fd);
		send_all(control, &answer, sizeof(answer));
	}
	_exit(0);
}

struct actor actor_start(void)
{
	struct actor actor;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair");
	fflush(NULL);
	actor.pid = fork();
	if (actor.pid < 0)
		fail("fork");
	if (actor.pid == 0) {
		/* Nothing of the test's: neither its sockets nor those to other actors. */
		if (dup2(pair[1], CONTROL_FD) < 0 || close_range(CONTROL_FD + 1, ~0u, 0) < 0)
			fail("close_range");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGCHLD, SIG_IGN);
		play(CONTROL_FD);
	}
	close(pair[1]);
	actor.control = pair[0];
	return actor;
}

void actor_release(const struct actor *actor, actor_step step, int64_t argument)
{
	struct order order = {.step = step, .argument = argument};

	send_all(actor->control, &order, sizeof(order));
}

int64_t actor_tell(const struct actor *actor, actor_step step, int64_t argument)
{
	actor_release(actor, step, argument);
	return await_answer(actor->control);
}

struct actor actor_fork(const struct actor *actor)
{
	struct actor child;
	struct order order = {0};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary = {0};
	struct iovec vector = {.iov_base = &order, .iov_len = sizeof(order)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &ancillary,
				 .msg_controllen = sizeof(ancillary)};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		fail("socketpair");
	ancillary.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
					    .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&ancillary.header), &pair[1], sizeof(int));
	if (sendmsg(actor->control, &message, MSG_NOSIGNAL) != sizeof(order))
		fail("sendmsg");
	close(pair[1]);
	child.control = pair[0];
	child.pid = (pid_t)await_answer(actor->control);
	if (child.pid < 0)
		fail("fork in an actor");
	return child;
}

void actor_stop(struct actor *actor)
{
	uint64_t deadline_ns = clock_now_ns() + PATIENCE_MS * NS_PER_MS;

	if (actor->pid <= 0)
		return;
	close(actor->control);
	kill(actor->pid, SIGKILL);
	if (waitpid(actor->pid, NULL, 0) < 0)
		while (kill(actor->pid, 0) == 0 && clock_now_ns() < deadline_ns)
			usleep(1000);
	actor->pid = 0;
}
