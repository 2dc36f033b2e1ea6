/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What it costs to read one conntrack event: by libnetfilter_conntrack with a fresh object for each
 * message and with one object kept, as the daemon does it, and by the least code that could do it,
 * without a call. The messages are real ones, recorded from the kernel in a network namespace of
 * this program's own; each way fills a flow_event, and they are compared before anything is timed.
 */

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "flow/flow_event.h"
#include "sources/conntrack_parse.h"
#include "support/conntrack_recorder.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

enum { FIRST_PORT = 20000, FLOWS = 50, PASSES = 2000, ROUNDS = 5 };

static struct ip_address address_of(const struct nf_conntrack *entry, uint8_t family,
				    enum nf_conntrack_attr v4, enum nf_conntrack_attr v6)
{
	struct ip_address address = {0};

	memcpy(address.bytes, nfct_get_attr(entry, family == AF_INET ? v4 : v6),
	       family == AF_INET ? 4 : 16);
	return address;
}

static void convert(const struct nf_conntrack *entry, struct flow_event *event)
{
	uint8_t family = nfct_get_attr_u8(entry, ATTR_ORIG_L3PROTO);
	uint32_t status = nfct_get_attr_u32(entry, ATTR_STATUS);

	event->key.family = family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6;
	event->key.protocol = nfct_get_attr_u8(entry, ATTR_ORIG_L4PROTO);
	event->key.zone = nfct_get_attr_u16(entry, ATTR_ZONE);
	event->key.tuple.src = address_of(entry, family, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
	event->key.tuple.dst = address_of(entry, family, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
	event->key.tuple.src_port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_SRC));
	event->key.tuple.dst_port = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_DST));
	event->reply.src = address_of(entry, family, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
	event->reply.dst = address_of(entry, family, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST);
	event->reply.src_port = ntohs(nfct_get_attr_u16(entry, ATTR_REPL_PORT_SRC));
	event->reply.dst_port = ntohs(nfct_get_attr_u16(entry, ATTR_REPL_PORT_DST));
	event->conntrack_id = nfct_get_attr_u32(entry, ATTR_ID);
	event->is_assured = status & IPS_ASSURED;
	event->has_reply = status & IPS_SEEN_REPLY;
	event->tcp_state = nfct_get_attr_u8(entry, ATTR_TCP_STATE);
	event->mark = nfct_get_attr_u32(entry, ATTR_MARK);
	event->has_counters = nfct_attr_is_set(entry, ATTR_ORIG_COUNTER_BYTES);
	event->counters = (struct flow_counters){
		.in_bytes = nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_BYTES),
		.in_packets = nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_PACKETS),
		.out_bytes = nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_BYTES),
		.out_packets = nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_PACKETS),
	};
	event->start_ns = nfct_get_attr_u64(entry, ATTR_TIMESTAMP_START);
	event->stop_ns = nfct_get_attr_u64(entry, ATTR_TIMESTAMP_STOP);
}

static void read_with_fresh_object(const struct nlmsghdr *message, struct flow_event *event)
{
	struct nf_conntrack *entry = nfct_new();

	if (nfct_nlmsg_parse(message, entry) >= 0)
		convert(entry, event);
	nfct_destroy(entry);
}

/* nfct_nlmsg_parse() only adds, so a kept object must be made empty, which costs its whole size. */
static void read_with_kept_object(const struct nlmsghdr *message, struct flow_event *event)
{
	static struct nf_conntrack *empty, *entry;

	if (!empty) {
		empty = nfct_new();
		entry = nfct_new();
	}
	nfct_copy(entry, empty, NFCT_CP_OVERRIDE);
	if (nfct_nlmsg_parse(message, entry) >= 0)
		convert(entry, event);
}

/* libmnl's accessors are calls into a shared library, several for each attribute: with them the way
 * by hand takes 400 ns a message where it takes 85. */
static const void *get_payload(const struct nlattr *attribute)
{
	return attribute + 1;
}

static uint8_t get_u8(const struct nlattr *attribute)
{
	return *(const uint8_t *)get_payload(attribute);
}

static uint16_t get_be16(const struct nlattr *attribute)
{
	return be16toh(*(const uint16_t *)get_payload(attribute));
}

static uint32_t get_be32(const struct nlattr *attribute)
{
	return be32toh(*(const uint32_t *)get_payload(attribute));
}

/* Aligned to four bytes only. */
static uint64_t get_be64(const struct nlattr *attribute)
{
	uint64_t value;

	memcpy(&value, get_payload(attribute), sizeof(value));
	return be64toh(value);
}

/* Puts the attributes from "first" to "end" into "table" by type. */
static void index_attributes(const struct nlattr *first, const void *end,
			     const struct nlattr **table, uint16_t most)
{
	const char *at = (const char *)first;
	size_t left = (size_t)((const char *)end - at);

	while (left >= sizeof(struct nlattr)) {
		const struct nlattr *attribute = (const void *)at;
		size_t length = attribute->nla_len, step = (length + 3) & ~(size_t)3;
		uint16_t type = attribute->nla_type & (uint16_t)NLA_TYPE_MASK;

		if (length < sizeof(*attribute) || length > left)
			return;
		if (type <= most)
			table[type] = attribute;
		at += step;
		left -= step < left ? step : left;
	}
}

static void index_nest(const struct nlattr *nest, const struct nlattr **table, uint16_t most)
{
	index_attributes(get_payload(nest), (const char *)nest + nest->nla_len, table, most);
}

static void read_tuple(const struct nlattr *nest, struct flow_key *key, struct flow_tuple *tuple)
{
	const struct nlattr *parts[CTA_TUPLE_MAX + 1] = {0};
	const struct nlattr *ip[CTA_IP_MAX + 1] = {0};
	const struct nlattr *protocol[CTA_PROTO_MAX + 1] = {0};
	size_t length;

	index_nest(nest, parts, CTA_TUPLE_MAX);
	index_nest(parts[CTA_TUPLE_IP], ip, CTA_IP_MAX);
	index_nest(parts[CTA_TUPLE_PROTO], protocol, CTA_PROTO_MAX);
	key->family = ip[CTA_IP_V4_SRC] ? IP_FAMILY_V4 : IP_FAMILY_V6;
	length = ip_address_length(key->family);
	memcpy(tuple->src.bytes, get_payload(ip[ip[CTA_IP_V4_SRC] ? CTA_IP_V4_SRC : CTA_IP_V6_SRC]),
	       length);
	memcpy(tuple->dst.bytes, get_payload(ip[ip[CTA_IP_V4_SRC] ? CTA_IP_V4_DST : CTA_IP_V6_DST]),
	       length);
	key->protocol = get_u8(protocol[CTA_PROTO_NUM]);
	if (protocol[CTA_PROTO_SRC_PORT])
		tuple->src_port = get_be16(protocol[CTA_PROTO_SRC_PORT]);
	if (protocol[CTA_PROTO_DST_PORT])
		tuple->dst_port = get_be16(protocol[CTA_PROTO_DST_PORT]);
}

static void read_counters(const struct nlattr *nest, uint64_t *packets, uint64_t *bytes)
{
	const struct nlattr *counters[CTA_COUNTERS_MAX + 1] = {0};

	index_nest(nest, counters, CTA_COUNTERS_MAX);
	*packets = get_be64(counters[CTA_COUNTERS_PACKETS]);
	*bytes = get_be64(counters[CTA_COUNTERS_BYTES]);
}

static void read_timestamps(const struct nlattr *nest, struct flow_event *event)
{
	const struct nlattr *stamps[CTA_TIMESTAMP_MAX + 1] = {0};

	index_nest(nest, stamps, CTA_TIMESTAMP_MAX);
	if (stamps[CTA_TIMESTAMP_START])
		event->start_ns = get_be64(stamps[CTA_TIMESTAMP_START]);
	if (stamps[CTA_TIMESTAMP_STOP])
		event->stop_ns = get_be64(stamps[CTA_TIMESTAMP_STOP]);
}

static void read_tcp_state(const struct nlattr *nest, struct flow_event *event)
{
	const struct nlattr *info[CTA_PROTOINFO_MAX + 1] = {0};
	const struct nlattr *tcp[CTA_PROTOINFO_TCP_MAX + 1] = {0};

	index_nest(nest, info, CTA_PROTOINFO_MAX);
	if (!info[CTA_PROTOINFO_TCP])
		return;
	index_nest(info[CTA_PROTOINFO_TCP], tcp, CTA_PROTOINFO_TCP_MAX);
	if (tcp[CTA_PROTOINFO_TCP_STATE])
		event->tcp_state = get_u8(tcp[CTA_PROTOINFO_TCP_STATE]);
}

static void read_by_hand(const struct nlmsghdr *message, struct flow_event *event)
{
	const struct nlattr *table[CTA_MAX + 1] = {0};
	uint32_t status;

	index_attributes(mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg)),
			 mnl_nlmsg_get_payload_tail(message), table, CTA_MAX);
	read_tuple(table[CTA_TUPLE_ORIG], &event->key, &event->key.tuple);
	read_tuple(table[CTA_TUPLE_REPLY], &event->key, &event->reply);
	status = get_be32(table[CTA_STATUS]);
	event->is_assured = status & IPS_ASSURED;
	event->has_reply = status & IPS_SEEN_REPLY;
	event->conntrack_id = get_be32(table[CTA_ID]);
	if (table[CTA_ZONE])
		event->key.zone = get_be16(table[CTA_ZONE]);
	if (table[CTA_MARK])
		event->mark = get_be32(table[CTA_MARK]);
	if (table[CTA_PROTOINFO])
		read_tcp_state(table[CTA_PROTOINFO], event);
	event->has_counters = table[CTA_COUNTERS_ORIG] && table[CTA_COUNTERS_REPLY];
	if (event->has_counters) {
		read_counters(table[CTA_COUNTERS_ORIG], &event->counters.in_packets,
			      &event->counters.in_bytes);
		read_counters(table[CTA_COUNTERS_REPLY], &event->counters.out_packets,
			      &event->counters.out_bytes);
	}
	if (table[CTA_TIMESTAMP])
		read_timestamps(table[CTA_TIMESTAMP], event);
}

static void read_as_the_daemon(const struct nlmsghdr *message, struct flow_event *event)
{
	static const struct conntrack_timeouts timeouts;
	static const struct conntrack_parse_context context = {.timeouts = &timeouts,
							       .now_ns = UINT64_MAX};

	if (conntrack_parse(message, true, &context, event) < 0)
		abort();
}

struct way {
	const char *name;
	void (*read)(const struct nlmsghdr *message, struct flow_event *event);
	double best_ns;
};

static bool is_new(const struct conntrack_seen *seen, const void *userdata)
{
	return seen->type == NFCT_T_NEW && nfct_get_attr_u16(seen->entry, ATTR_ORIG_PORT_SRC) ==
						   htons(*(const uint16_t *)userdata);
}

/* NEW, UPDATE and DESTROY of TCP and UDP, over IPv4 and IPv6. */
static void record(struct conntrack_recorder *recorder)
{
	for (unsigned i = 0; i < FLOWS * 4; i++) {
		struct traffic_pair pair =
			traffic_open(i & 1 ? AF_INET : AF_INET6, i & 2 ? SOCK_STREAM : SOCK_DGRAM,
				     (uint16_t)(FIRST_PORT + i));
		uint16_t port = pair.client_port;
		const struct conntrack_seen *seen;

		traffic_exchange(&pair, 100);
		traffic_close(&pair);
		seen = conntrack_recorder_wait(recorder, is_new, &port);
		if (!seen || conntrack_recorder_remove(seen->entry) < 0)
			abort();
	}
	conntrack_recorder_read(recorder);
}

/* In all that comes straight out of the message. */
static bool is_same(const struct flow_event *a, const struct flow_event *b)
{
	return flow_key_equal(&a->key, &b->key) &&
	       memcmp(&a->reply, &b->reply, sizeof(a->reply)) == 0 &&
	       memcmp(&a->counters, &b->counters, sizeof(a->counters)) == 0 &&
	       a->conntrack_id == b->conntrack_id && a->has_counters == b->has_counters &&
	       a->is_assured == b->is_assured && a->has_reply == b->has_reply &&
	       a->tcp_state == b->tcp_state && a->mark == b->mark && a->start_ns == b->start_ns &&
	       a->stop_ns == b->stop_ns;
}

/* Whether all ways read the same from every message. */
static bool agree(const struct conntrack_recorder *recorder, size_t count, const struct way *ways,
		  size_t ways_count)
{
	for (size_t i = 0; i < count; i++) {
		const struct nlmsghdr *message = conntrack_recorder_get(recorder, i)->message;
		struct flow_event first, other;

		memset(&first, 0, sizeof(first));
		ways[0].read(message, &first);
		for (size_t way = 1; way < ways_count; way++) {
			memset(&other, 0, sizeof(other));
			ways[way].read(message, &other);
			if (!is_same(&first, &other)) {
				fprintf(stderr, "message %zu: \"%s\" and \"%s\" differ\n", i,
					ways[0].name, ways[way].name);
				return false;
			}
		}
	}
	return true;
}

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double measure(const struct conntrack_recorder *recorder, size_t count,
		      const struct way *way)
{
	double start = cpu_ns();

	for (unsigned pass = 0; pass < PASSES; pass++)
		for (size_t i = 0; i < count; i++) {
			struct flow_event event = {0};

			way->read(conntrack_recorder_get(recorder, i)->message, &event);
			__asm__ volatile("" : : "r"(&event) : "memory");
		}
	return (cpu_ns() - start) / (double)PASSES / (double)count;
}

int main(void)
{
	struct way ways[] = {
		{"nfct_new, parse, destroy", read_with_fresh_object, 0},
		{"one nfct object, emptied", read_with_kept_object, 0},
		{"the daemon", read_as_the_daemon, 0},
		{"by hand, nothing called", read_by_hand, 0},
	};
	struct conntrack_recorder *recorder;
	size_t count;

	if (network_namespace_enter() < 0 || network_namespace_track() < 0 ||
	    network_namespace_set("netfilter/nf_conntrack_acct", "1") < 0 ||
	    network_namespace_set("netfilter/nf_conntrack_timestamp", "1") < 0) {
		puts("skipped: needs CAP_SYS_ADMIN, CAP_NET_ADMIN and nf_tables with ct");
		return 77;
	}
	recorder = conntrack_recorder_open();
	record(recorder);
	count = conntrack_recorder_read(recorder);
	if (!agree(recorder, count, ways, array_length(ways)))
		return EXIT_FAILURE;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < array_length(ways); i++) {
			double ns = measure(recorder, count, &ways[i]);

			if (!round || ns < ways[i].best_ns)
				ways[i].best_ns = ns;
		}
	printf("%zu recorded messages, best of %d rounds\n", count, ROUNDS);
	for (size_t i = 0; i < array_length(ways); i++)
		printf("%-28s %7.0f ns a message  %5.2f\n", ways[i].name, ways[i].best_ns,
		       ways[i].best_ns / ways[array_length(ways) - 1].best_ns);
	conntrack_recorder_close(recorder);
	return EXIT_SUCCESS;
}
