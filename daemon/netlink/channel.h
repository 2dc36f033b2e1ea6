/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One netlink socket, over libmnl. Three ways to use it:
 *
 * - netlink_channel_request(): a question and its answers at once. The kernel answers requests and
 *   dumps within the caller's system calls, so this does not wait on others.
 * - netlink_channel_dump(): starts a dump whose answers come by netlink_channel_receive(), bit by
 *   bit from the loop: for tables too large for one turn.
 * - netlink_channel_receive(): what multicast groups announce, many messages a system call.
 *
 * Events and questions never share a channel: an overrun of one must not tear the other. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

struct netlink_channel;

/* Called for every message that is not NLMSG_ERROR, NLMSG_DONE or NLMSG_NOOP (on the bus
 * NETLINK_CONNECTOR all are NLMSG_DONE, and it is called for them). 0 goes on; negative
 * is the last call, and what the reading function returns: netlink_channel_receive() at once (what
 * was received in the same batch is dropped), netlink_channel_request() when the answer is at its
 * end. */
typedef int (*netlink_on_message)(const struct nlmsghdr *message, void *userdata);

/* Named outcomes of netlink_channel_receive(). */
enum {
	NETLINK_DRAINED = 0, /* nothing more to read now */
	NETLINK_MORE = 1,    /* the bound was reached; call again in the next turn */
	NETLINK_DONE = 2,    /* the dump that was going on is complete */
	NETLINK_TORN = 3,    /* ... complete, but the table changed under it (NLM_F_DUMP_INTR) */
};

/* "bus" is NETLINK_NETFILTER, NETLINK_SOCK_DIAG, ... 0 or a negative errno. The socket lives in the
 * network namespace that the calling thread is in. */
int netlink_channel_open(int bus, struct netlink_channel **ret);
/* The same in the network namespace that "netns_fd" refers to: goes there with setns(2), opens,
 * comes back (CAP_SYS_ADMIN). The channel stays there. When the way back fails the process cannot
 * go on: it is ended with a message. */
int netlink_channel_open_in(int bus, int netns_fd, struct netlink_channel **ret);
/* The same in the host's network namespace where it can be entered (the process is in the initial pid
 * namespace, CAP_SYS_ADMIN); else here. What the kernel
 * sends to init_net alone (exit records of taskstats, the process connector) is heard there only. */
int netlink_channel_open_on_host(int bus, struct netlink_channel **ret);
void netlink_channel_close(struct netlink_channel *channel);

int netlink_channel_get_fd(const struct netlink_channel *channel);
/* The number that the kernel gave the socket: no other one on this bus has it. */
uint32_t netlink_channel_get_port(const struct netlink_channel *channel);
int netlink_channel_join(struct netlink_channel *channel, unsigned group);

/* What groups announce in other network namespaces is heard too: of those that have a number here
 * (every one that a wire or tunnel joins to ours gets one; ip-netns(8), "set"). It keeps none of them
 * alive. 0, or a negative errno (-EPERM: CAP_NET_BROADCAST). */
int netlink_channel_listen_everywhere(struct netlink_channel *channel);
/* That number, for the message that is handled; NETLINK_CHANNEL_OWN: it is of the channel's own
 * namespace, if that has no number. */
enum { NETLINK_CHANNEL_OWN = -1 };
int32_t netlink_channel_get_nsid(const struct netlink_channel *channel);

/* Sets the receive buffer, above net.core.rmem_max too where CAP_NET_ADMIN allows it
 * (SO_RCVBUFFORCE). Returns the bytes the kernel now counts with (it doubles them), or a negative
 * errno. */
ssize_t netlink_channel_set_receive_buffer(struct netlink_channel *channel, size_t bytes);

/* Sends "request" (its sequence number is filled in) and reads until the end of the answer, which
 * is an NLMSG_ERROR (an acknowledgement or an errno), the end of the dump, or one message where
 * neither NLM_F_ACK nor NLM_F_DUMP is set. 0, NETLINK_TORN, the negative errno that the kernel
 * answered with, -EBUSY while a netlink_channel_dump() is going on, or what "on_message" returned.
 * Answers to earlier questions are skipped. */
int netlink_channel_request(struct netlink_channel *channel, struct nlmsghdr *request,
			    netlink_on_message on_message, void *userdata);

/* Sends a message and returns; what answers it, if anything, comes by netlink_channel_receive(). 0 or
 * a negative errno. */
int netlink_channel_send(struct netlink_channel *channel, struct nlmsghdr *message);

/* Sends a dump request and returns; -EBUSY while one is going on. */
int netlink_channel_dump(struct netlink_channel *channel, struct nlmsghdr *request);

/* How many times messages were taken from the kernel: those of one number were there before the time
 * at which the first of them is handled. */
uint64_t netlink_channel_get_batches(const struct netlink_channel *channel);

/* Reads up to "most" datagrams without waiting: each is one message of a group, or up to 32 KiB of
 * them of a dump. One of the outcomes above; -ENOBUFS when messages were lost (the next call goes
 * on after them); another negative errno, or what "on_message" returned. */
int netlink_channel_receive(struct netlink_channel *channel, unsigned most,
			    netlink_on_message on_message, void *userdata);
