/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/split.h"

#include <netinet/in.h>
#include <stddef.h>

#include "base/macros.h"

enum { REVERSE_INITIATOR = 2, END_PARTS = RECORD_DST - RECORD_SRC };

#define END_MASK (RECORD_PART(END_PARTS) - 1)
/* Of the initiator's packets alone. */
#define ONE_WAY                                                                                    \
	(RECORD_INPUT | RECORD_OUTPUT | RECORD_SOURCE_MAC | RECORD_DESTINATION_MAC | RECORD_VLAN)
#define NAT (RECORD_NAT_IPV4 | RECORD_NAT_IPV6 | RECORD_NAT_PORTS)

static struct flow_tuple turn(const struct flow_tuple *tuple)
{
	return (struct flow_tuple){.src = tuple->dst,
				   .dst = tuple->src,
				   .src_port = tuple->dst_port,
				   .dst_port = tuple->src_port};
}

static uint64_t swap_ends(uint64_t parts)
{
	uint64_t src = parts >> RECORD_SRC & END_MASK, dst = parts >> RECORD_DST & END_MASK;

	parts &= ~(END_MASK << RECORD_SRC | END_MASK << RECORD_DST);
	return parts | dst << RECORD_SRC | src << RECORD_DST;
}

/* The type that the kernel takes for the answer (nf_conntrack_proto_icmp.c, ..._icmpv6.c); others
 * have none. */
static uint8_t answer_icmp(uint8_t protocol, uint8_t type)
{
	static const struct {
		uint8_t protocol, asks, answers;
	} pairs[] = {{IPPROTO_ICMP, 8, 0},	 {IPPROTO_ICMP, 13, 14},
		     {IPPROTO_ICMP, 15, 16},	 {IPPROTO_ICMP, 17, 18},
		     {IPPROTO_ICMPV6, 128, 129}, {IPPROTO_ICMPV6, 139, 140}};

	for (size_t i = 0; i < array_length(pairs); i++) {
		if (pairs[i].protocol == protocol && pairs[i].asks == type)
			return pairs[i].answers;
		if (pairs[i].protocol == protocol && pairs[i].answers == type)
			return pairs[i].asks;
	}
	return type;
}

static void turn_icmp(const struct flow_record *record, struct flow_record *reverse)
{
	reverse->icmp_type = answer_icmp(record->key.protocol, record->icmp_type);
	reverse->key.tuple.src_port = record->key.tuple.src_port;
	reverse->key.tuple.dst_port = (uint16_t)(reverse->icmp_type << 8 | record->icmp_code);
}

/* Client and server keep their names; what is known of one way only is left out. The responder's TTL is
 * not kept, and its TOS is a part with it. */
static void turn_packets(const struct flow_record *record, struct flow_record *reverse)
{
	reverse->parts &= ~(ONE_WAY | RECORD_INITIATOR_PACKETS | RECORD_RESPONDER_PACKETS);
	if (record->parts & RECORD_INITIATOR_PACKETS)
		reverse->parts |= RECORD_RESPONDER_PACKETS;
	reverse->packets.dst_tos = record->packets.src_tos;
	reverse->packets.src_fragments = record->packets.dst_fragments;
	reverse->packets.dst_fragments = record->packets.src_fragments;
}

bool split_make_reverse(const struct flow_record *record, struct flow_record *ret_reverse)
{
	struct flow_record reverse = *record;

	if (!(record->parts & RECORD_COUNTERS) || record->counters.out_packets == 0)
		return false;
	reverse.key.tuple = turn(&record->key.tuple);
	if (record->parts & NAT) {
		reverse.key.tuple = turn(&record->translated);
		reverse.translated = turn(&record->key.tuple);
	}
	if (record->parts & RECORD_ICMP)
		turn_icmp(record, &reverse);
	reverse.parts = swap_ends(record->parts);
	turn_packets(record, &reverse);
	reverse.src = record->dst;
	reverse.dst = record->src;
	reverse.counters.in_bytes = record->counters.out_bytes;
	reverse.counters.in_packets = record->counters.out_packets;
	reverse.counters.out_bytes = record->counters.in_bytes;
	reverse.counters.out_packets = record->counters.in_packets;
	reverse.direction = REVERSE_INITIATOR;
	*ret_reverse = reverse;
	return true;
}
