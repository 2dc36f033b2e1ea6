/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Messages are read attribute by attribute and not by nfct_nlmsg_parse(): that costs
 * 980 ns a message where this costs 90, and it calls exit(3) when an attribute is malformed
 * (abi_breakage() in libnetfilter_conntrack). It writes our questions, and a kernel contract test
 * holds our reading of real messages against the library's. */

#include "sources/conntrack_parse.h"

#include <endian.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "netlink/attribute.h"

/* Since Linux 6.14, in events; many headers do not have it. */
#define TIMESTAMP_EVENT (CTA_STATUS_MASK + 1)

DEFINE_CLEANUP(struct nf_conntrack *, nfct_destroy);

/* What the attributes said, before it is put in order. */
struct reading {
	struct flow_event event;
	struct flow_tuple reply;
	uint64_t start_wall_ns, stop_wall_ns, event_wall_ns;
	uint64_t left_ns;
	bool has_original, has_reply_tuple, has_left;
};

static bool is_icmp(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* The value of an attribute that holds at least "size" bytes. */
static bool copy_value(const struct nlattr *attribute, void *to, size_t size)
{
	if (netlink_attribute_get_size(attribute) < size)
		return false;
	memcpy(to, netlink_attribute_get_payload(attribute), size);
	return true;
}

static bool read_u8(const struct nlattr *attribute, uint8_t *ret)
{
	return copy_value(attribute, ret, sizeof(*ret));
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

static bool read_u64(const struct nlattr *attribute, uint64_t *ret)
{
	bool ok = copy_value(attribute, ret, sizeof(*ret));

	*ret = be64toh(*ret);
	return ok;
}

static bool read_addresses(const struct nlattr *nest, struct flow_tuple *tuple)
{
	bool ok = true;

	netlink_for_each_nested (attribute, nest) {
		switch (netlink_attribute_get_type(attribute)) {
		case CTA_IP_V4_SRC:
			ok &= copy_value(attribute, tuple->src.bytes, 4);
			break;
		case CTA_IP_V4_DST:
			ok &= copy_value(attribute, tuple->dst.bytes, 4);
			break;
		case CTA_IP_V6_SRC:
			ok &= copy_value(attribute, tuple->src.bytes, 16);
			break;
		case CTA_IP_V6_DST:
			ok &= copy_value(attribute, tuple->dst.bytes, 16);
			break;
		}
	}
	return ok;
}

struct protocol_part {
	uint8_t number, icmp_type, icmp_code;
	uint16_t icmp_id;
};

static bool read_protocol(const struct nlattr *nest, struct flow_tuple *tuple,
			  struct protocol_part *part)
{
	bool ok = true;

	netlink_for_each_nested (attribute, nest) {
		switch (netlink_attribute_get_type(attribute)) {
		case CTA_PROTO_NUM:
			ok &= read_u8(attribute, &part->number);
			break;
		case CTA_PROTO_SRC_PORT:
			ok &= read_u16(attribute, &tuple->src_port);
			break;
		case CTA_PROTO_DST_PORT:
			ok &= read_u16(attribute, &tuple->dst_port);
			break;
		case CTA_PROTO_ICMP_ID:
		case CTA_PROTO_ICMPV6_ID:
			ok &= read_u16(attribute, &part->icmp_id);
			break;
		case CTA_PROTO_ICMP_TYPE:
		case CTA_PROTO_ICMPV6_TYPE:
			ok &= read_u8(attribute, &part->icmp_type);
			break;
		case CTA_PROTO_ICMP_CODE:
		case CTA_PROTO_ICMPV6_CODE:
			ok &= read_u8(attribute, &part->icmp_code);
			break;
		}
	}
	return ok;
}

/* A zone that holds in one direction only stands within that direction's tuple (CTA_TUPLE_ZONE). */
static bool read_tuple(const struct nlattr *nest, struct flow_tuple *tuple,
		       struct protocol_part *part, uint16_t *zone)
{
	bool ok = true;

	netlink_for_each_nested (attribute, nest) {
		switch (netlink_attribute_get_type(attribute)) {
		case CTA_TUPLE_IP:
			ok &= read_addresses(attribute, tuple);
			break;
		case CTA_TUPLE_PROTO:
			ok &= read_protocol(attribute, tuple, part);
			break;
		case CTA_TUPLE_ZONE:
			ok &= read_u16(attribute, zone);
			break;
		}
	}
	return ok;
}

static bool read_original(const struct nlattr *nest, struct reading *reading)
{
	struct flow_key *key = &reading->event.key;
	struct protocol_part part = {0};

	if (!read_tuple(nest, &key->tuple, &part, &key->zone))
		return false;
	key->protocol = part.number;
	if (is_icmp(part.number)) {
		key->tuple.dst_port = (uint16_t)(part.icmp_type << 8 | part.icmp_code);
		key->icmp_id = part.icmp_id;
	}
	reading->has_original = true;
	return true;
}

static bool read_reply(const struct nlattr *nest, struct reading *reading)
{
	struct protocol_part part = {0};
	uint16_t zone;

	reading->has_reply_tuple = true;
	return read_tuple(nest, &reading->reply, &part, &zone);
}

static bool read_counters(const struct nlattr *nest, uint64_t *packets, uint64_t *bytes)
{
	bool ok = true;

	netlink_for_each_nested (attribute, nest) {
		switch (netlink_attribute_get_type(attribute)) {
		case CTA_COUNTERS_PACKETS:
			ok &= read_u64(attribute, packets);
			break;
		case CTA_COUNTERS_BYTES:
			ok &= read_u64(attribute, bytes);
			break;
		}
	}
	return ok;
}

static bool read_timestamps(const struct nlattr *nest, struct reading *reading)
{
	bool ok = true;

	netlink_for_each_nested (attribute, nest) {
		switch (netlink_attribute_get_type(attribute)) {
		case CTA_TIMESTAMP_START:
			ok &= read_u64(attribute, &reading->start_wall_ns);
			break;
		case CTA_TIMESTAMP_STOP:
			ok &= read_u64(attribute, &reading->stop_wall_ns);
			break;
		}
	}
	return ok;
}

static bool read_tcp_state(const struct nlattr *nest, uint8_t *ret)
{
	bool ok = true;

	netlink_for_each_nested (protocol, nest) {
		if (netlink_attribute_get_type(protocol) != CTA_PROTOINFO_TCP)
			continue;
		netlink_for_each_nested (attribute, protocol) {
			if (netlink_attribute_get_type(attribute) == CTA_PROTOINFO_TCP_STATE)
				ok &= read_u8(attribute, ret);
		}
	}
	return ok;
}

static bool read_status(const struct nlattr *attribute, struct flow_event *event)
{
	uint32_t status = 0;
	bool ok = read_u32(attribute, &status);

	event->is_assured = status & IPS_ASSURED;
	event->has_reply = status & IPS_SEEN_REPLY;
	event->is_offloaded = status & (IPS_OFFLOAD | IPS_HW_OFFLOAD);
	return ok;
}

static bool read_left(const struct nlattr *attribute, struct reading *reading)
{
	uint32_t seconds = 0;
	bool ok = read_u32(attribute, &seconds);

	reading->left_ns = seconds * NS_PER_SEC;
	reading->has_left = true;
	return ok;
}

static bool read_attribute(const struct nlattr *attribute, struct reading *reading)
{
	struct flow_event *event = &reading->event;

	switch (netlink_attribute_get_type(attribute)) {
	case CTA_TUPLE_ORIG:
		return read_original(attribute, reading);
	case CTA_TUPLE_REPLY:
		return read_reply(attribute, reading);
	case CTA_STATUS:
		return read_status(attribute, event);
	case CTA_PROTOINFO:
		return read_tcp_state(attribute, &event->tcp_state);
	case CTA_MARK:
		return read_u32(attribute, &event->mark);
	case CTA_COUNTERS_ORIG:
		/* Both directions are there or neither: the entry has the extension or not. */
		event->has_counters = true;
		return read_counters(attribute, &event->counters.in_packets,
				     &event->counters.in_bytes);
	case CTA_COUNTERS_REPLY:
		return read_counters(attribute, &event->counters.out_packets,
				     &event->counters.out_bytes);
	case CTA_TIMEOUT:
		return read_left(attribute, reading);
	case CTA_ID:
		return read_u32(attribute, &event->conntrack_id);
	case CTA_ZONE:
		return read_u16(attribute, &event->key.zone);
	case CTA_TIMESTAMP:
		return read_timestamps(attribute, reading);
	case TIMESTAMP_EVENT:
		return read_u64(attribute, &reading->event_wall_ns);
	default:
		return true;
	}
}

static void set_translation(struct reading *reading)
{
	struct flow_event *event = &reading->event;
	const struct flow_tuple *tuple = &event->key.tuple;

	if (!reading->has_reply_tuple)
		return;
	event->reply = reading->reply;
	event->is_translated = !ip_address_equal(&tuple->src, &event->reply.dst) ||
			       !ip_address_equal(&tuple->dst, &event->reply.src);
	if (!is_icmp(event->key.protocol))
		event->is_translated |= tuple->src_port != event->reply.dst_port ||
					tuple->dst_port != event->reply.src_port;
}

static uint64_t to_monotonic(uint64_t wall_ns, const struct conntrack_parse_context *context)
{
	return wall_ns == 0 || !context->wall
		       ? 0
		       : wall_steps_place(context->wall, wall_ns, context->now_ns);
}

/* Timeouts count in jiffies, the two timestamps do not: an entry may seem to end one too early. */
#define TICK_NS (20 * NS_PER_MS)

/* 0: before the machine's clock began, which cannot be. */
static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t find_last_packet(const struct reading *reading,
				 const struct conntrack_parse_context *context, uint64_t timeout_ns)
{
	const struct flow_event *event = &reading->event;
	uint64_t last_ns;

	if (!reading->has_left || reading->left_ns > timeout_ns ||
	    conntrack_timeouts_may_be_shorter(context->timeouts, event->key.protocol, timeout_ns,
					      reading->left_ns))
		return 0;
	last_ns = minus(context->now_ns, timeout_ns - reading->left_ns);
	return last_ns + TICK_NS < event->start_ns ? 0 : last_ns;
}

/* When the event happened, where the kernel says so and that is possible; 0 otherwise. */
static uint64_t find_event_ns(const struct reading *reading,
			      const struct conntrack_parse_context *context)
{
	uint64_t event_ns = to_monotonic(reading->event_wall_ns, context);

	return event_ns >= context->not_before_ns ? event_ns : 0;
}

static void set_times(struct reading *reading, const struct conntrack_parse_context *context)
{
	struct flow_event *event = &reading->event;
	uint64_t timeout_ns = conntrack_timeouts_find(context->timeouts, event->key.protocol,
						      event->tcp_state, event->is_assured);
	uint64_t end_ns;

	event->when_ns = context->now_ns;
	if (event->type == FLOW_EVENT_NEW)
		event->not_before_ns = context->not_before_ns;
	event->start_ns = to_monotonic(reading->start_wall_ns, context);
	event->stop_ns = to_monotonic(reading->stop_wall_ns, context);
	if (event->type == FLOW_EVENT_NEW && !event->start_ns)
		event->start_ns = find_event_ns(reading, context);
	if (event->type == FLOW_EVENT_CLOSED)
		event->last_packet_ns = find_event_ns(reading, context);
	if (timeout_ns == 0)
		return;
	if (event->type == FLOW_EVENT_DESTROY) {
		end_ns = event->stop_ns ? event->stop_ns : event->when_ns;
		event->last_packet_ns = minus(end_ns, timeout_ns);
		event->is_early =
			event->start_ns && event->last_packet_ns + TICK_NS < event->start_ns;
		if (event->is_early)
			event->last_packet_ns = end_ns;
		else if (event->last_packet_ns < event->start_ns)
			event->last_packet_ns = event->start_ns;
	} else if (event->type == FLOW_EVENT_LISTED) {
		event->last_packet_ns = find_last_packet(reading, context, timeout_ns);
	}
}

static int read_type(const struct nlmsghdr *message, bool is_answer, enum flow_event_type *ret)
{
	if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return -EBADMSG;
	switch (NFNL_MSG_TYPE(message->nlmsg_type)) {
	case IPCTNL_MSG_CT_NEW:
		if (is_answer)
			*ret = FLOW_EVENT_LISTED;
		else
			*ret = message->nlmsg_flags & NLM_F_CREATE ? FLOW_EVENT_NEW
								   : FLOW_EVENT_CLOSED;
		return 0;
	case IPCTNL_MSG_CT_DELETE:
		*ret = FLOW_EVENT_DESTROY;
		return 0;
	default:
		return -EBADMSG;
	}
}

static bool is_closed(const struct flow_event *event)
{
	return event->key.protocol == IPPROTO_TCP && (event->tcp_state == TCP_CONNTRACK_TIME_WAIT ||
						      event->tcp_state == TCP_CONNTRACK_CLOSE);
}

int conntrack_parse(const struct nlmsghdr *message, bool is_answer,
		    const struct conntrack_parse_context *context, struct flow_event *ret)
{
	struct reading reading = {0};
	struct flow_event *event = &reading.event;
	const struct nfgenmsg *header;
	int r = read_type(message, is_answer, &event->type);

	if (r < 0)
		return r;
	if (mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	header = mnl_nlmsg_get_payload(message);
	if (header->nfgen_family != AF_INET && header->nfgen_family != AF_INET6)
		return CONNTRACK_PARSE_OTHER;
	event->key.family = header->nfgen_family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6;
	netlink_for_each_attribute (attribute, message, sizeof(*header)) {
		if (!read_attribute(attribute, &reading))
			return -EBADMSG;
	}
	if (!reading.has_original)
		return -EBADMSG;
	if (event->type == FLOW_EVENT_CLOSED && !is_closed(event))
		return CONNTRACK_PARSE_OTHER;
	set_translation(&reading);
	set_times(&reading, context);
	*ret = *event;
	return CONNTRACK_PARSED;
}

int conntrack_parse_entry(const struct nlattr *nest, uint8_t family, struct flow_key *ret_key,
			  uint32_t *ret_id)
{
	struct reading reading = {.event.key.family = family};

	netlink_for_each_nested (attribute, nest) {
		if (!read_attribute(attribute, &reading))
			return -EBADMSG;
	}
	if (!reading.has_original)
		return -EBADMSG;
	*ret_key = reading.event.key;
	*ret_id = reading.event.conntrack_id;
	return 0;
}

static struct nlmsghdr *encode_header(void *buffer, uint8_t family)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header;

	message->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
	message->nlmsg_flags = NLM_F_REQUEST;
	header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	header->nfgen_family = family;
	header->version = NFNETLINK_V0;
	return message;
}

struct nlmsghdr *conntrack_encode_dump(void *buffer)
{
	return encode_header(buffer, AF_UNSPEC);
}

static void set_address(struct nf_conntrack *entry, uint8_t family, enum nf_conntrack_attr v4,
			enum nf_conntrack_attr v6, const struct ip_address *address)
{
	nfct_set_attr(entry, family == IP_FAMILY_V4 ? v4 : v6, address->bytes);
}

static void set_key(struct nf_conntrack *entry, const struct flow_key *key)
{
	bool v4 = key->family == IP_FAMILY_V4;

	nfct_set_attr_u8(entry, ATTR_L3PROTO, v4 ? AF_INET : AF_INET6);
	nfct_set_attr_u8(entry, ATTR_L4PROTO, key->protocol);
	set_address(entry, key->family, ATTR_IPV4_SRC, ATTR_IPV6_SRC, &key->tuple.src);
	set_address(entry, key->family, ATTR_IPV4_DST, ATTR_IPV6_DST, &key->tuple.dst);
	if (is_icmp(key->protocol)) {
		nfct_set_attr_u8(entry, ATTR_ICMP_TYPE, (uint8_t)(key->tuple.dst_port >> 8));
		nfct_set_attr_u8(entry, ATTR_ICMP_CODE, (uint8_t)key->tuple.dst_port);
		nfct_set_attr_u16(entry, ATTR_ICMP_ID, htons(key->icmp_id));
	} else {
		nfct_set_attr_u16(entry, ATTR_PORT_SRC, htons(key->tuple.src_port));
		nfct_set_attr_u16(entry, ATTR_PORT_DST, htons(key->tuple.dst_port));
	}
	if (key->zone)
		nfct_set_attr_u16(entry, ATTR_ZONE, key->zone);
}

struct nlmsghdr *conntrack_encode_query(void *buffer, const struct flow_key *key)
{
	cleanup(nfct_destroy_cleanup) struct nf_conntrack *entry = nfct_new();
	struct nlmsghdr *message =
		encode_header(buffer, key->family == IP_FAMILY_V4 ? AF_INET : AF_INET6);

	if (!entry)
		return NULL;
	set_key(entry, key);
	return nfct_nlmsg_build(message, entry) < 0 ? NULL : message;
}
