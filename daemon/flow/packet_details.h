/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the packets of one flow told, by the end that sent them. It is gathered before anybody knows which
 * end began the flow. Pure: no table, no time of its own. */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "flow/flow_event.h"
#include "flow/packet_event.h"
#include "flow/packet_key.h"

struct flow;

/* Of the packets that one end sent. */
struct packet_end {
	uint64_t bytes, packets;
	uint32_t in_interface, out_interface;
	uint32_t uid, gid;
	uint16_t fragments;
	/* Of a packet without a length, which the next one's sequence number tells. */
	uint32_t unsized_sequence;
	uint8_t mac[6];
	uint8_t tos, min_ttl, max_ttl, tcp_flags;
	bool is_unsized : 1;
	bool has_mac : 1;
	bool has_uid : 1;
	bool has_gid : 1;
	bool is_here : 1; /* it is an end of this host's, as the hooks tell */
};

/* A moment, as well as it is known. */
struct packet_moment {
	uint64_t ns;	   /* 0: not yet */
	uint8_t clock;	   /* enum packet_clock */
	bool is_ambiguous; /* it came twice: an answer may be one to either */
};

struct packet_latency {
	uint32_t us;
	bool is_known;
};

struct packet_details {
	struct flow_key key; /* packet_key_make() */
	struct flow *flow;   /* NULL: none is known */
	uint64_t flow_id;
	struct list_node waiting; /* its owner's */
	uint64_t due_ns;
	uint64_t first_ns;
	struct packet_end ends[2]; /* by enum packet_side */
	struct packet_moment syn, answer_to_syn, last_of_three, request;
	struct packet_latency client, server, application;
	uint32_t mark;
	uint16_t vlans[2];
	uint8_t prefix;	   /* number, 0: none */
	uint8_t initiator; /* enum packet_side */
	uint8_t first_clock;
	uint8_t tcp_state; /* enum tcp_conntrack, by the packets alone */
	uint8_t tracking;  /* enum packet_tracking */
	uint8_t stage;	   /* its owner's */
	bool has_mark : 1;
	bool has_fin_low : 1;
	bool has_fin_high : 1;
	bool had_request : 1;
	bool had_answer : 1;
	bool has_roles : 1;    /* "initiator" is known from before the first packet */
	bool is_ambiguous : 1; /* its owner's: of several flows */
};

/* Works the first packet or another one in. "side" sent it. Returns how many bytes are more now. */
uint64_t packet_details_add(struct packet_details *details, enum packet_side side,
			    const struct packet_event *event);

/* Forgets all but the key and who began it: what comes next is another flow of the same connection. Not
 * while it waits. */
void packet_details_start_over(struct packet_details *details);

/* Bytes and packets by who began the flow. */
struct flow_counters packet_details_get_counters(const struct packet_details *details);
/* Whether its connection is at its end: TIME_WAIT or CLOSE. */
bool packet_details_is_closed(const struct packet_details *details);
/* Whether the packet begins a connection anew. */
bool packet_details_begins_anew(const struct packet_event *event);

/* The latencies of handshakes with one end on this host, whose own packets are not stamped: when the first
 * packet was handled conntrack may know to the nanosecond. 0: it does not. */
void packet_details_take_start(struct packet_details *details, uint64_t start_ns);
