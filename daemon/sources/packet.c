/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Two lengths go through all of this: "have", the bytes that were copied, and "size", the bytes that the
 * packet says it has. A header must lie within both: beyond the first the packet is cut, beyond the
 * second it is wrong. */

#include "sources/packet.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "base/macros.h"

enum {
	MOST_TAGS = 4,
	TAG_BYTES = 4,
	/* RFC 8200 4.1: each at most once, destination options twice. */
	MOST_EXTENSIONS = 8,
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	TCP_BYTES = 20,
	UDP_BYTES = 8,
	ICMP_BYTES = 8,
	PORTS_BYTES = 4,
	/* The types of ICMPv6 below are errors: RFC 4443 2.1. */
	ICMPV6_FIRST_QUERY = 128,
	DCCP = 33,
	UDP_LITE = 136,
	UNSIZED = 1 << 20, /* more than there can be */
};

struct bytes {
	const uint8_t *at;
	size_t have, size;
};

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)read_u16(at) << 16 | read_u16(at + 2);
}

/* Whether "count" bytes are there. */
static enum packet_fault check(const struct bytes *bytes, size_t count)
{
	if (count > bytes->size)
		return PACKET_WRONG_LENGTH;
	return count > bytes->have ? PACKET_CUT : PACKET_FINE;
}

/* "count" was checked. */
static struct bytes skip(const struct bytes *bytes, size_t count)
{
	return (struct bytes){bytes->at + count, bytes->have - count, bytes->size - count};
}

const char *packet_fault_get_name(enum packet_fault fault)
{
	static const char *const names[PACKET_FAULTS] = {
		[PACKET_FINE] = "fine",
		[PACKET_NOT_IP] = "not-ip",
		[PACKET_CUT] = "cut",
		[PACKET_WRONG_VERSION] = "wrong-version",
		[PACKET_WRONG_LENGTH] = "wrong-length",
		[PACKET_TOO_DEEP] = "too-deep",
	};

	return names[fault];
}

static bool is_tag(uint16_t protocol)
{
	return protocol == ETH_P_8021Q || protocol == ETH_P_8021AD || protocol == ETH_P_QINQ1;
}

/* Tags, each its control information and the EtherType of what follows. A tag with id 0 has a priority
 * and no VLAN. */
static enum packet_fault parse_tags(struct bytes *bytes, uint16_t *protocol, uint16_t *vlan)
{
	for (unsigned count = 0; is_tag(*protocol); count++) {
		enum packet_fault fault = check(bytes, TAG_BYTES);

		if (fault != PACKET_FINE)
			return fault;
		if (count == MOST_TAGS)
			return PACKET_TOO_DEEP;
		if (*vlan == 0)
			*vlan = read_u16(bytes->at) & 0xfff;
		*protocol = read_u16(bytes->at + 2);
		*bytes = skip(bytes, TAG_BYTES);
	}
	return PACKET_FINE;
}

enum packet_fault packet_parse_link(const uint8_t *at, size_t length, struct packet_link *ret)
{
	struct bytes bytes = {at, length, SIZE_MAX};
	enum packet_fault fault = check(&bytes, PACKET_ETHERNET_BYTES);
	struct packet_link link = {0};

	if (fault != PACKET_FINE)
		return fault;
	memcpy(link.destination, at, sizeof(link.destination));
	memcpy(link.source, at + 6, sizeof(link.source));
	link.protocol = read_u16(at + 12);
	bytes = skip(&bytes, PACKET_ETHERNET_BYTES);
	fault = parse_tags(&bytes, &link.protocol, &link.vlan);
	if (fault != PACKET_FINE)
		return fault;
	link.header_bytes = (uint16_t)(bytes.at - at);
	*ret = link;
	return PACKET_FINE;
}

static enum packet_fault parse_ip(uint16_t protocol, struct bytes bytes, bool is_inner,
				  struct packet *packet);

static enum packet_fault parse_ports(const struct bytes *bytes, struct packet *packet)
{
	enum packet_fault fault = check(bytes, PORTS_BYTES);

	if (fault != PACKET_FINE)
		return fault;
	packet->key.tuple.src_port = read_u16(bytes->at);
	packet->key.tuple.dst_port = read_u16(bytes->at + 2);
	return PACKET_FINE;
}

static enum packet_fault parse_tcp(const struct bytes *bytes, struct packet *packet)
{
	enum packet_fault fault = check(bytes, TCP_BYTES);
	size_t header;

	if (fault != PACKET_FINE)
		return fault;
	header = (size_t)(bytes->at[12] >> 4) * 4;
	if (header < TCP_BYTES || header > bytes->size)
		return PACKET_WRONG_LENGTH;
	packet->tcp_flags = bytes->at[13];
	packet->tcp_sequence = read_u32(bytes->at + 4);
	if (packet->is_unsized) {
		packet->bytes += (uint32_t)header;
		packet->payload_bytes = 0;
		return PACKET_FINE;
	}
	packet->payload_bytes = (uint32_t)(bytes->size - header);
	return PACKET_FINE;
}

/* 0 in a jumbogram: RFC 2675 4. The length of a fragmented datagram is that of the whole. */
static enum packet_fault parse_udp(const struct bytes *bytes, struct packet *packet)
{
	enum packet_fault fault = check(bytes, UDP_BYTES);
	uint16_t length;

	if (fault != PACKET_FINE)
		return fault;
	length = read_u16(bytes->at + 4);
	if (length != 0 && (length < UDP_BYTES || (!packet->is_fragment && length > bytes->size)))
		return PACKET_WRONG_LENGTH;
	packet->payload_bytes = (uint32_t)(bytes->size - UDP_BYTES);
	return PACKET_FINE;
}

static bool is_icmp_error(uint8_t protocol, uint8_t type)
{
	static const bool errors[UINT8_MAX + 1] = {
		[3] = true, [4] = true, [5] = true, [11] = true, [12] = true};

	return protocol == IPPROTO_ICMP ? errors[type] : type < ICMPV6_FIRST_QUERY;
}

/* Of the packet inside only the head is there, and its lengths are those of the whole. */
static enum packet_fault parse_inner(const struct bytes *bytes, struct packet *packet)
{
	struct bytes inner = skip(bytes, ICMP_BYTES);
	struct packet about = {0};
	enum packet_fault fault = parse_ip(
		packet->key.family == IP_FAMILY_V4 ? ETH_P_IP : ETH_P_IPV6, inner, true, &about);

	if (fault != PACKET_FINE)
		return fault;
	packet->key = about.key;
	packet->has_ports = about.has_ports;
	packet->is_icmp_error = true;
	return PACKET_FINE;
}

static enum packet_fault parse_icmp(const struct bytes *bytes, bool is_inner, struct packet *packet)
{
	enum packet_fault fault = check(bytes, ICMP_BYTES);

	if (fault != PACKET_FINE)
		return fault;
	packet->payload_bytes = (uint32_t)(bytes->size - ICMP_BYTES);
	if (!is_inner && is_icmp_error(packet->key.protocol, bytes->at[0]))
		return parse_inner(bytes, packet);
	packet->key.tuple.dst_port = read_u16(bytes->at);
	packet->key.icmp_id = read_u16(bytes->at + 4);
	return PACKET_FINE;
}

/* Within an error eight bytes of it are promised (RFC 792): the ports, and no more. */
static enum packet_fault parse_layer4(const struct bytes *bytes, bool is_inner,
				      struct packet *packet)
{
	enum packet_fault fault;

	packet->has_ports = true;
	packet->payload_bytes = (uint32_t)bytes->size;
	switch (packet->key.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case UDP_LITE:
	case DCCP:
		fault = parse_ports(bytes, packet);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return parse_icmp(bytes, is_inner, packet);
	default:
		return PACKET_FINE;
	}
	if (fault != PACKET_FINE || is_inner)
		return fault;
	if (packet->key.protocol == IPPROTO_TCP)
		return parse_tcp(bytes, packet);
	return packet->key.protocol == IPPROTO_UDP ? parse_udp(bytes, packet) : PACKET_FINE;
}

/* What follows the header or headers of layer 3. */
static enum packet_fault parse_behind(const struct bytes *bytes, uint16_t fragment_offset,
				      bool is_inner, struct packet *packet)
{
	if (fragment_offset == 0)
		return parse_layer4(bytes, is_inner, packet);
	packet->payload_bytes = (uint32_t)bytes->size;
	return PACKET_FINE;
}

static enum packet_fault parse_ipv4(struct bytes bytes, bool is_inner, struct packet *packet)
{
	enum packet_fault fault = check(&bytes, IPV4_BYTES);
	uint16_t total, offset;
	size_t header;

	if (fault != PACKET_FINE)
		return fault;
	if (bytes.at[0] >> 4 != 4)
		return PACKET_WRONG_VERSION;
	header = (size_t)(bytes.at[0] & 15) * 4;
	total = read_u16(bytes.at + 2);
	/* skb_ip_totlen(), include/linux/ip.h: more than fits is 0, and only TCP may be. */
	offset = read_u16(bytes.at + 6) & 0x3fff; /* more of them, or not the first */
	packet->is_unsized = !is_inner && total == 0 && offset == 0 && bytes.at[9] == IPPROTO_TCP;
	if (header < IPV4_BYTES || (total < header && !packet->is_unsized))
		return PACKET_WRONG_LENGTH;
	bytes.size = packet->is_unsized ? UNSIZED : total;
	fault = check(&bytes, header);
	if (fault != PACKET_FINE)
		return fault;
	packet->bytes = packet->is_unsized ? (uint32_t)header : total;
	packet->tos = bytes.at[1];
	packet->ttl = bytes.at[8];
	packet->is_fragment = offset != 0;
	packet->fragment_id = read_u16(bytes.at + 4);
	packet->key.family = IP_FAMILY_V4;
	packet->key.protocol = bytes.at[9];
	memcpy(packet->key.tuple.src.bytes, bytes.at + 12, 4);
	memcpy(packet->key.tuple.dst.bytes, bytes.at + 16, 4);
	bytes = skip(&bytes, header);
	return parse_behind(&bytes, offset & 0x1fff, is_inner, packet);
}

/* The jumbo payload option (RFC 2675) of a hop-by-hop header; 0: there is none. */
static uint32_t find_jumbo_length(const uint8_t *at, size_t length)
{
	enum { PAD1 = 0, JUMBO = 0xc2, JUMBO_BYTES = 4 };

	for (size_t i = 2; i < length;) {
		if (at[i] == PAD1) {
			i++;
			continue;
		}
		if (i + 2 > length || i + 2 + at[i + 1] > length)
			return 0;
		if (at[i] == JUMBO && at[i + 1] == JUMBO_BYTES)
			return read_u32(at + i + 2);
		i += 2u + at[i + 1];
	}
	return 0;
}

/* Those that the kernel's own walk passes over (ipv6_skip_exthdr(), net/ipv6/exthdrs_core.c), so that the
 * protocol is the one that conntrack has. */
static bool is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_AH;
}

static size_t get_extension_bytes(uint8_t protocol, const uint8_t *at)
{
	if (protocol == IPPROTO_FRAGMENT)
		return 8;
	return protocol == IPPROTO_AH ? (at[1] + 2u) * 4 : (at[1] + 1u) * 8;
}

/* With a payload length of 0 the hop-by-hop header tells the length. */
static void take_jumbo_length(struct bytes *bytes, size_t header, struct packet *packet)
{
	uint32_t jumbo = find_jumbo_length(bytes->at, header);
	size_t before = packet->bytes - bytes->size;

	if (packet->bytes != UINT32_MAX || jumbo <= UINT16_MAX || jumbo > UINT32_MAX - IPV6_BYTES)
		return;
	packet->bytes = jumbo + IPV6_BYTES;
	bytes->size = packet->bytes - before;
}

static enum packet_fault parse_extensions(struct bytes *bytes, uint16_t *fragment_offset,
					  struct packet *packet)
{
	uint8_t *next = &packet->key.protocol;

	for (unsigned count = 0; is_extension(*next) && *fragment_offset == 0; count++) {
		enum packet_fault fault = check(bytes, 8);
		size_t header;

		if (fault != PACKET_FINE)
			return fault;
		if (count == MOST_EXTENSIONS)
			return PACKET_TOO_DEEP;
		header = get_extension_bytes(*next, bytes->at);
		fault = check(bytes, header);
		if (fault != PACKET_FINE)
			return fault;
		if (*next == IPPROTO_HOPOPTS)
			take_jumbo_length(bytes, header, packet);
		if (*next == IPPROTO_FRAGMENT) {
			uint16_t offset = read_u16(bytes->at + 2);

			*fragment_offset = offset & 0xfff8;
			packet->is_fragment = (offset & 0xfff9) != 0;
			packet->fragment_id = read_u32(bytes->at + 4);
		}
		*next = bytes->at[0];
		*bytes = skip(bytes, header);
	}
	return PACKET_FINE;
}

static enum packet_fault parse_ipv6(struct bytes bytes, bool is_inner, struct packet *packet)
{
	enum packet_fault fault = check(&bytes, IPV6_BYTES);
	uint16_t payload, offset = 0;

	if (fault != PACKET_FINE)
		return fault;
	if (bytes.at[0] >> 4 != 6)
		return PACKET_WRONG_VERSION;
	payload = read_u16(bytes.at + 4);
	packet->key.family = IP_FAMILY_V6;
	packet->key.protocol = bytes.at[6];
	/* Until its option was read a jumbogram has any length. */
	packet->bytes = payload == 0 && packet->key.protocol == IPPROTO_HOPOPTS
				? UINT32_MAX
				: IPV6_BYTES + (uint32_t)payload;
	bytes.size = packet->bytes;
	packet->tos = (uint8_t)(read_u16(bytes.at) >> 4);
	packet->ttl = bytes.at[7];
	memcpy(packet->key.tuple.src.bytes, bytes.at + 8, 16);
	memcpy(packet->key.tuple.dst.bytes, bytes.at + 24, 16);
	bytes = skip(&bytes, IPV6_BYTES);
	fault = parse_extensions(&bytes, &offset, packet);
	if (fault != PACKET_FINE)
		return fault;
	if (packet->bytes == UINT32_MAX)
		return PACKET_WRONG_LENGTH;
	return parse_behind(&bytes, offset, is_inner, packet);
}

static enum packet_fault parse_ip(uint16_t protocol, struct bytes bytes, bool is_inner,
				  struct packet *packet)
{
	if (protocol == ETH_P_IP)
		return parse_ipv4(bytes, is_inner, packet);
	return protocol == ETH_P_IPV6 ? parse_ipv6(bytes, is_inner, packet) : PACKET_NOT_IP;
}

enum packet_fault packet_parse(uint16_t protocol, const uint8_t *at, size_t length,
			       struct packet *ret)
{
	struct bytes bytes = {at, length, SIZE_MAX};
	struct packet packet = {0};
	enum packet_fault fault = parse_tags(&bytes, &protocol, &packet.vlan);

	if (fault == PACKET_FINE)
		fault = parse_ip(protocol, bytes, false, &packet);
	if (fault == PACKET_FINE)
		*ret = packet;
	return fault;
}
