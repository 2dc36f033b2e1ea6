/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/socket_end.h"

#include <errno.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "netlink/attribute.h"
#include "netlink/channel.h"
#include "sources/socket_end_parse.h"

/* A message takes about a kilobyte of it: four thousand connections that close at once. */
enum { RECEIVE_BUFFER = 4 << 20, MESSAGES_PER_TURN = 512, MESSAGES_PER_DRAIN = 4096 };

/* Our own namespace may be given a number at any time, and then keeps it. */
#define ASK_OWN_NS (10 * NS_PER_SEC)

struct socket_end {
	struct socket_end_options options;
	struct netlink_channel *events;
	struct netlink_channel *numbers; /* rtnetlink; NULL: all that is heard is of our own */
	struct loop_source *source;
	struct socket_end_counters counters;
	int32_t own; /* number of our own namespace, or NETLINK_CHANNEL_OWN */
	uint64_t asked_ns;
	uint64_t now_ns, batch; /* when this batch was read */
};

DEFINE_CLEANUP(struct socket_end *, socket_end_free);

static int on_number(const struct nlmsghdr *message, void *userdata)
{
	netlink_message_copy_value(message, sizeof(struct rtgenmsg), NETNSA_NSID, userdata,
				   sizeof(int32_t));
	return 0;
}

static void ask_own_number(struct socket_end *source, uint64_t now_ns)
{
	uint8_t bytes[64] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *request = mnl_nlmsg_put_header(bytes);
	struct rtgenmsg *family = mnl_nlmsg_put_extra_header(request, sizeof(*family));

	request->nlmsg_type = RTM_GETNSID;
	family->rtgen_family = AF_UNSPEC;
	mnl_attr_put_u32(request, NETNSA_PID, (uint32_t)getpid());
	(void)netlink_channel_request(source->numbers, request, on_number, &source->own);
	source->asked_ns = now_ns;
}

static bool is_elsewhere(struct socket_end *source, int32_t nsid)
{
	if (nsid == NETLINK_CHANNEL_OWN || !source->numbers)
		return false;
	if (source->own == NETLINK_CHANNEL_OWN && source->now_ns - source->asked_ns >= ASK_OWN_NS)
		ask_own_number(source, source->now_ns);
	return nsid != source->own;
}

static int on_message(const struct nlmsghdr *message, void *userdata)
{
	struct socket_end *source = userdata;
	uint64_t batch = netlink_channel_get_batches(source->events);
	struct socket_end_event event;
	int r = socket_end_parse(message, &event);

	if (source->batch != batch) {
		source->batch = batch;
		source->now_ns = clock_now_ns();
	}
	if (r < 0) {
		source->counters.malformed++;
	} else if (r == SOCKET_END_E_UNCONNECTED) {
		source->counters.unconnected++;
	} else if (r == SOCKET_END_E_UNTOLD) {
		source->counters.untold++;
	} else {
		source->counters.ends++;
		event.when_ns = source->now_ns;
		event.namespace = netlink_channel_get_nsid(source->events);
		event.is_elsewhere = is_elsewhere(source, event.namespace);
		source->options.on_end(source->options.userdata, &event);
	}
	return 0;
}

static void receive(struct socket_end *source, unsigned most)
{
	if (netlink_channel_receive(source->events, most, on_message, source) == -ENOBUFS)
		source->counters.overruns++;
}

static void on_readable(void *userdata, uint32_t epoll_events)
{
	(void)epoll_events;
	receive(userdata, MESSAGES_PER_TURN);
}

void socket_end_drain(struct socket_end *source)
{
	receive(source, MESSAGES_PER_DRAIN);
}

static int listen_everywhere(struct socket_end *source)
{
	int r = netlink_channel_open(NETLINK_ROUTE, &source->numbers);

	if (r < 0)
		return r;
	r = netlink_channel_listen_everywhere(source->events);
	if (r < 0) {
		netlink_channel_close(source->numbers);
		source->numbers = NULL;
		return r;
	}
	ask_own_number(source, clock_now_ns());
	return 0;
}

int socket_end_new(struct loop *loop, const struct socket_end_options *options, int *ret_everywhere,
		   struct socket_end **ret)
{
	cleanup(socket_end_free_cleanup) struct socket_end *source = calloc(1, sizeof(*source));
	int everywhere, r;

	if (!source)
		return -ENOMEM;
	source->options = *options;
	source->own = NETLINK_CHANNEL_OWN;
	r = netlink_channel_open(NETLINK_SOCK_DIAG, &source->events);
	if (r < 0)
		return r;
	(void)netlink_channel_set_receive_buffer(source->events, RECEIVE_BUFFER);
	everywhere = options->all_namespaces ? listen_everywhere(source) : 0;
	r = netlink_channel_join(source->events, SKNLGRP_INET_TCP_DESTROY);
	if (r < 0)
		return r;
	r = netlink_channel_join(source->events, SKNLGRP_INET6_TCP_DESTROY);
	if (r < 0)
		return r;
	r = loop_add_io(loop, netlink_channel_get_fd(source->events), EPOLLIN, on_readable, source,
			&source->source);
	if (r < 0)
		return r;
	*ret_everywhere = everywhere;
	*ret = steal_pointer(&source);
	return 0;
}

void socket_end_free(struct socket_end *source)
{
	if (!source)
		return;
	loop_source_free(source->source);
	netlink_channel_close(source->events);
	netlink_channel_close(source->numbers);
	free(source);
}

const struct socket_end_counters *socket_end_get_counters(const struct socket_end *source)
{
	return &source->counters;
}
