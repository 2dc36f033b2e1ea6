/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "netlink/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/netlink.h>

#include "base/cleanup.h"

/* A message of the groups and dumps we read stays far below: the kernel allocates event messages of
 * NLMSG_GOODSIZE (a page less overhead) and dumps of at most 32 KiB when the reader's buffer is
 * that large (netlink_dump() in net/netlink/af_netlink.c). */
enum { BATCH = 32, DATAGRAM_SIZE = 32768 };

struct netlink_channel {
	struct mnl_socket *socket;
	uint32_t sequence;
	uint32_t port;
	bool dumping, torn;
	bool is_connector;
	uint64_t batches;
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_nl senders[BATCH];
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(int32_t))];
	} controls[BATCH];
	bool listens_everywhere;
	int32_t nsid;	    /* of the datagram that is handled */
	uint8_t *datagrams; /* BATCH of DATAGRAM_SIZE; pages are touched only where data arrives */
};

DEFINE_CLEANUP(struct netlink_channel *, netlink_channel_close);

int netlink_channel_open(int bus, struct netlink_channel **ret)
{
	cleanup(netlink_channel_close_cleanup) struct netlink_channel *channel =
		calloc(1, sizeof(*channel));

	if (!channel)
		return -ENOMEM;
	channel->datagrams = malloc((size_t)BATCH * DATAGRAM_SIZE);
	if (!channel->datagrams)
		return -ENOMEM;
	for (size_t i = 0; i < BATCH; i++) {
		channel->vectors[i] =
			(struct iovec){.iov_base = channel->datagrams + i * DATAGRAM_SIZE,
				       .iov_len = DATAGRAM_SIZE};
		channel->headers[i].msg_hdr = (struct msghdr){.msg_iov = &channel->vectors[i],
							      .msg_iovlen = 1,
							      .msg_name = &channel->senders[i]};
	}
	channel->socket = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!channel->socket)
		return -errno;
	if (mnl_socket_bind(channel->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	channel->port = mnl_socket_get_portid(channel->socket);
	channel->is_connector = bus == NETLINK_CONNECTOR;
	channel->nsid = NETLINK_CHANNEL_OWN;
	*ret = steal_pointer(&channel);
	return 0;
}

int netlink_channel_open_in(int bus, int netns_fd, struct netlink_channel **ret)
{
	cleanup_close int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0)
		return -errno;
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	r = netlink_channel_open(bus, ret);
	if (setns(home, CLONE_NEWNET) < 0) {
		perror("procflowd: cannot return to its own network namespace");
		abort();
	}
	return r;
}

/* Kernel threads are in the initial network namespace, and in the initial pid namespace 2 is one. (1
 * may have left, or have more rights than we.) The number of that pid namespace is fixed:
 * PROC_PID_INIT_INO in include/linux/proc_ns.h. */
static int open_host(void)
{
	struct stat status;

	if (stat("/proc/self/ns/pid", &status) < 0 || status.st_ino != 0xEFFFFFFCu)
		return -1;
	return open("/proc/2/ns/net", O_RDONLY | O_CLOEXEC);
}

int netlink_channel_open_on_host(int bus, struct netlink_channel **ret)
{
	cleanup_close int host = open_host();

	if (host >= 0 && netlink_channel_open_in(bus, host, ret) == 0)
		return 0;
	return netlink_channel_open(bus, ret);
}

void netlink_channel_close(struct netlink_channel *channel)
{
	if (!channel)
		return;
	if (channel->socket)
		mnl_socket_close(channel->socket);
	free(channel->datagrams);
	free(channel);
}

int netlink_channel_get_fd(const struct netlink_channel *channel)
{
	return mnl_socket_get_fd(channel->socket);
}

uint32_t netlink_channel_get_port(const struct netlink_channel *channel)
{
	return channel->port;
}

int netlink_channel_join(struct netlink_channel *channel, unsigned group)
{
	int number = (int)group;

	if (mnl_socket_setsockopt(channel->socket, NETLINK_ADD_MEMBERSHIP, &number,
				  sizeof(number)) < 0)
		return -errno;
	return 0;
}

int netlink_channel_listen_everywhere(struct netlink_channel *channel)
{
	int on = 1;

	if (mnl_socket_setsockopt(channel->socket, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		return -errno;
	for (size_t i = 0; i < BATCH; i++)
		channel->headers[i].msg_hdr.msg_control = channel->controls[i].bytes;
	channel->listens_everywhere = true;
	return 0;
}

int32_t netlink_channel_get_nsid(const struct netlink_channel *channel)
{
	return channel->nsid;
}

ssize_t netlink_channel_set_receive_buffer(struct netlink_channel *channel, size_t bytes)
{
	int fd = netlink_channel_get_fd(channel);
	int value = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
	socklen_t length = sizeof(value);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &value, length) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, length) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length) < 0)
		return -errno;
	return value;
}

uint64_t netlink_channel_get_batches(const struct netlink_channel *channel)
{
	return channel->batches;
}

static int send_request(struct netlink_channel *channel, struct nlmsghdr *request)
{
	request->nlmsg_flags |= NLM_F_REQUEST;
	request->nlmsg_seq = ++channel->sequence;
	if (mnl_socket_sendto(channel->socket, request, request->nlmsg_len) < 0)
		return -errno;
	return 0;
}

/* Received datagrams, or a negative errno. A datagram that was longer than our buffer is an error
 * of ours, not loss by the kernel; it is told as EMSGSIZE. */
static int receive_datagrams(struct netlink_channel *channel, unsigned most)
{
	int count;

	for (unsigned i = 0; i < most; i++) {
		struct msghdr *header = &channel->headers[i].msg_hdr;

		header->msg_namelen = sizeof(channel->senders[i]);
		header->msg_controllen =
			channel->listens_everywhere ? sizeof(channel->controls[i].bytes) : 0;
	}
	do
		count = recvmmsg(netlink_channel_get_fd(channel), channel->headers, most,
				 MSG_DONTWAIT, NULL);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++)
		if (channel->headers[i].msg_hdr.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
	return count;
}

static int read_error(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

	if (mnl_nlmsg_get_payload_len(message) < sizeof(error->error))
		return -EBADMSG;
	return error->error > 0 ? -error->error : error->error;
}

struct reading {
	netlink_on_message on_message;
	void *userdata;
	uint32_t sequence; /* 0: any (multicast) */
	bool answered;	   /* a message of ours was seen */
	bool finished;	   /* the end of the answer was seen */
	bool torn;
	bool passes_done; /* NLMSG_DONE is a message like any other */
	bool reads_on;	  /* to the end of the answer, whatever on_message returns */
	int refusal;	  /* what on_message returned then */
};

static int pass_on(struct reading *reading, const struct nlmsghdr *message)
{
	int r = 0;

	if (reading->on_message && reading->refusal == 0)
		r = reading->on_message(message, reading->userdata);
	if (r >= 0 || !reading->reads_on)
		return r;
	reading->refusal = r;
	return 0;
}

static int handle_message(struct reading *reading, const struct nlmsghdr *message)
{
	if (reading->sequence && message->nlmsg_seq != reading->sequence)
		return 0;
	reading->answered = true;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		reading->torn = true;
	if (reading->passes_done && message->nlmsg_type == NLMSG_DONE)
		return pass_on(reading, message);
	switch (message->nlmsg_type) {
	case NLMSG_NOOP:
	case NLMSG_OVERRUN:
		return 0;
	case NLMSG_ERROR:
		reading->finished = true;
		return read_error(message);
	case NLMSG_DONE:
		/* Nobody asked: the end of a batch of NFLOG, which carries a header of the family
		 * and no errno (__nfulnl_send(), net/netfilter/nfnetlink_log.c). */
		if (!reading->sequence)
			return 0;
		reading->finished = true;
		/* A dump that failed half way tells its errno here. */
		if (mnl_nlmsg_get_payload_len(message) >= sizeof(int)) {
			int code = *(const int *)mnl_nlmsg_get_payload(message);

			return code < 0 ? code : 0;
		}
		return 0;
	default:
		return pass_on(reading, message);
	}
}

static int handle_datagram(struct reading *reading, const struct msghdr *header, size_t length)
{
	const struct sockaddr_nl *sender = header->msg_name;
	const struct nlmsghdr *message = header->msg_iov->iov_base;
	int left = (int)length;

	if (header->msg_namelen < sizeof(*sender) || sender->nl_pid != 0)
		return 0; /* only the kernel is believed */
	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		int r = handle_message(reading, message);

		if (r < 0)
			return r;
	}
	return 0;
}

static int32_t read_nsid(struct msghdr *header)
{
	int32_t nsid = NETLINK_CHANNEL_OWN;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control;
	     control = CMSG_NXTHDR(header, control))
		if (control->cmsg_level == SOL_NETLINK &&
		    control->cmsg_type == NETLINK_LISTEN_ALL_NSID &&
		    control->cmsg_len >= CMSG_LEN(sizeof(nsid)))
			memcpy(&nsid, CMSG_DATA(control), sizeof(nsid));
	return nsid;
}

/* Reads one batch. The number of datagrams, or a negative errno. */
static int read_batch(struct netlink_channel *channel, unsigned most, struct reading *reading)
{
	int count = receive_datagrams(channel, most < BATCH ? most : BATCH);

	channel->batches++;
	for (int i = 0; i < count; i++) {
		int r;

		if (channel->listens_everywhere)
			channel->nsid = read_nsid(&channel->headers[i].msg_hdr);
		r = handle_datagram(reading, &channel->headers[i].msg_hdr,
				    channel->headers[i].msg_len);

		if (r < 0)
			return r;
	}
	return count;
}

int netlink_channel_request(struct netlink_channel *channel, struct nlmsghdr *request,
			    netlink_on_message on_message, void *userdata)
{
	bool single = !(request->nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP));
	/* A dump that is not read to its end goes on inside the kernel, which then refuses the next
	 * one with EBUSY (cb_running in net/netlink/af_netlink.c). */
	struct reading reading = {.on_message = on_message, .userdata = userdata, .reads_on = true};
	int r;

	if (channel->dumping)
		return -EBUSY;
	r = send_request(channel, request);
	if (r < 0)
		return r;
	reading.sequence = channel->sequence;
	do {
		r = read_batch(channel, single ? 1 : BATCH, &reading);
		/* The answer is queued before sendto() or the last recv() returned, so an empty
		 * queue means that the kernel will not answer at all. */
		if (r == -EAGAIN)
			r = -ENODATA;
		if (r < 0)
			return reading.refusal ? reading.refusal : r;
	} while (!reading.finished && !(single && reading.answered));
	if (reading.refusal)
		return reading.refusal;
	return reading.torn ? NETLINK_TORN : 0;
}

int netlink_channel_send(struct netlink_channel *channel, struct nlmsghdr *message)
{
	return send_request(channel, message);
}

int netlink_channel_dump(struct netlink_channel *channel, struct nlmsghdr *request)
{
	int r;

	if (channel->dumping)
		return -EBUSY;
	request->nlmsg_flags |= NLM_F_DUMP;
	r = send_request(channel, request);
	if (r < 0)
		return r;
	channel->dumping = true;
	channel->torn = false;
	return 0;
}

int netlink_channel_receive(struct netlink_channel *channel, unsigned most,
			    netlink_on_message on_message, void *userdata)
{
	struct reading reading = {.on_message = on_message,
				  .userdata = userdata,
				  .passes_done = channel->is_connector,
				  .sequence = channel->dumping ? channel->sequence : 0};

	for (unsigned seen = 0; seen < most;) {
		int count = read_batch(channel, most - seen, &reading);

		channel->torn |= reading.torn;
		if (reading.finished && channel->dumping) {
			channel->dumping = false;
			if (count < 0)
				return count;
			return channel->torn ? NETLINK_TORN : NETLINK_DONE;
		}
		if (count == -EAGAIN)
			return NETLINK_DRAINED;
		if (count < 0)
			return count;
		seen += (unsigned)count;
	}
	return NETLINK_MORE;
}
