/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Attributes are read by hand and not by nflog_nlmsg_parse(): libnetfilter_log 1.0.2 knows none of those
 * that came later (VLAN, the link header of bridges), goes through libmnl with several calls an attribute,
 * and there are a dozen of them in each of 200,000 packets a second. tests/unit/sources/test_nflog_parse
 * holds this against it for those that both know. */

#include "sources/nflog_parse.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "netlink/attribute.h"
#include "sources/conntrack_parse.h"

/* Attributes that linux/netfilter/nfnetlink_log.h of older systems lacks. */
enum { ATTRIBUTE_VLAN = 20, ATTRIBUTE_LINK_HEADER = 21, VLAN_CONTROL = 2 };

/* A time before the message was read by more than this was taken from another clock. */
#define OLDEST_NS (60 * NS_PER_SEC)

struct reading {
	struct packet_event event;
	const uint8_t *payload, *link;
	size_t payload_bytes, link_bytes;
	uint8_t hook;
	uint16_t hardware_protocol, hardware_type, vlan;
	uint64_t wall_ns;
	const struct nlattr *conntrack;
};

static bool copy_value(const struct nlattr *attribute, void *to, size_t size)
{
	if (netlink_attribute_get_size(attribute) < size)
		return false;
	memcpy(to, netlink_attribute_get_payload(attribute), size);
	return true;
}

static bool read_u16(const struct nlattr *attribute, uint16_t *ret)
{
	bool ok = copy_value(attribute, ret, sizeof(*ret));

	*ret = be16toh(*ret);
	return ok;
}

static bool read_u32(const struct nlattr *attribute, uint32_t *ret)
{
	bool ok = copy_value(attribute, ret, sizeof(*ret));

	*ret = be32toh(*ret);
	return ok;
}

static bool read_flagged_u32(const struct nlattr *attribute, uint32_t *ret, bool *ret_has)
{
	*ret_has = true;
	return read_u32(attribute, ret);
}

static bool read_packet_header(const struct nlattr *attribute, struct reading *reading)
{
	struct nfulnl_msg_packet_hdr header;

	if (!copy_value(attribute, &header, sizeof(header)))
		return false;
	reading->hardware_protocol = be16toh(header.hw_protocol);
	reading->hook = header.hook;
	return true;
}

static bool read_timestamp(const struct nlattr *attribute, struct reading *reading)
{
	struct nfulnl_msg_packet_timestamp stamp;
	uint64_t seconds, microseconds;

	if (!copy_value(attribute, &stamp, sizeof(stamp)))
		return false;
	seconds = be64toh(stamp.sec);
	microseconds = be64toh(stamp.usec);
	if (seconds < INT64_MAX / NS_PER_SEC && microseconds < 1000000)
		reading->wall_ns = seconds * NS_PER_SEC + microseconds * 1000;
	return true;
}

static bool read_source_mac(const struct nlattr *attribute, struct packet_event *event)
{
	struct nfulnl_msg_packet_hw address;

	if (!copy_value(attribute, &address, sizeof(address)))
		return false;
	if (be16toh(address.hw_addrlen) != sizeof(event->source_mac))
		return true;
	memcpy(event->source_mac, address.hw_addr, sizeof(event->source_mac));
	event->has_source_mac = true;
	return true;
}

static bool read_vlan(const struct nlattr *nest, struct reading *reading)
{
	bool ok = true;
	uint16_t control;

	netlink_for_each_nested (attribute, nest) {
		if (netlink_attribute_get_type(attribute) != VLAN_CONTROL)
			continue;
		ok &= read_u16(attribute, &control);
		reading->vlan = control & 0xfff;
	}
	return ok;
}

static void take_bytes(const struct nlattr *attribute, const uint8_t **ret, size_t *ret_length)
{
	*ret = netlink_attribute_get_payload(attribute);
	*ret_length = netlink_attribute_get_size(attribute);
}

static bool read_attribute(const struct nlattr *attribute, struct reading *reading)
{
	struct packet_event *event = &reading->event;

	switch (netlink_attribute_get_type(attribute)) {
	case NFULA_PACKET_HDR:
		return read_packet_header(attribute, reading);
	case NFULA_MARK:
		return read_flagged_u32(attribute, &event->mark, &event->has_mark);
	case NFULA_TIMESTAMP:
		return read_timestamp(attribute, reading);
	case NFULA_IFINDEX_INDEV:
		return read_u32(attribute, &event->in_interface);
	case NFULA_IFINDEX_OUTDEV:
		return read_u32(attribute, &event->out_interface);
	case NFULA_HWADDR:
		return read_source_mac(attribute, event);
	case NFULA_PAYLOAD:
		take_bytes(attribute, &reading->payload, &reading->payload_bytes);
		return true;
	case NFULA_PREFIX:
		event->prefix.at = netlink_attribute_get_payload(attribute);
		event->prefix.length =
			strnlen(event->prefix.at, netlink_attribute_get_size(attribute));
		return true;
	case NFULA_UID:
		return read_flagged_u32(attribute, &event->uid, &event->has_uid);
	case NFULA_GID:
		return read_flagged_u32(attribute, &event->gid, &event->has_gid);
	case NFULA_SEQ:
		return read_flagged_u32(attribute, &event->sequence, &event->has_sequence);
	case NFULA_HWTYPE:
		return read_u16(attribute, &reading->hardware_type);
	case NFULA_HWHEADER:
	case ATTRIBUTE_LINK_HEADER:
		take_bytes(attribute, &reading->link, &reading->link_bytes);
		return true;
	case NFULA_CT:
		reading->conntrack = attribute;
		return true;
	case ATTRIBUTE_VLAN:
		return read_vlan(attribute, reading);
	default:
		return true;
	}
}

/* Addresses of Ethernet alone: loopback has the header too, with nothing in it. */
static void take_link(struct reading *reading)
{
	struct packet_event *event = &reading->event;
	struct packet_link link;

	if (reading->hardware_type != ARPHRD_ETHER) {
		event->has_source_mac = false;
		return;
	}
	if (!reading->link || reading->link_bytes < PACKET_ETHERNET_BYTES)
		return;
	memcpy(event->source_mac, reading->link + sizeof(link.destination),
	       sizeof(event->source_mac));
	event->has_source_mac = true;
	/* Tags may stand here, or before the packet. */
	if (reading->vlan == 0 &&
	    packet_parse_link(reading->link, reading->link_bytes, &link) == PACKET_FINE)
		reading->vlan = link.vlan;
}

static void take_time(struct reading *reading, const struct nflog_parse_context *context)
{
	struct packet_event *event = &reading->event;
	int64_t ns;

	event->when_ns = context->now_ns;
	if (reading->wall_ns == 0 ||
	    __builtin_sub_overflow((int64_t)reading->wall_ns, context->wall_offset_ns, &ns) ||
	    ns <= 0 || (uint64_t)ns + OLDEST_NS < context->now_ns)
		return;
	event->clock = PACKET_CLOCK_STAMPED;
	if ((uint64_t)ns < context->now_ns)
		event->when_ns = (uint64_t)ns;
}

static void take_own_prefix(struct packet_event *event)
{
	static const char own[] = NFLOG_OWN_PREFIX;
	size_t length = sizeof(own) - 1;

	if (event->prefix.length < length || memcmp(event->prefix.at, own, length) != 0)
		return;
	for (size_t i = length; i < event->prefix.length; i++) {
		switch (event->prefix.at[i]) {
		case NFLOG_LETTER_TRACKED:
			event->tracking = PACKET_IS_TRACKED;
			break;
		case NFLOG_LETTER_UNTRACKED:
			event->tracking = PACKET_IS_UNTRACKED;
			break;
		case NFLOG_LETTER_PROMPT:
			if (event->clock == PACKET_CLOCK_VAGUE)
				event->clock = PACKET_CLOCK_PROMPT;
			break;
		}
	}
	event->prefix = (struct text){0};
}

static void take_conntrack(struct reading *reading, const struct nflog_parse_context *context)
{
	struct packet_event *event = &reading->event;

	if (reading->conntrack) {
		event->tracking = PACKET_IS_TRACKED;
		event->has_conntrack =
			conntrack_parse_entry(reading->conntrack, event->packet.key.family,
					      &event->conntrack_key, &event->conntrack_id) == 0;
	} else if (context->has_conntrack && event->tracking == PACKET_TRACKING_UNKNOWN) {
		event->tracking = PACKET_IS_UNTRACKED;
	}
}

static void take_hook(struct reading *reading, uint8_t family)
{
	/* Other families count their hooks otherwise. */
	if (family != AF_INET && family != AF_INET6)
		return;
	reading->event.is_sent_here = reading->hook == NF_INET_LOCAL_OUT;
	reading->event.is_received_here = reading->hook == NF_INET_LOCAL_IN;
}

static uint16_t get_protocol(const struct nfgenmsg *header, const struct reading *reading)
{
	if (header->nfgen_family == AF_INET)
		return ETH_P_IP;
	return header->nfgen_family == AF_INET6 ? ETH_P_IPV6 : reading->hardware_protocol;
}

int nflog_parse(const struct nlmsghdr *message, const struct nflog_parse_context *context,
		struct packet_event *ret, enum packet_fault *ret_fault)
{
	struct reading reading = {0};
	const struct nfgenmsg *header;
	enum packet_fault fault;

	if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_ULOG ||
	    NFNL_MSG_TYPE(message->nlmsg_type) != NFULNL_MSG_PACKET)
		return NFLOG_PARSE_OTHER;
	if (mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	header = mnl_nlmsg_get_payload(message);
	netlink_for_each_attribute (attribute, message, sizeof(*header)) {
		if (!read_attribute(attribute, &reading))
			return -EBADMSG;
	}
	fault = packet_parse(get_protocol(header, &reading), reading.payload, reading.payload_bytes,
			     &reading.event.packet);
	take_hook(&reading, header->nfgen_family);
	take_link(&reading);
	if (reading.vlan)
		reading.event.packet.vlan = reading.vlan;
	take_time(&reading, context);
	take_own_prefix(&reading.event);
	take_conntrack(&reading, context);
	*ret = reading.event;
	*ret_fault = fault;
	return fault == PACKET_FINE ? NFLOG_PARSED : NFLOG_PARSE_FAULTY;
}
