/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Times. The kernel stamps packets that come in or pass through; those that this host sends have the time
 * at which they were read, which is late by a wake-up of ours, or by a lot when the machine is busy. So a
 * handshake is told by stamped packets wherever it can be:
 *
 * - passing through, all three packets are stamped;
 * - the server is here: it answers within the softirq that handles the SYN, so the time of that is the
 *   answer's, and its own latency is nothing. The SYN's stamp may be of its arrival, which is earlier where
 *   the softirq had to wait; conntrack has the time of the handling;
 * - the client is here: likewise for its last packet; when its SYN left conntrack knows, else it is the
 *   time of the reading.
 *
 * A SYN or its answer that came twice tells nothing (Karn's rule: which one was answered?). */

#include "flow/packet_details.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include "base/clock.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static void add_interfaces(struct packet_end *end, const struct packet_event *event)
{
	if (event->in_interface)
		end->in_interface = event->in_interface;
	if (event->out_interface)
		end->out_interface = event->out_interface;
}

/* What the packet before was without its length: from its sequence number to this one's. */
static uint32_t settle_length(struct packet_end *end, const struct packet *packet)
{
	enum { MOST_BYTES = 1 << 20 };
	uint32_t payload = packet->tcp_sequence - end->unsized_sequence;
	bool was_unsized = end->is_unsized;

	end->is_unsized = packet->is_unsized;
	end->unsized_sequence = packet->tcp_sequence + (packet->tcp_flags & FIN);
	return was_unsized && payload < MOST_BYTES ? payload : 0;
}

static void add_to_end(struct packet_end *end, const struct packet_event *event)
{
	const struct packet *packet = &event->packet;
	bool is_first = end->packets == 0;

	end->packets++;
	end->bytes += packet->bytes + settle_length(end, packet);
	end->tos |= packet->tos;
	end->tcp_flags |= packet->tcp_flags;
	if (is_first || packet->ttl < end->min_ttl)
		end->min_ttl = packet->ttl;
	if (packet->ttl > end->max_ttl)
		end->max_ttl = packet->ttl;
	if (packet->is_fragment && end->fragments < UINT16_MAX)
		end->fragments++;
	add_interfaces(end, event);
	if (event->has_source_mac) {
		for (size_t i = 0; i < sizeof(end->mac); i++)
			end->mac[i] = event->source_mac[i];
		end->has_mac = true;
	}
}

/* The kernel tells the user of the packet's socket: as it leaves, that of who sends it; as it arrives, that
 * of who will receive it (early demux). Elsewhere it may be anybody's. */
static void add_user(struct packet_details *details, enum packet_side side,
		     const struct packet_event *event)
{
	struct packet_end *end = &details->ends[event->is_sent_here ? side : !side];

	if (!event->is_sent_here && !event->is_received_here)
		return;
	if (event->has_uid && !end->has_uid) {
		end->uid = event->uid;
		end->has_uid = true;
	}
	if (event->has_gid && !end->has_gid) {
		end->gid = event->gid;
		end->has_gid = true;
	}
}

static struct packet_moment moment_of(const struct packet_event *event)
{
	return (struct packet_moment){.ns = event->when_ns, .clock = event->clock};
}

static void set_latency(struct packet_latency *latency, uint64_t from_ns, uint64_t until_ns,
			unsigned share)
{
	uint64_t us;

	if (latency->is_known || until_ns < from_ns)
		return;
	us = (until_ns - from_ns) / 1000 / share;
	if (us > UINT32_MAX)
		return;
	*latency = (struct packet_latency){.us = (uint32_t)us, .is_known = true};
}

static void set_nothing(struct packet_latency *latency)
{
	if (!latency->is_known)
		*latency = (struct packet_latency){.is_known = true};
}

/* Half a round trip: ntop's meaning of these fields. */
enum { ROUND_TRIP = 2, ONE_WAY = 1 };

static void measure(struct packet_latency *latency, const struct packet_moment *from,
		    const struct packet_event *event, unsigned share)
{
	if (from->ns == 0 || from->is_ambiguous || from->clock == PACKET_CLOCK_VAGUE ||
	    event->clock == PACKET_CLOCK_VAGUE)
		return;
	set_latency(latency, from->ns, event->when_ns, share);
}

static void note(struct packet_moment *moment, const struct packet_event *event)
{
	if (moment->ns) {
		moment->is_ambiguous = true;
		return;
	}
	*moment = moment_of(event);
}

static void on_syn_answered(struct packet_details *details, const struct packet_end *client,
			    const struct packet_end *server, const struct packet_event *event)
{
	note(&details->answer_to_syn, event);
	if (server->is_here)
		set_nothing(&details->server);
	else if (!client->is_here) /* else by the best time there is when it is asked for */
		measure(&details->server, &details->syn, event, ROUND_TRIP);
}

static void add_handshake(struct packet_details *details, enum packet_side side,
			  const struct packet_event *event)
{
	const struct packet_end *client = &details->ends[details->initiator];
	const struct packet_end *server = &details->ends[!details->initiator];
	uint8_t flags = event->packet.tcp_flags;
	bool is_client = side == details->initiator;

	if ((flags & (SYN | ACK)) == SYN) {
		note(&details->syn, event);
	} else if (flags & SYN) {
		if (!is_client && details->syn.ns)
			on_syn_answered(details, client, server, event);
	} else if (is_client && flags & ACK && details->answer_to_syn.ns &&
		   !details->last_of_three.ns) {
		details->last_of_three = moment_of(event);
		if (client->is_here)
			set_nothing(&details->client);
		else if (!server->is_here)
			measure(&details->client, &details->answer_to_syn, event, ROUND_TRIP);
	}
}

/* From the last packet of the first request to the first one of its answer. */
static void add_payload(struct packet_details *details, enum packet_side side,
			const struct packet_event *event)
{
	if ((event->packet.payload_bytes == 0 && !event->packet.is_unsized) || details->had_answer)
		return;
	if (side == details->initiator) {
		details->had_request = true;
		details->request = moment_of(event);
	} else if (details->had_request) {
		details->had_answer = true;
		measure(&details->application, &details->request, event, ONE_WAY);
	}
}

static void add_fin(struct packet_details *details, enum packet_side side)
{
	bool had_other = side == PACKET_SIDE_LOW ? details->has_fin_high : details->has_fin_low;

	if (side == PACKET_SIDE_LOW)
		details->has_fin_low = true;
	else
		details->has_fin_high = true;
	details->tcp_state = had_other ? TCP_CONNTRACK_LAST_ACK : TCP_CONNTRACK_FIN_WAIT;
}

/* As conntrack names the states. The last acknowledgement is the first packet behind the second FIN that
 * carries none. */
static void add_tcp_state(struct packet_details *details, enum packet_side side, uint8_t flags)
{
	if (flags & RST)
		details->tcp_state = TCP_CONNTRACK_CLOSE;
	else if (packet_details_is_closed(details))
		return;
	else if (flags & SYN)
		details->tcp_state = flags & ACK ? TCP_CONNTRACK_SYN_RECV : TCP_CONNTRACK_SYN_SENT;
	else if (flags & FIN)
		add_fin(details, side);
	else if (details->tcp_state == TCP_CONNTRACK_LAST_ACK)
		details->tcp_state = TCP_CONNTRACK_TIME_WAIT;
	else if (!details->has_fin_low && !details->has_fin_high)
		details->tcp_state = TCP_CONNTRACK_ESTABLISHED;
}

/* Who began it: whoever asks, and else whoever sent the first packet that was seen. */
static enum packet_side find_initiator(enum packet_side side, const struct packet_event *event)
{
	const struct packet *packet = &event->packet;

	if (packet->key.protocol == IPPROTO_TCP && (packet->tcp_flags & (SYN | ACK)) == (SYN | ACK))
		return !side;
	return packet_key_is_answer(&packet->key) ? !side : side;
}

static void add_first(struct packet_details *details, enum packet_side side,
		      const struct packet_event *event)
{
	details->first_ns = event->when_ns;
	details->first_clock = event->clock;
	if (!details->flow && (!details->has_roles || packet_details_begins_anew(event)))
		details->initiator = (uint8_t)find_initiator(side, event);
}

uint64_t packet_details_add(struct packet_details *details, enum packet_side side,
			    const struct packet_event *event)
{
	uint64_t before = details->ends[side].bytes;

	if (details->first_ns == 0)
		add_first(details, side, event);
	add_to_end(&details->ends[side], event);
	add_user(details, side, event);
	if (event->is_sent_here)
		details->ends[side].is_here = true;
	if (event->is_received_here)
		details->ends[!side].is_here = true;
	if (details->vlans[side] == 0)
		details->vlans[side] = event->packet.vlan;
	if (event->has_mark && !details->has_mark) {
		details->mark = event->mark;
		details->has_mark = true;
	}
	if (event->tracking != PACKET_TRACKING_UNKNOWN)
		details->tracking = event->tracking;
	if (event->packet.key.protocol == IPPROTO_TCP) {
		add_tcp_state(details, side, event->packet.tcp_flags);
		add_handshake(details, side, event);
	}
	add_payload(details, side, event);
	return details->ends[side].bytes - before;
}

void packet_details_start_over(struct packet_details *details)
{
	*details = (struct packet_details){.key = details->key,
					   .waiting = details->waiting,
					   .prefix = details->prefix,
					   .initiator = details->initiator,
					   .stage = details->stage,
					   .has_roles = true};
}

struct flow_counters packet_details_get_counters(const struct packet_details *details)
{
	const struct packet_end *in = &details->ends[details->initiator];
	const struct packet_end *out = &details->ends[!details->initiator];

	return (struct flow_counters){.in_bytes = in->bytes,
				      .in_packets = in->packets,
				      .out_bytes = out->bytes,
				      .out_packets = out->packets};
}

bool packet_details_is_closed(const struct packet_details *details)
{
	return details->tcp_state == TCP_CONNTRACK_TIME_WAIT ||
	       details->tcp_state == TCP_CONNTRACK_CLOSE;
}

bool packet_details_begins_anew(const struct packet_event *event)
{
	return event->packet.key.protocol == IPPROTO_TCP &&
	       (event->packet.tcp_flags & (SYN | ACK | RST | FIN)) == SYN;
}

/* From the handling of the SYN on this host to a stamped packet of the other's. */
static void measure_from_syn(struct packet_latency *latency, struct packet_moment syn,
			     const struct packet_moment *until, uint64_t start_ns)
{
	/* The two are at most what packets wait apart; else it is another connection's begin. */
	const uint64_t most_ns = NS_PER_SEC;

	if (latency->is_known || syn.ns == 0 || syn.is_ambiguous || until->ns == 0 ||
	    until->is_ambiguous || until->clock != PACKET_CLOCK_STAMPED)
		return;
	if (start_ns && start_ns < until->ns && start_ns + most_ns > syn.ns &&
	    syn.ns + most_ns > start_ns)
		syn = (struct packet_moment){.ns = start_ns, .clock = PACKET_CLOCK_STAMPED};
	if (syn.clock != PACKET_CLOCK_VAGUE)
		set_latency(latency, syn.ns, until->ns, ROUND_TRIP);
}

void packet_details_take_start(struct packet_details *details, uint64_t start_ns)
{
	bool is_client_here = details->ends[details->initiator].is_here;
	bool is_server_here = details->ends[!details->initiator].is_here;

	if (is_client_here && !is_server_here)
		measure_from_syn(&details->server, details->syn, &details->answer_to_syn, start_ns);
	/* An answer that was sent twice may have been acknowledged either time. */
	if (is_server_here && !is_client_here && !details->answer_to_syn.is_ambiguous)
		measure_from_syn(&details->client, details->syn, &details->last_of_three, start_ns);
}
