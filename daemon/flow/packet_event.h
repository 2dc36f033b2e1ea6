/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A packet, as far as its headers tell, and what the kernel tells beside it when it logs one. Plain
 * values; texts are borrowed and valid during the callback. */

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "flow/flow_key.h"

/* What the headers tell. */
struct packet {
	/* As the packet was sent, zone 0. Of an ICMP error: the packet that it is about. */
	struct flow_key key;
	uint32_t bytes;		/* layer 3, by the IP header: what conntrack counts */
	uint32_t payload_bytes; /* behind the header of layer 4 */
	uint32_t fragment_id;
	uint32_t tcp_sequence;
	uint16_t vlan; /* 802.1Q id, the outer one of several; 0: none */
	uint8_t tos, ttl, tcp_flags;
	bool is_fragment;
	bool has_ports;	    /* false: a fragment behind the first one, key without ports */
	bool is_icmp_error; /* carries the head of a packet that it answers */
	/* TCP over IPv4 in one piece of more than 64 KiB, which is cut behind us (GSO, "BIG TCP"): its
	 * header has no length, and "bytes" and "payload_bytes" are without the payload. */
	bool is_unsized;
};

/* How well the time of a packet is known. */
enum packet_clock {
	PACKET_CLOCK_VAGUE, /* it waited for others before it was told: "when_ns" may be late by much */
	PACKET_CLOCK_PROMPT,  /* it was told at once: late by what a wake-up takes */
	PACKET_CLOCK_STAMPED, /* by the kernel, as it passed */
};

enum packet_tracking {
	PACKET_TRACKING_UNKNOWN,
	PACKET_IS_TRACKED, /* conntrack knows its flow, or refused it as invalid */
	PACKET_IS_UNTRACKED,
};

struct packet_event {
	struct packet packet;
	uint64_t when_ns;      /* monotonic */
	uint8_t clock;	       /* enum packet_clock */
	uint8_t tracking;      /* enum packet_tracking */
	bool is_sent_here;     /* by this host: seen as it left its sender (output) */
	bool is_received_here; /* by this host: seen as it arrived (input) */
	bool has_conntrack, has_source_mac, has_uid, has_gid, has_sequence, has_mark;
	uint8_t source_mac[6];
	uint32_t sequence;		      /* of the log group: gaps are losses */
	uint32_t in_interface, out_interface; /* indexes; 0: none */
	uint32_t mark;
	uint32_t uid, gid; /* of the socket that sends or receives it */
	/* With has_conntrack: the entry, its tuple in the direction of its first packet. */
	uint32_t conntrack_id;
	struct flow_key conntrack_key;
	struct text prefix; /* of the rule; empty: none */
};
