/* SPDX-License-Identifier: GPL-2.0-or-later */

/* libnetfilter_log writes the requests; packets are read through netlink/channel. The library's own way of
 * reading them is one recv(2) for each message of the kernel into a buffer of the caller's, on a socket of
 * libnfnetlink that believes any sender and knows no overrun; the channel takes 32 messages a system call,
 * from the kernel alone, and tells ENOBUFS apart, as for conntrack. Attributes: nflog_parse.c. */

#include "sources/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_log/libnetfilter_log.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "netlink/channel.h"
#include "sources/nflog_parse.h"

enum {
	/* Messages a turn of the loop, of about sixty packets each when there are many. */
	MESSAGES_PER_TURN = 64,
	/* The kernel rounds it up to the next power of two with its own overhead, and a message may fill
	 * all that: it must not be longer than the channel reads (32 KiB). */
	KERNEL_BUFFER_BYTES = 16384,
	/* More than rules ask for: their own limits are what counts (nf_log's copy length). */
	COPY_BYTES = 512,
	BATCH_PACKETS = 64,
	BATCH_HUNDREDTHS = 5, /* NFLOG_BATCH_NS */
};

struct nflog {
	struct nflog_handlers handlers;
	struct nflog_counters counters;
	struct netlink_channel *channel;
	struct loop_source *source;
	struct nflog_parse_context context;
	uint64_t batch;
	uint16_t group;
	uint32_t next_sequence;
	bool has_sequence;
};

DEFINE_CLEANUP(struct nflog *, nflog_free);

/* The clock is read once a batch of the channel, after the kernel gave it: what is told happened before.
 */
static void take_time(struct nflog *nflog)
{
	uint64_t batch = netlink_channel_get_batches(nflog->channel);

	if (nflog->batch == batch && nflog->context.now_ns)
		return;
	nflog->batch = batch;
	nflog->context.now_ns = clock_now_ns();
	nflog->context.wall_offset_ns = clock_wall_offset_ns();
}

static void count_losses(struct nflog *nflog, const struct packet_event *event)
{
	if (!event->has_sequence)
		return;
	if (nflog->has_sequence)
		nflog->counters.lost += event->sequence - nflog->next_sequence;
	nflog->next_sequence = event->sequence + 1;
	nflog->has_sequence = true;
}

static int on_message(const struct nlmsghdr *message, void *userdata)
{
	struct nflog *nflog = userdata;
	struct packet_event event;
	enum packet_fault fault;
	int r;

	take_time(nflog);
	r = nflog_parse(message, &nflog->context, &event, &fault);
	if (r < 0)
		nflog->counters.malformed++;
	if (r == NFLOG_PARSED || r == NFLOG_PARSE_FAULTY)
		count_losses(nflog, &event);
	if (r == NFLOG_PARSE_FAULTY)
		nflog->counters.faults[fault]++;
	if (r != NFLOG_PARSED)
		return 0;
	nflog->counters.packets++;
	nflog->handlers.on_packet(nflog->handlers.userdata, &event);
	return 0;
}

static int receive(struct nflog *nflog)
{
	int r = netlink_channel_receive(nflog->channel, MESSAGES_PER_TURN, on_message, nflog);

	if (r == -ENOBUFS)
		nflog->counters.overruns++;
	else if (r < 0)
		nflog->counters.receive_errors++;
	if (nflog->context.now_ns)
		nflog->handlers.on_batch_end(nflog->handlers.userdata, nflog->context.now_ns);
	return r;
}

static void on_readable(void *userdata, unused uint32_t epoll_events)
{
	receive(userdata);
}

static struct nlmsghdr *begin_request(char *buffer, uint16_t group)
{
	struct nlmsghdr *request =
		nflog_nlmsg_put_header(buffer, NFULNL_MSG_CONFIG, AF_UNSPEC, group);

	request->nlmsg_flags |= NLM_F_ACK;
	return request;
}

/* A group of another's and a missing right are both EPERM (nfulnl_recv_config()); about a group that is
 * hardly anybody's only the right can be missing. */
static int explain_refusal(struct netlink_channel *channel, uint16_t group)
{
	char buffer[256];
	struct nlmsghdr *request = begin_request(buffer, group ^ 0x8000);

	return netlink_channel_request(channel, request, NULL, NULL) == -EPERM ? -EPERM : -EBUSY;
}

static int bind_group(struct netlink_channel *channel, uint16_t group)
{
	char buffer[256];
	struct nlmsghdr *request = begin_request(buffer, group);

	int r;

	if (nflog_attr_put_cfg_cmd(request, NFULNL_CFG_CMD_BIND) < 0)
		return -EINVAL;
	r = netlink_channel_request(channel, request, NULL, NULL);
	return r == -EPERM ? explain_refusal(channel, group) : r;
}

static int set_up_group(struct netlink_channel *channel, uint16_t group)
{
	char buffer[256];
	struct nlmsghdr *request = begin_request(buffer, group);

	if (nflog_attr_put_cfg_mode(request, NFULNL_COPY_PACKET, COPY_BYTES) < 0)
		return -EINVAL;
	mnl_attr_put_u32(request, NFULA_CFG_NLBUFSIZ, htonl(KERNEL_BUFFER_BYTES));
	mnl_attr_put_u32(request, NFULA_CFG_TIMEOUT, htonl(BATCH_HUNDREDTHS));
	mnl_attr_put_u32(request, NFULA_CFG_QTHRESH, htonl(BATCH_PACKETS));
	return netlink_channel_request(channel, request, NULL, NULL);
}

static int set_flags(struct netlink_channel *channel, uint16_t group, uint16_t flags)
{
	char buffer[256];
	struct nlmsghdr *request = begin_request(buffer, group);

	mnl_attr_put_u16(request, NFULA_CFG_FLAGS, htons(flags));
	return netlink_channel_request(channel, request, NULL, NULL);
}

static int open_group(struct nflog *nflog)
{
	int r = bind_group(nflog->channel, nflog->group);

	if (r < 0)
		return r;
	r = set_up_group(nflog->channel, nflog->group);
	if (r < 0)
		return r;
	r = set_flags(nflog->channel, nflog->group, NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK);
	nflog->context.has_conntrack = r == 0;
	return r < 0 ? set_flags(nflog->channel, nflog->group, NFULNL_CFG_F_SEQ) : 0;
}

int nflog_new(struct loop *loop, const struct nflog_options *options, struct nflog **ret)
{
	cleanup(nflog_free_cleanup) struct nflog *nflog = calloc(1, sizeof(*nflog));
	int r;

	if (!nflog)
		return -ENOMEM;
	nflog->handlers = options->handlers;
	nflog->group = options->group;
	r = netlink_channel_open(NETLINK_NETFILTER, &nflog->channel);
	if (r < 0)
		return r;
	netlink_channel_set_receive_buffer(nflog->channel, options->receive_buffer_bytes);
	r = open_group(nflog);
	if (r < 0)
		return r;
	r = loop_add_io(loop, netlink_channel_get_fd(nflog->channel), EPOLLIN, on_readable, nflog,
			&nflog->source);
	if (r < 0)
		return r;
	/* Behind conntrack's events, before all that is not lost by waiting. */
	r = loop_source_set_priority(nflog->source, LOOP_PRIORITY_KERNEL / 2);
	if (r < 0)
		return r;
	*ret = steal_pointer(&nflog);
	return 0;
}

int nflog_check(uint16_t group)
{
	struct netlink_channel *channel;
	int r = netlink_channel_open(NETLINK_NETFILTER, &channel);

	if (r < 0)
		return r;
	r = bind_group(channel, group);
	netlink_channel_close(channel); /* the kernel unbinds the group with it */
	return r;
}

void nflog_read(struct nflog *nflog)
{
	receive(nflog);
}

/* What the kernel kept back comes when the group is left (__instance_destroy()). */
void nflog_finish(struct nflog *nflog)
{
	enum { MOST_TURNS = 1000 };
	char buffer[256];
	struct nlmsghdr *request =
		nflog_nlmsg_put_header(buffer, NFULNL_MSG_CONFIG, AF_UNSPEC, nflog->group);

	if (nflog_attr_put_cfg_cmd(request, NFULNL_CFG_CMD_UNBIND) < 0 ||
	    netlink_channel_send(nflog->channel, request) < 0)
		return;
	for (int i = 0; i < MOST_TURNS; i++) {
		int r = receive(nflog);

		if (r != NETLINK_MORE && r != -ENOBUFS)
			return;
	}
}

void nflog_free(struct nflog *nflog)
{
	if (!nflog)
		return;
	loop_source_free(nflog->source);
	netlink_channel_close(nflog->channel);
	free(nflog);
}

bool nflog_has_conntrack(const struct nflog *nflog)
{
	return nflog->context.has_conntrack;
}

const struct nflog_counters *nflog_get_counters(const struct nflog *nflog)
{
	return &nflog->counters;
}
