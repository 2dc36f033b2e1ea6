/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "record_packets.h"

#include <netinet/in.h>
#include <string.h>

static void add_interface(uint32_t index, uint64_t part, uint32_t *ret, struct flow_record *record)
{
	if (!index)
		return;
	*ret = index;
	record->parts |= part;
}

static void add_mac(const struct packet_end *end, uint64_t part, uint8_t ret[6],
		    struct flow_record *record)
{
	if (!end->has_mac)
		return;
	memcpy(ret, end->mac, sizeof(end->mac));
	record->parts |= part;
}

static void add_latency(const struct packet_latency *latency, uint64_t part, uint32_t *ret,
			struct flow_record *record)
{
	if (!latency->is_known)
		return;
	*ret = latency->us;
	record->parts |= part;
}

static void add_flags(const struct packet_end *client, const struct packet_end *server,
		      struct flow_record *record)
{
	struct record_packets *out = &record->packets;

	if (record->key.protocol != IPPROTO_TCP)
		return;
	if (client->packets) {
		out->client_flags = client->tcp_flags;
		record->parts |= RECORD_CLIENT_FLAGS;
	}
	if (server->packets) {
		out->server_flags = server->tcp_flags;
		record->parts |= RECORD_SERVER_FLAGS;
	}
	record->tcp_flags = client->tcp_flags | server->tcp_flags;
	record->parts |= RECORD_TCP_FLAGS;
}

static void add_initiator(const struct packet_end *end, struct flow_record *record)
{
	struct record_packets *out = &record->packets;

	if (!end->packets)
		return;
	out->src_tos = end->tos;
	out->min_ttl = end->min_ttl;
	out->max_ttl = end->max_ttl;
	record->parts |= RECORD_INITIATOR_PACKETS;
	add_interface(end->in_interface, RECORD_INPUT, &out->input_interface, record);
	add_interface(end->out_interface, RECORD_OUTPUT, &out->output_interface, record);
	add_mac(end, RECORD_SOURCE_MAC, out->source_mac, record);
}

static void add_responder(const struct packet_end *end, struct flow_record *record)
{
	struct record_packets *out = &record->packets;

	if (!end->packets)
		return;
	out->dst_tos = end->tos;
	record->parts |= RECORD_RESPONDER_PACKETS;
	add_mac(end, RECORD_DESTINATION_MAC, out->destination_mac, record);
}

static void add_group(const struct packet_end *end, unsigned side, struct record_end *ret,
		      struct flow_record *record)
{
	if (!end->has_gid || record->parts & RECORD_END(side, END_PROCESS))
		return;
	ret->gid = end->gid;
	record->parts |= RECORD_END(side, END_SOCKET_GROUP);
}

void record_packets_add(const struct packet_details *details, struct text prefix,
			struct flow_record *record)
{
	const struct packet_end *client = &details->ends[details->initiator];
	const struct packet_end *server = &details->ends[!details->initiator];
	struct record_packets *out = &record->packets;

	if (details->first_ns == 0)
		return;
	add_flags(client, server, record);
	add_initiator(client, record);
	add_responder(server, record);
	add_group(client, RECORD_SRC, &record->src, record);
	add_group(server, RECORD_DST, &record->dst, record);
	if (details->vlans[details->initiator]) {
		out->vlan = details->vlans[details->initiator];
		record->parts |= RECORD_VLAN;
	}
	/* That there were none is not known where only the first packets are looked at. */
	if (client->fragments || server->fragments) {
		out->src_fragments = client->fragments;
		out->dst_fragments = server->fragments;
		record->parts |= RECORD_FRAGMENTS;
	}
	if (details->has_mark) {
		out->mark = details->mark;
		record->parts |= RECORD_MARK;
	}
	if (!text_is_empty(prefix)) {
		out->prefix = prefix;
		record->parts |= RECORD_PREFIX;
	}
	add_latency(&details->client, RECORD_CLIENT_LATENCY, &out->client_latency_us, record);
	add_latency(&details->server, RECORD_SERVER_LATENCY, &out->server_latency_us, record);
	add_latency(&details->application, RECORD_APPLICATION_LATENCY, &out->application_latency_us,
		    record);
}
