/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How a TCP connection went, as one of its sockets tells it when it ends. */

#include <stdbool.h>
#include <stdint.h>

#include "flow/ownership.h"

/* Of what this socket sent. What the kernel does not tell is not known: it is no 0. */
struct tcp_quality {
	uint64_t acked_bytes;	     /* with the SYN of who connects and the FIN, one each */
	uint64_t data_bytes;	     /* handed to the network, each byte once; no SYN, no FIN */
	uint32_t retransmissions;    /* segments sent again */
	uint32_t rtt_us, min_rtt_us; /* smoothed; the least. 0: not known */
	bool has_counters;	     /* acked_bytes, data_bytes, retransmissions */
};

/* A TCP socket that had a peer is no more. */
struct socket_end_event {
	struct socket_tuple socket;
	struct tcp_quality quality;
	uint64_t when_ns;  /* monotonic: when it was read */
	int32_t namespace; /* a number of the namespace it was in, for what is elsewhere */
	bool is_elsewhere; /* not in the daemon's own network namespace */
};

/* Bytes of data that the peer has acknowledged. "is_initiator": the socket connected. Only with
 * has_counters. */
static inline uint64_t tcp_quality_get_delivered(const struct tcp_quality *quality,
						 bool is_initiator)
{
	uint64_t acked = quality->acked_bytes;

	if (is_initiator && acked > 0)
		acked--;
	return acked < quality->data_bytes ? acked : quality->data_bytes;
}
