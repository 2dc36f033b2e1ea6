/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/conntrack_parse.h"

#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct nf_conntrack *, nfct_destroy);

static bool is_icmp(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static void read_address(const struct nf_conntrack *entry, uint8_t family,
			 enum nf_conntrack_attr v4, enum nf_conntrack_attr v6,
			 struct ip_address *ret)
{
	enum nf_conntrack_attr attribute = family == IP_FAMILY_V4 ? v4 : v6;
	const void *bytes = nfct_get_attr(entry, attribute);

	if (bytes)
		memcpy(ret->bytes, bytes, ip_address_length(family));
}

static void read_tuples(const struct nf_conntrack *entry, struct flow_event *event)
{
	struct flow_key *key = &event->key;

	read_address(entry, key->family, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, &key->tuple.src);
	read_address(entry, key->family, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, &key->tuple.dst);
	read_address(entry, key->family, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, &event->reply.src);
	read_address(entry, key->family, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, &event->reply.dst);
	if (is_icmp(key->protocol)) {
		key->tuple.dst_port = (uint16_t)(nfct_get_attr_u8(entry, ATTR_ICMP_TYPE) << 8 |
						 nfct_get_attr_u8(entry, ATTR_ICMP_CODE));
		key->icmp_id = ntohs(nfct_get_attr_u16(entry, ATTR_ICMP_ID));
	} else {
		key->tuple.src_port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_SRC));
		key->tuple.dst_port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_DST));
		event->reply.src_port = ntohs(nfct_get_attr_u16(entry, ATTR_REPL_PORT_SRC));
		event->reply.dst_port = ntohs(nfct_get_attr_u16(entry, ATTR_REPL_PORT_DST));
	}
	event->is_translated = !ip_address_equal(&key->tuple.src, &event->reply.dst) ||
			       !ip_address_equal(&key->tuple.dst, &event->reply.src);
	if (!is_icmp(key->protocol))
		event->is_translated |= key->tuple.src_port != event->reply.dst_port ||
					key->tuple.dst_port != event->reply.src_port;
}

static void read_counters(const struct nf_conntrack *entry, struct flow_event *event)
{
	/* Present together or not at all: the entry either has the accounting extension or not. */
	if (!nfct_attr_is_set(entry, ATTR_ORIG_COUNTER_PACKETS))
		return;
	event->has_counters = true;
	event->counters = (struct flow_counters){
		.in_bytes = nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_BYTES),
		.in_packets = nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_PACKETS),
		.out_bytes = nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_BYTES),
		.out_packets = nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_PACKETS),
	};
}

static uint64_t to_monotonic(uint64_t wall_ns, const struct conntrack_parse_context *context)
{
	int64_t ns = (int64_t)wall_ns - context->wall_offset_ns;

	/* 1: before the machine's clock began, but known. Nothing lies in the future. */
	if (wall_ns == 0)
		return 0;
	if (ns < 1)
		return 1;
	return (uint64_t)ns < context->now_ns ? (uint64_t)ns : context->now_ns;
}

static uint64_t minus_at_least_1(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 1;
}

static void read_times(const struct nf_conntrack *entry,
		       const struct conntrack_parse_context *context, struct flow_event *event)
{
	uint64_t timeout_ns = conntrack_timeouts_find(context->timeouts, event->key.protocol,
						      event->tcp_state, event->is_assured);
	uint64_t end_ns, left_ns;

	event->when_ns = context->now_ns;
	event->start_ns = to_monotonic(nfct_get_attr_u64(entry, ATTR_TIMESTAMP_START), context);
	event->stop_ns = to_monotonic(nfct_get_attr_u64(entry, ATTR_TIMESTAMP_STOP), context);
	if (timeout_ns == 0)
		return;
	if (event->type == FLOW_EVENT_DESTROY) {
		end_ns = event->stop_ns ? event->stop_ns : event->when_ns;
		event->last_packet_ns = minus_at_least_1(end_ns, timeout_ns);
		event->is_early = event->start_ns && event->last_packet_ns < event->start_ns;
		if (event->is_early)
			event->last_packet_ns = end_ns;
	} else if (event->type == FLOW_EVENT_LISTED && nfct_attr_is_set(entry, ATTR_TIMEOUT)) {
		left_ns = (uint64_t)nfct_get_attr_u32(entry, ATTR_TIMEOUT) * 1000000000ull;
		if (left_ns <= timeout_ns)
			event->last_packet_ns =
				minus_at_least_1(context->now_ns, timeout_ns - left_ns);
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
	cleanup(nfct_destroy_cleanup) struct nf_conntrack *entry = NULL;
	struct flow_event event = {0};
	uint32_t status;
	uint8_t l3;
	int r = read_type(message, is_answer, &event.type);

	if (r < 0)
		return r;
	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg))
		return -EBADMSG;
	entry = nfct_new();
	if (!entry)
		return -ENOMEM;
	if (nfct_nlmsg_parse(message, entry) < 0 || !nfct_attr_is_set(entry, ATTR_ORIG_L3PROTO) ||
	    !nfct_attr_is_set(entry, ATTR_ORIG_L4PROTO))
		return -EBADMSG;
	l3 = nfct_get_attr_u8(entry, ATTR_ORIG_L3PROTO);
	if (l3 != AF_INET && l3 != AF_INET6)
		return CONNTRACK_PARSE_OTHER;
	event.key.family = l3 == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6;
	event.key.protocol = nfct_get_attr_u8(entry, ATTR_ORIG_L4PROTO);
	event.key.zone = nfct_attr_is_set(entry, ATTR_ZONE)
				 ? nfct_get_attr_u16(entry, ATTR_ZONE)
				 : nfct_get_attr_u16(entry, ATTR_ORIG_ZONE);
	event.tcp_state = nfct_get_attr_u8(entry, ATTR_TCP_STATE);
	if (event.type == FLOW_EVENT_CLOSED && !is_closed(&event))
		return CONNTRACK_PARSE_OTHER;
	status = nfct_get_attr_u32(entry, ATTR_STATUS);
	event.is_assured = status & IPS_ASSURED;
	event.has_reply = status & IPS_SEEN_REPLY;
	event.conntrack_id = nfct_get_attr_u32(entry, ATTR_ID);
	event.mark = nfct_get_attr_u32(entry, ATTR_MARK);
	read_tuples(entry, &event);
	read_counters(entry, &event);
	read_times(entry, context, &event);
	*ret = event;
	return CONNTRACK_PARSED;
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

static void encode_ports(struct nlmsghdr *message, const struct flow_key *key)
{
	if (is_icmp(key->protocol)) {
		bool v4 = key->protocol == IPPROTO_ICMP;

		mnl_attr_put_u16(message, v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID,
				 htons(key->icmp_id));
		mnl_attr_put_u8(message, v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
				(uint8_t)(key->tuple.dst_port >> 8));
		mnl_attr_put_u8(message, v4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE,
				(uint8_t)key->tuple.dst_port);
		return;
	}
	mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(key->tuple.src_port));
	mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(key->tuple.dst_port));
}

struct nlmsghdr *conntrack_encode_query(void *buffer, const struct flow_key *key)
{
	bool v4 = key->family == IP_FAMILY_V4;
	struct nlmsghdr *message = encode_header(buffer, v4 ? AF_INET : AF_INET6);
	struct nlattr *tuple, *part;

	tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
	part = mnl_attr_nest_start(message, CTA_TUPLE_IP);
	mnl_attr_put(message, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, ip_address_length(key->family),
		     key->tuple.src.bytes);
	mnl_attr_put(message, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, ip_address_length(key->family),
		     key->tuple.dst.bytes);
	mnl_attr_nest_end(message, part);
	part = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, key->protocol);
	encode_ports(message, key);
	mnl_attr_nest_end(message, part);
	mnl_attr_nest_end(message, tuple);
	if (key->zone)
		mnl_attr_put_u16(message, CTA_ZONE, htons(key->zone));
	return message;
}
