/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Hosts (/32 and /128), which are nearly all, stand in a hash; the few wider prefixes in a list
 * that is walked. A refresh builds a new set and swaps it in when it is complete. */

#include "attribution/local_routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "netlink/attribute.h"
#include "netlink/channel.h"

enum { MOST_TORN_DUMPS = 3 };

struct route_set {
	struct hash_map hosts; /* struct local_route */
	struct local_route *prefixes;
	size_t prefix_count;
};

struct local_routes {
	struct netlink_channel *questions, *announcements;
	struct route_set set;
	uint64_t seed;
};

DEFINE_CLEANUP(struct local_routes *, local_routes_close);

static void route_set_fini(struct route_set *set)
{
	size_t position = 0;
	void *route;

	while ((route = hash_map_next(&set->hosts, &position)))
		free(route);
	hash_map_fini(&set->hosts);
	free(set->prefixes);
	*set = (struct route_set){0};
}

static uint64_t hash_host(uint64_t seed, const struct ip_prefix *prefix)
{
	return hash_bytes(seed, prefix, sizeof(*prefix));
}

static bool is_same_prefix(const void *value, const void *key)
{
	return memcmp(&((const struct local_route *)value)->prefix, key,
		      sizeof(struct ip_prefix)) == 0;
}

static void add_interface(struct local_route *route, uint32_t interface)
{
	for (size_t i = 0; i < LOCAL_ROUTES_MOST_INTERFACES; i++) {
		if (route->interfaces[i] == interface)
			return;
		if (route->interfaces[i] == 0) {
			route->interfaces[i] = interface;
			return;
		}
	}
}

static int add_host(struct route_set *set, uint64_t seed, const struct local_route *route)
{
	uint64_t hash = hash_host(seed, &route->prefix);
	struct local_route *known =
		hash_map_find(&set->hosts, hash, is_same_prefix, &route->prefix);
	cleanup_free struct local_route *copy = NULL;
	int r;

	if (known) {
		add_interface(known, route->interfaces[0]);
		return 0;
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *route;
	r = hash_map_add(&set->hosts, hash, copy);
	if (r == 0)
		steal_pointer(&copy);
	return r;
}

static int add_prefix(struct route_set *set, const struct local_route *route)
{
	struct local_route *prefixes;

	for (size_t i = 0; i < set->prefix_count; i++)
		if (is_same_prefix(&set->prefixes[i], &route->prefix)) {
			add_interface(&set->prefixes[i], route->interfaces[0]);
			return 0;
		}
	prefixes = reallocarray(set->prefixes, set->prefix_count + 1, sizeof(*prefixes));
	if (!prefixes)
		return -ENOMEM;
	set->prefixes = prefixes;
	set->prefixes[set->prefix_count++] = *route;
	return 0;
}

static void parse_attribute(const struct nlattr *attribute, struct local_route *route)
{
	const void *value = netlink_attribute_get_payload(attribute);
	uint16_t type = netlink_attribute_get_type(attribute);
	size_t size = netlink_attribute_get_size(attribute);

	if (type == RTA_DST && size == ip_address_length(route->prefix.family))
		memcpy(route->prefix.address.bytes, value, size);
	else if (type == RTA_OIF && size == sizeof(route->interfaces[0]))
		memcpy(&route->interfaces[0], value, size);
}

int local_routes_parse(const struct nlmsghdr *message, struct local_route *ret)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(message);
	struct local_route route = {0};

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*head))
		return -EBADMSG;
	if (head->rtm_type != RTN_LOCAL ||
	    (head->rtm_family != AF_INET && head->rtm_family != AF_INET6))
		return 1;
	route.prefix.family = head->rtm_family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6;
	route.prefix.bits = head->rtm_dst_len;
	if (route.prefix.bits > ip_address_length(route.prefix.family) * 8)
		return -EBADMSG;
	netlink_for_each_attribute (attribute, message, sizeof(*head))
		parse_attribute(attribute, &route);
	*ret = route;
	return 0;
}

struct loading {
	struct route_set set;
	uint64_t seed;
};

static int on_route(const struct nlmsghdr *message, void *userdata)
{
	struct loading *loading = userdata;
	struct local_route route;
	int r = local_routes_parse(message, &route);

	if (r != 0)
		return r < 0 ? r : 0;
	if (route.prefix.bits == ip_address_length(route.prefix.family) * 8)
		return add_host(&loading->set, loading->seed, &route);
	return add_prefix(&loading->set, &route);
}

static int load_family(struct netlink_channel *channel, uint8_t family, struct loading *loading)
{
	uint8_t bytes[NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct rtmsg))]
		__attribute__((aligned(NLMSG_ALIGNTO))) = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(bytes);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(header, sizeof(*head));

	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	head->rtm_family = family;
	/* With NETLINK_GET_STRICT_CHK the kernel leaves the other types out. */
	head->rtm_type = RTN_LOCAL;
	return netlink_channel_request(channel, header, on_route, loading);
}

static int load(struct local_routes *routes)
{
	struct loading loading = {.seed = routes->seed};
	int r = 0;

	/* A torn dump may miss a route; one that is torn again and again is taken as it is, since
	 * what tears it announces itself too. */
	for (int i = 0; i < MOST_TORN_DUMPS; i++) {
		route_set_fini(&loading.set);
		r = load_family(routes->questions, AF_INET, &loading);
		if (r >= 0) {
			int r6 = load_family(routes->questions, AF_INET6, &loading);

			/* -EOPNOTSUPP and -EAFNOSUPPORT: a kernel without IPv6. */
			if (r6 != -EOPNOTSUPP && r6 != -EAFNOSUPPORT)
				r = r6 != 0 ? r6 : r;
		}
		if (r != NETLINK_TORN)
			break;
	}
	if (r < 0) {
		route_set_fini(&loading.set);
		return r;
	}
	route_set_fini(&routes->set);
	routes->set = loading.set;
	return 0;
}

/* Lets address messages and local routes through and nothing else, so that a router's thousands of
 * route changes wake nobody. BPF loads in network order, netlink is in host order. */
static int attach_filter(struct netlink_channel *channel)
{
	const uint32_t type_offset = offsetof(struct nlmsghdr, nlmsg_type);
	const uint32_t route_type_offset = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_type);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, type_offset),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, route_type_offset),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTN_LOCAL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = array_length(code), .filter = code};

	if (setsockopt(netlink_channel_get_fd(channel), SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)) < 0)
		return -errno;
	return 0;
}

static int open_announcements(struct local_routes *routes)
{
	static const unsigned groups[] = {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
	int r = netlink_channel_open(NETLINK_ROUTE, &routes->announcements);

	if (r < 0)
		return r;
	r = attach_filter(routes->announcements);
	for (size_t i = 0; r == 0 && i < array_length(groups); i++)
		r = netlink_channel_join(routes->announcements, groups[i]);
	return r;
}

/* Before kernel 4.20 there is no such option: the dump is longer and we select. */
static void ask_strictly(struct netlink_channel *channel)
{
	int on = 1;

	(void)setsockopt(netlink_channel_get_fd(channel), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
			 sizeof(on));
}

int local_routes_open(struct local_routes **ret)
{
	cleanup(local_routes_close_cleanup) struct local_routes *routes =
		calloc(1, sizeof(*routes));
	int r;

	if (!routes)
		return -ENOMEM;
	routes->seed = hash_seed_new();
	/* Announcements first: what changes during the dump is then not missed. */
	r = open_announcements(routes);
	if (r < 0)
		return r;
	r = netlink_channel_open(NETLINK_ROUTE, &routes->questions);
	if (r < 0)
		return r;
	ask_strictly(routes->questions);
	r = load(routes);
	if (r < 0)
		return r;
	*ret = steal_pointer(&routes);
	return 0;
}

int local_routes_read_in(int netns_fd, struct local_routes **ret)
{
	cleanup(local_routes_close_cleanup) struct local_routes *routes =
		calloc(1, sizeof(*routes));
	int r;

	if (!routes)
		return -ENOMEM;
	routes->seed = hash_seed_new();
	r = netlink_channel_open_in(NETLINK_ROUTE, netns_fd, &routes->questions);
	if (r < 0)
		return r;
	ask_strictly(routes->questions);
	r = load(routes);
	netlink_channel_close(steal_pointer(&routes->questions));
	if (r < 0)
		return r;
	*ret = steal_pointer(&routes);
	return 0;
}

const struct local_route *local_routes_next(const struct local_routes *routes, size_t *position)
{
	const struct route_set *set = &routes->set;

	/* The prefixes stand behind the slots of the hosts. */
	if (*position < set->hosts.size) {
		const struct local_route *route = hash_map_next(&set->hosts, position);

		if (route)
			return route;
		*position = set->hosts.size;
	}
	if (*position - set->hosts.size >= set->prefix_count)
		return NULL;
	return &set->prefixes[(*position)++ - set->hosts.size];
}

void local_routes_close(struct local_routes *routes)
{
	if (!routes)
		return;
	route_set_fini(&routes->set);
	netlink_channel_close(routes->questions);
	netlink_channel_close(routes->announcements);
	free(routes);
}

const struct local_route *local_routes_find(const struct local_routes *routes,
					    enum ip_family family, const struct ip_address *address)
{
	struct ip_prefix host = {.address = *address,
				 .family = (uint8_t)family,
				 .bits = (uint8_t)(ip_address_length(family) * 8)};
	const struct local_route *route = hash_map_find(
		&routes->set.hosts, hash_host(routes->seed, &host), is_same_prefix, &host);

	for (size_t i = 0; !route && i < routes->set.prefix_count; i++)
		if (ip_prefix_contains(&routes->set.prefixes[i].prefix, family, address))
			route = &routes->set.prefixes[i];
	return route;
}

int local_routes_get_fd(const struct local_routes *routes)
{
	return netlink_channel_get_fd(routes->announcements);
}

int local_routes_refresh(struct local_routes *routes)
{
	int r;

	do
		r = netlink_channel_receive(routes->announcements, 1024, NULL, NULL);
	while (r == NETLINK_MORE || r == -ENOBUFS);
	if (r < 0)
		return r;
	return load(routes);
}

size_t local_routes_count(const struct local_routes *routes)
{
	return routes->set.hosts.used + routes->set.prefix_count;
}
