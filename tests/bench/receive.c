/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The floor under every reader of conntrack events: receives them as fast as it can and looks at
 * nothing but their headers. Runs until SIGTERM and then prints what it received as JSON. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/signalfd.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/macros.h"
#include "netlink/channel.h"

enum { RECEIVE_BUFFER = 64 << 20, EVENTS_PER_TURN = 1024 };

struct received {
	unsigned long new_events, destroy_events, overruns;
};

static int on_message(const struct nlmsghdr *message, void *userdata)
{
	struct received *received = userdata;

	if (NFNL_MSG_TYPE(message->nlmsg_type) == IPCTNL_MSG_CT_DELETE)
		received->destroy_events++;
	else
		received->new_events++;
	return 0;
}

static int open_events(struct netlink_channel **ret)
{
	static const unsigned groups[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY};
	int r = netlink_channel_open(NETLINK_NETFILTER, ret);

	if (r < 0)
		return r;
	netlink_channel_set_receive_buffer(*ret, RECEIVE_BUFFER);
	for (size_t i = 0; i < array_length(groups) && r >= 0; i++)
		r = netlink_channel_join(*ret, groups[i]);
	return r;
}

int main(void)
{
	struct netlink_channel *events = NULL;
	struct received received = {0};
	struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (open_events(&events) < 0) {
		perror("receive: netlink");
		return EXIT_FAILURE;
	}
	fds[0].fd = netlink_channel_get_fd(events);
	fds[1].fd = signalfd(-1, &mask, SFD_CLOEXEC);
	puts("ready");
	fflush(stdout);
	while (poll(fds, array_length(fds), -1) > 0 && !fds[1].revents)
		if (netlink_channel_receive(events, EVENTS_PER_TURN, on_message, &received) ==
		    -ENOBUFS)
			received.overruns++;
	printf("{\"new\":%lu,\"destroy\":%lu,\"overruns\":%lu}\n", received.new_events,
	       received.destroy_events, received.overruns);
	netlink_channel_close(events);
	return EXIT_SUCCESS;
}
