/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/packet_fragments.h"

#include "base/clock.h"
#include "base/hash.h"

/* The kernel's own patience with the fragments of one packet (net.ipv4.ipfrag_time). */
#define PATIENCE_NS (30 * NS_PER_SEC)

void packet_fragments_init(struct packet_fragments *fragments)
{
	*fragments = (struct packet_fragments){.seed = hash_seed_new()};
}

static struct flow_key without_ports(const struct flow_key *key)
{
	struct flow_key bare = *key;

	bare.tuple.src_port = bare.tuple.dst_port = bare.icmp_id = 0;
	return bare;
}

static struct packet_fragment *find_place(struct packet_fragments *fragments,
					  const struct flow_key *bare, uint32_t id)
{
	uint64_t hash = flow_key_hash(bare, fragments->seed ^ id);

	return &fragments->kept[hash % PACKET_FRAGMENTS_KEPT];
}

bool packet_fragments_complete(struct packet_fragments *fragments, struct packet *packet,
			       uint64_t now_ns)
{
	struct packet_fragment *place;
	struct flow_key bare, known;

	if (!packet->is_fragment || packet->is_icmp_error)
		return packet->has_ports;
	bare = without_ports(&packet->key);
	place = find_place(fragments, &bare, packet->fragment_id);
	if (packet->has_ports) {
		*place = (struct packet_fragment){
			.key = packet->key, .id = packet->fragment_id, .when_ns = now_ns};
		return true;
	}
	known = without_ports(&place->key);
	if (place->when_ns == 0 || place->id != packet->fragment_id ||
	    now_ns - place->when_ns > PATIENCE_NS || !flow_key_equal(&known, &bare))
		return false;
	packet->key = place->key;
	return true;
}
