/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* After how long without a packet conntrack forgets a flow: from the sysctls, and with it when a
 * flow's last packet was (the entry tells how long it still has to live). */

#include <stdbool.h>
#include <stdint.h>

enum conntrack_timeout {
	CONNTRACK_TIMEOUT_UDP,
	CONNTRACK_TIMEOUT_UDP_STREAM,
	CONNTRACK_TIMEOUT_ICMP,
	CONNTRACK_TIMEOUT_ICMPV6,
	CONNTRACK_TIMEOUT_TCP_SYN_SENT,
	CONNTRACK_TIMEOUT_TCP_SYN_RECV,
	CONNTRACK_TIMEOUT_TCP_ESTABLISHED,
	CONNTRACK_TIMEOUT_TCP_FIN_WAIT,
	CONNTRACK_TIMEOUT_TCP_CLOSE_WAIT,
	CONNTRACK_TIMEOUT_TCP_LAST_ACK,
	CONNTRACK_TIMEOUT_TCP_TIME_WAIT,
	CONNTRACK_TIMEOUT_TCP_CLOSE,
	CONNTRACK_TIMEOUT_TCP_RETRANSMITTED,
	CONNTRACK_TIMEOUT_TCP_UNACKNOWLEDGED,
	CONNTRACK_TIMEOUT_GENERIC,
	CONNTRACK_TIMEOUT_COUNT,
};

struct conntrack_timeouts {
	uint64_t ns[CONNTRACK_TIMEOUT_COUNT]; /* 0: unknown */
};

/* Reads the sysctls below "directory_fd" (/proc/sys/net/netfilter); what is not there stays 0. */
void conntrack_timeouts_read(struct conntrack_timeouts *timeouts, int directory_fd);

/* The timeout that a flow was last refreshed with, for TCP at most; 0 where unknown. "is_assured" as conntrack has
 * it: for UDP, traffic both ways for more than two seconds (nf_conntrack_udp_packet()). */
uint64_t conntrack_timeouts_find(const struct conntrack_timeouts *timeouts, uint8_t protocol,
				 uint8_t tcp_state, bool is_assured);

/* Whether an entry with so much left may have been refreshed with a shorter one than "timeout_ns", which is of
 * its state: TCP's while data is not acknowledged, is sent again and again, or no window was seen, as where it
 * was picked up in the middle (nf_conntrack_tcp_packet()). Entries do not tell. */
bool conntrack_timeouts_may_be_shorter(const struct conntrack_timeouts *timeouts, uint8_t protocol,
				       uint64_t timeout_ns, uint64_t left_ns);
