/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/conntrack_entry.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

struct end {
	uint8_t address[16];
	uint16_t port;
};

/* The clients are 10.0.0.0/8 or fd00:: plus the number's high part; the server is 192.0.2.1 or
 * 2001:db8::1. */
static struct end client_of(const struct conntrack_entry *entry)
{
	uint32_t host = htonl(entry->number / CONNTRACK_ENTRY_PORTS + 1);
	struct end end = {.port = (uint16_t)(CONNTRACK_ENTRY_FIRST_PORT +
					     entry->number % CONNTRACK_ENTRY_PORTS)};
	uint8_t *at = entry->family == AF_INET ? end.address : end.address + 12;

	for (unsigned i = 0; i < sizeof(host); i++)
		at[i] = ((const uint8_t *)&host)[i];
	end.address[0] = entry->family == AF_INET ? 10 : 0xfd;
	return end;
}

static struct end server_of(const struct conntrack_entry *entry)
{
	if (entry->family == AF_INET)
		return (struct end){.address = {192, 0, 2, 1}, .port = CONNTRACK_ENTRY_SERVER_PORT};
	return (struct end){.address = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
			    .port = CONNTRACK_ENTRY_SERVER_PORT};
}

static void put_tuple(struct nlmsghdr *message, const struct conntrack_entry *entry,
		      enum ctattr_type type, const struct end ends[2])
{
	bool is_v4 = entry->family == AF_INET;
	size_t length = is_v4 ? 4 : 16;
	struct nlattr *tuple = mnl_attr_nest_start(message, (uint16_t)type);
	struct nlattr *part = mnl_attr_nest_start(message, CTA_TUPLE_IP);

	mnl_attr_put(message, is_v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, length, ends[0].address);
	mnl_attr_put(message, is_v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, length, ends[1].address);
	mnl_attr_nest_end(message, part);
	part = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, entry->protocol);
	mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(ends[0].port));
	mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(ends[1].port));
	mnl_attr_nest_end(message, part);
	mnl_attr_nest_end(message, tuple);
}

static struct nlmsghdr *put_header(void *buffer, const struct conntrack_entry *entry, uint8_t type)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *family;

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	message->nlmsg_flags = NLM_F_REQUEST;
	message->nlmsg_seq = entry->number;
	family = mnl_nlmsg_put_extra_header(message, sizeof(*family));
	family->nfgen_family = entry->family;
	family->version = NFNETLINK_V0;
	if (entry->zone)
		mnl_attr_put_u16(message, CTA_ZONE, htons(entry->zone));
	return message;
}

struct nlmsghdr *conntrack_entry_put_create(void *buffer, const struct conntrack_entry *entry)
{
	struct nlmsghdr *message = put_header(buffer, entry, IPCTNL_MSG_CT_NEW);
	struct end client = client_of(entry), server = server_of(entry);
	struct nlattr *info, *protocol;

	message->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	put_tuple(message, entry, CTA_TUPLE_ORIG, (struct end[]){client, server});
	put_tuple(message, entry, CTA_TUPLE_REPLY, (struct end[]){server, client});
	mnl_attr_put_u32(message, CTA_TIMEOUT, htonl(entry->timeout_s));
	mnl_attr_put_u32(message, CTA_STATUS, htonl(IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED));
	if (entry->protocol == IPPROTO_TCP) {
		info = mnl_attr_nest_start(message, CTA_PROTOINFO);
		protocol = mnl_attr_nest_start(message, CTA_PROTOINFO_TCP);
		mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
		mnl_attr_nest_end(message, protocol);
		mnl_attr_nest_end(message, info);
	}
	return message;
}

struct nlmsghdr *conntrack_entry_put_delete(void *buffer, const struct conntrack_entry *entry)
{
	struct nlmsghdr *message = put_header(buffer, entry, IPCTNL_MSG_CT_DELETE);

	put_tuple(message, entry, CTA_TUPLE_ORIG,
		  (struct end[]){client_of(entry), server_of(entry)});
	return message;
}
