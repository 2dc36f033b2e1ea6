/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One key for the packets of both directions of a flow: its ends in the order of their addresses and
 * ports. Of ICMP queries, whose two directions differ in their types, it is the query's. */

#include <stdbool.h>

#include "flow/flow_key.h"

/* Which end sent the packet: index of what is kept by end. */
enum packet_side { PACKET_SIDE_LOW = 0, PACKET_SIDE_HIGH = 1 };

/* Named outcomes of packet_key_make(). */
enum {
	PACKET_KEY_NO_FLOW =
		2, /* ICMP that neither asks nor answers: conntrack makes no flow of it */
};

/* The common key of a packet and who sent it (enum packet_side), or PACKET_KEY_NO_FLOW. */
int packet_key_make(const struct flow_key *packet, struct flow_key *ret);
/* The key of the flow that "initiator" began, as a packet of its has it. */
struct flow_key packet_key_orient(const struct flow_key *key, enum packet_side initiator);
/* The key of the packets of "flow_key" where they pass firewall rules: behind the translation of
 * destinations, before that of sources (input, output and forward chains). "reply": as the responder
 * sends; NULL: there is no translation. */
struct flow_key packet_key_of_flow(const struct flow_key *flow_key, const struct flow_tuple *reply);
/* Whether it is an answer, from which alone no flow is begun. */
bool packet_key_is_answer(const struct flow_key *packet);
