/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/socket_end_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "netlink/attribute.h"

struct parts {
	const struct nlattr *info;
	bool is_other_protocol;
};

static struct parts find_parts(const struct nlmsghdr *message)
{
	struct parts parts = {0};

	netlink_for_each_attribute (attribute, message, sizeof(struct inet_diag_msg)) {
		const uint8_t *payload = netlink_attribute_get_payload(attribute);

		switch (netlink_attribute_get_type(attribute)) {
		case INET_DIAG_INFO:
			parts.info = attribute;
			break;
		case INET_DIAG_PROTOCOL:
			if (netlink_attribute_get_size(attribute) >= 1 && *payload != IPPROTO_TCP)
				parts.is_other_protocol = true;
			break;
		default:
			break;
		}
	}
	return parts;
}

#define KNOWS(length, member)                                                                      \
	((length) >= offsetof(struct tcp_info, member) + sizeof(((struct tcp_info *)0)->member))

static struct tcp_quality read_quality(const struct nlattr *attribute)
{
	size_t length = netlink_attribute_get_size(attribute);
	struct tcp_quality quality = {0};
	struct tcp_info info = {0};

	memcpy(&info, netlink_attribute_get_payload(attribute),
	       length < sizeof(info) ? length : sizeof(info));
	if (KNOWS(length, tcpi_rtt))
		quality.rtt_us = info.tcpi_rtt;
	if (KNOWS(length, tcpi_min_rtt) && info.tcpi_min_rtt != UINT32_MAX) /* no sample */
		quality.min_rtt_us = info.tcpi_min_rtt;
	if (KNOWS(length, tcpi_bytes_retrans) && info.tcpi_bytes_retrans <= info.tcpi_bytes_sent) {
		quality.has_counters = true;
		quality.retransmissions = info.tcpi_total_retrans;
		quality.acked_bytes = info.tcpi_bytes_acked;
		quality.data_bytes = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	}
	return quality;
}

/* An IPv6 socket that spoke IPv4 tells ::ffff: addresses; packets are IPv4. */
static struct socket_tuple read_tuple(const struct inet_diag_msg *socket)
{
	struct socket_tuple tuple = {
		.local_port = ntohs(socket->id.idiag_sport),
		.remote_port = ntohs(socket->id.idiag_dport),
		.family = socket->idiag_family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6,
		.protocol = IPPROTO_TCP,
	};
	size_t length = ip_address_length(tuple.family);
	struct ip_address local, remote;

	memcpy(tuple.local.bytes, socket->id.idiag_src, length);
	memcpy(tuple.remote.bytes, socket->id.idiag_dst, length);
	if (tuple.family == IP_FAMILY_V6 && ip_address_unmap(&tuple.local, &local) &&
	    ip_address_unmap(&tuple.remote, &remote)) {
		tuple.family = IP_FAMILY_V4;
		tuple.local = local;
		tuple.remote = remote;
	}
	return tuple;
}

int socket_end_parse(const struct nlmsghdr *message, struct socket_end_event *ret)
{
	const struct inet_diag_msg *socket = NLMSG_DATA(message);
	struct parts parts;

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    message->nlmsg_len < NLMSG_LENGTH(sizeof(*socket)) ||
	    (socket->idiag_family != AF_INET && socket->idiag_family != AF_INET6))
		return -EBADMSG;
	parts = find_parts(message);
	if (parts.is_other_protocol || !parts.info)
		return SOCKET_END_E_UNTOLD;
	if (socket->id.idiag_dport == 0 || socket->id.idiag_sport == 0)
		return SOCKET_END_E_UNCONNECTED;
	*ret = (struct socket_end_event){.socket = read_tuple(socket),
					 .quality = read_quality(parts.info)};
	return SOCKET_END_PARSED;
}
