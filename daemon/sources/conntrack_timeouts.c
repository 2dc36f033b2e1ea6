/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/conntrack_timeouts.h"

#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "procfs/text_file.h"

static const char *const sysctl_names[CONNTRACK_TIMEOUT_COUNT] = {
	[CONNTRACK_TIMEOUT_UDP] = "nf_conntrack_udp_timeout",
	[CONNTRACK_TIMEOUT_UDP_STREAM] = "nf_conntrack_udp_timeout_stream",
	[CONNTRACK_TIMEOUT_ICMP] = "nf_conntrack_icmp_timeout",
	[CONNTRACK_TIMEOUT_ICMPV6] = "nf_conntrack_icmpv6_timeout",
	[CONNTRACK_TIMEOUT_TCP_SYN_SENT] = "nf_conntrack_tcp_timeout_syn_sent",
	[CONNTRACK_TIMEOUT_TCP_SYN_RECV] = "nf_conntrack_tcp_timeout_syn_recv",
	[CONNTRACK_TIMEOUT_TCP_ESTABLISHED] = "nf_conntrack_tcp_timeout_established",
	[CONNTRACK_TIMEOUT_TCP_FIN_WAIT] = "nf_conntrack_tcp_timeout_fin_wait",
	[CONNTRACK_TIMEOUT_TCP_CLOSE_WAIT] = "nf_conntrack_tcp_timeout_close_wait",
	[CONNTRACK_TIMEOUT_TCP_LAST_ACK] = "nf_conntrack_tcp_timeout_last_ack",
	[CONNTRACK_TIMEOUT_TCP_TIME_WAIT] = "nf_conntrack_tcp_timeout_time_wait",
	[CONNTRACK_TIMEOUT_TCP_CLOSE] = "nf_conntrack_tcp_timeout_close",
	[CONNTRACK_TIMEOUT_TCP_RETRANSMITTED] = "nf_conntrack_tcp_timeout_max_retrans",
	[CONNTRACK_TIMEOUT_TCP_UNACKNOWLEDGED] = "nf_conntrack_tcp_timeout_unacknowledged",
	[CONNTRACK_TIMEOUT_GENERIC] = "nf_conntrack_generic_timeout",
};

static const enum conntrack_timeout tcp_timeouts[] = {
	[TCP_CONNTRACK_NONE] = CONNTRACK_TIMEOUT_COUNT,
	[TCP_CONNTRACK_SYN_SENT] = CONNTRACK_TIMEOUT_TCP_SYN_SENT,
	[TCP_CONNTRACK_SYN_RECV] = CONNTRACK_TIMEOUT_TCP_SYN_RECV,
	[TCP_CONNTRACK_ESTABLISHED] = CONNTRACK_TIMEOUT_TCP_ESTABLISHED,
	[TCP_CONNTRACK_FIN_WAIT] = CONNTRACK_TIMEOUT_TCP_FIN_WAIT,
	[TCP_CONNTRACK_CLOSE_WAIT] = CONNTRACK_TIMEOUT_TCP_CLOSE_WAIT,
	[TCP_CONNTRACK_LAST_ACK] = CONNTRACK_TIMEOUT_TCP_LAST_ACK,
	[TCP_CONNTRACK_TIME_WAIT] = CONNTRACK_TIMEOUT_TCP_TIME_WAIT,
	[TCP_CONNTRACK_CLOSE] = CONNTRACK_TIMEOUT_TCP_CLOSE,
	[TCP_CONNTRACK_SYN_SENT2] = CONNTRACK_TIMEOUT_TCP_SYN_SENT,
};

static uint64_t read_seconds(int directory_fd, const char *name)
{
	char text[24];

	if (procfs_read_text(directory_fd, name, text, sizeof(text)) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

void conntrack_timeouts_read(struct conntrack_timeouts *timeouts, int directory_fd)
{
	for (size_t i = 0; i < CONNTRACK_TIMEOUT_COUNT; i++)
		timeouts->ns[i] = read_seconds(directory_fd, sysctl_names[i]) * NS_PER_SEC;
}

static enum conntrack_timeout find_index(uint8_t protocol, uint8_t tcp_state, bool is_assured)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return tcp_state < array_length(tcp_timeouts) ? tcp_timeouts[tcp_state]
							      : CONNTRACK_TIMEOUT_COUNT;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return is_assured ? CONNTRACK_TIMEOUT_UDP_STREAM : CONNTRACK_TIMEOUT_UDP;
	case IPPROTO_ICMP:
		return CONNTRACK_TIMEOUT_ICMP;
	case IPPROTO_ICMPV6:
		return CONNTRACK_TIMEOUT_ICMPV6;
	case IPPROTO_SCTP:
	case IPPROTO_GRE:
		return CONNTRACK_TIMEOUT_COUNT; /* states that the entry does not tell us */
	default:
		return CONNTRACK_TIMEOUT_GENERIC;
	}
}

uint64_t conntrack_timeouts_find(const struct conntrack_timeouts *timeouts, uint8_t protocol,
				 uint8_t tcp_state, bool is_assured)
{
	enum conntrack_timeout index = find_index(protocol, tcp_state, is_assured);

	return index < CONNTRACK_TIMEOUT_COUNT ? timeouts->ns[index] : 0;
}

bool conntrack_timeouts_may_be_shorter(const struct conntrack_timeouts *timeouts, uint8_t protocol,
				       uint64_t timeout_ns, uint64_t left_ns)
{
	static const enum conntrack_timeout shorter[] = {CONNTRACK_TIMEOUT_TCP_RETRANSMITTED,
							 CONNTRACK_TIMEOUT_TCP_UNACKNOWLEDGED};

	if (protocol != IPPROTO_TCP)
		return false;
	for (size_t i = 0; i < array_length(shorter); i++)
		if (timeouts->ns[shorter[i]] < timeout_ns && left_ns <= timeouts->ns[shorter[i]])
			return true;
	return false;
}
