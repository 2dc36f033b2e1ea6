/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/packet_key.h"

#include <netinet/in.h>
#include <string.h>

#include "base/macros.h"

/* Those that the kernel takes for queries (nf_conntrack_proto_icmp.c, ..._icmpv6.c). */
static const struct icmp_query {
	uint8_t protocol, asks, answers;
} queries[] = {{IPPROTO_ICMP, 8, 0},   {IPPROTO_ICMP, 13, 14},	   {IPPROTO_ICMP, 15, 16},
	       {IPPROTO_ICMP, 17, 18}, {IPPROTO_ICMPV6, 128, 129}, {IPPROTO_ICMPV6, 139, 140}};

static bool is_icmp(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static const struct icmp_query *find_query(const struct flow_key *key, bool is_answer)
{
	uint8_t type = (uint8_t)(key->tuple.dst_port >> 8);

	for (size_t i = 0; i < array_length(queries); i++)
		if (queries[i].protocol == key->protocol &&
		    (is_answer ? queries[i].answers : queries[i].asks) == type)
			return &queries[i];
	return NULL;
}

bool packet_key_is_answer(const struct flow_key *packet)
{
	return is_icmp(packet->protocol) && find_query(packet, true);
}

static void turn(struct flow_key *key)
{
	const struct flow_tuple tuple = key->tuple;

	key->tuple.src = tuple.dst;
	key->tuple.dst = tuple.src;
	if (is_icmp(key->protocol))
		return;
	key->tuple.src_port = tuple.dst_port;
	key->tuple.dst_port = tuple.src_port;
}

static int make_icmp(const struct flow_key *packet, struct flow_key *ret)
{
	const struct icmp_query *answered = find_query(packet, true);

	if (!answered && !find_query(packet, false))
		return PACKET_KEY_NO_FLOW;
	*ret = *packet;
	if (!answered)
		return PACKET_SIDE_LOW;
	turn(ret);
	ret->tuple.dst_port = (uint16_t)(answered->asks << 8 | (packet->tuple.dst_port & 255));
	return PACKET_SIDE_HIGH;
}

int packet_key_make(const struct flow_key *packet, struct flow_key *ret)
{
	const struct flow_tuple *tuple = &packet->tuple;
	int order;

	if (is_icmp(packet->protocol))
		return make_icmp(packet, ret);
	*ret = *packet;
	order = memcmp(&tuple->src, &tuple->dst, sizeof(tuple->src));
	if (order < 0 || (order == 0 && tuple->src_port <= tuple->dst_port))
		return PACKET_SIDE_LOW;
	turn(ret);
	return PACKET_SIDE_HIGH;
}

struct flow_key packet_key_orient(const struct flow_key *key, enum packet_side initiator)
{
	struct flow_key oriented = *key;

	if (initiator == PACKET_SIDE_HIGH)
		turn(&oriented);
	return oriented;
}

struct flow_key packet_key_of_flow(const struct flow_key *flow_key, const struct flow_tuple *reply)
{
	struct flow_key key = *flow_key;

	if (!reply)
		return key;
	key.tuple.dst = reply->src;
	if (!is_icmp(key.protocol))
		key.tuple.dst_port = reply->src_port;
	return key;
}
