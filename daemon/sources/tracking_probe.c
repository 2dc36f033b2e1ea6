/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The entry is confirmed in the output path's last hook (nf_confirm() in POST_ROUTING), so it can
 * be asked for as soon as send() returns, whatever becomes of the datagram on its way in. Two
 * sockets are used: a datagram from a socket to itself has one tuple for both directions. */

#include "sources/tracking_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "netlink/channel.h"

DEFINE_CLEANUP(struct netlink_channel *, netlink_channel_close);

enum { REQUEST_SIZE = 512 };

union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t get_length(const union endpoint *endpoint)
{
	return endpoint->any.sa_family == AF_INET ? sizeof(endpoint->v4) : sizeof(endpoint->v6);
}

/* A UDP socket at a loopback port that the kernel chooses. */
static int open_endpoint(enum ip_family family, union endpoint *ret_bound)
{
	union endpoint bound = {
		.v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}};
	socklen_t length;
	cleanup_close int fd = -1;

	if (family == IP_FAMILY_V6)
		bound.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
						 .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	length = get_length(&bound);
	fd = socket(bound.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, &bound.any, length) < 0 || getsockname(fd, &bound.any, &length) < 0)
		return -errno;
	*ret_bound = bound;
	return steal_fd(&fd);
}

static void put_addresses(struct nlmsghdr *request, const union endpoint *from,
			  const union endpoint *to)
{
	struct nlattr *nest = mnl_attr_nest_start(request, CTA_TUPLE_IP);

	if (from->any.sa_family == AF_INET) {
		mnl_attr_put_u32(request, CTA_IP_V4_SRC, from->v4.sin_addr.s_addr);
		mnl_attr_put_u32(request, CTA_IP_V4_DST, to->v4.sin_addr.s_addr);
	} else {
		mnl_attr_put(request, CTA_IP_V6_SRC, sizeof(from->v6.sin6_addr),
			     &from->v6.sin6_addr);
		mnl_attr_put(request, CTA_IP_V6_DST, sizeof(to->v6.sin6_addr), &to->v6.sin6_addr);
	}
	mnl_attr_nest_end(request, nest);
}

static struct nlmsghdr *build_request(void *bytes, unsigned type, const union endpoint *from,
				      const union endpoint *to)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(bytes);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	struct nlattr *tuple, *protocol;

	request->nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | type);
	header->nfgen_family = (uint8_t)from->any.sa_family;
	header->version = NFNETLINK_V0;
	tuple = mnl_attr_nest_start(request, CTA_TUPLE_ORIG);
	put_addresses(request, from, to);
	protocol = mnl_attr_nest_start(request, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(request, CTA_PROTO_NUM, IPPROTO_UDP);
	/* The port stands at the same place in both families. */
	mnl_attr_put_u16(request, CTA_PROTO_SRC_PORT, from->v4.sin_port);
	mnl_attr_put_u16(request, CTA_PROTO_DST_PORT, to->v4.sin_port);
	mnl_attr_nest_end(request, protocol);
	mnl_attr_nest_end(request, tuple);
	return request;
}

static int find_entry(const union endpoint *from, const union endpoint *to)
{
	cleanup(netlink_channel_close_cleanup) struct netlink_channel *channel = NULL;
	uint8_t bytes[REQUEST_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *request;
	int r = netlink_channel_open(NETLINK_NETFILTER, &channel);

	if (r < 0)
		return r;
	request = build_request(bytes, IPCTNL_MSG_CT_GET, from, to);
	r = netlink_channel_request(channel, request, NULL, NULL);
	if (r == -ENOENT)
		return TRACKING_PROBE_UNTRACKED;
	if (r < 0)
		return r;
	request = build_request(bytes, IPCTNL_MSG_CT_DELETE, from, to);
	request->nlmsg_flags |= NLM_F_ACK;
	r = netlink_channel_request(channel, request, NULL, NULL);
	return r < 0 && r != -ENOENT ? r : TRACKING_PROBE_TRACKED;
}

int tracking_probe_read(enum ip_family family)
{
	union endpoint from, to;
	cleanup_close int sender = open_endpoint(family, &from);
	cleanup_close int receiver = -1;

	if (sender < 0)
		return sender;
	receiver = open_endpoint(family, &to);
	if (receiver < 0)
		return receiver;
	if (sendto(sender, "", 1, MSG_NOSIGNAL, &to.any, get_length(&to)) < 0)
		return -errno;
	return find_entry(&from, &to);
}

struct tracking_status tracking_probe_read_status(void)
{
	struct tracking_status status = {.v4 = tracking_probe_read(IP_FAMILY_V4),
					 .v6 = tracking_probe_read(IP_FAMILY_V6)};
	bool v6_misses = status.v6 != TRACKING_PROBE_TRACKED && status.v6 != -EAFNOSUPPORT &&
			 status.v6 != -EADDRNOTAVAIL;

	status.is_tracking =
		status.v4 == TRACKING_PROBE_TRACKED || status.v6 == TRACKING_PROBE_TRACKED;
	if (!status.is_tracking)
		status.untracked = "connections";
	else if (status.v4 != TRACKING_PROBE_TRACKED)
		status.untracked = "IPv4 connections";
	else if (v6_misses)
		status.untracked = "IPv6 connections";
	return status;
}
