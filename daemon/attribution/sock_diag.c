/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One struct inet_diag_req_v2 asks, one struct inet_diag_msg answers. The traps:
 *
 * UDP's exact request is looked up as if it were a packet that arrives ("for historical reasons",
 * udp_dump_one() in net/ipv4/udp_diag.c), so the socket's own address goes into the destination.
 * Unswapped, on loopback, it finds the peer's socket: a wrong process and no error. TCP's request
 * is in the socket's orientation.
 *
 * An AF_INET request finds AF_INET6 sockets that carry IPv4 as well, connected and listening, TCP
 * and UDP, because both live in one hash table; asking again with ::ffff: addresses gains nothing
 * (tests/kernel/test_sock_diag.c pins it). */

#include "attribution/sock_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "base/cleanup.h"
#include "netlink/attribute.h"
#include "netlink/channel.h"

_Static_assert(sizeof(struct inet_diag_req_v2) == 56, "SOCK_DIAG_REQUEST_SIZE counts with it");

struct sock_diag {
	struct netlink_channel *channel;
	bool has_protocol[256];
};

static const uint8_t probed_protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP};

DEFINE_CLEANUP(struct sock_diag *, sock_diag_close);

static struct inet_diag_req_v2 *start_request(uint8_t out[SOCK_DIAG_REQUEST_SIZE], uint16_t flags)
{
	struct nlmsghdr *header;
	struct inet_diag_req_v2 *request;

	memset(out, 0, SOCK_DIAG_REQUEST_SIZE);
	header = mnl_nlmsg_put_header(out);
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->idiag_states = UINT32_MAX;
	request->id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	request->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return request;
}

void sock_diag_encode_find(const struct socket_tuple *tuple, uint32_t interface,
			   uint8_t out[SOCK_DIAG_REQUEST_SIZE])
{
	struct inet_diag_req_v2 *request = start_request(out, 0);
	bool is_tcp = tuple->protocol == IPPROTO_TCP;
	const struct ip_address *src = is_tcp ? &tuple->local : &tuple->remote;
	const struct ip_address *dst = is_tcp ? &tuple->remote : &tuple->local;

	request->sdiag_family = tuple->family == IP_FAMILY_V4 ? AF_INET : AF_INET6;
	request->sdiag_protocol = tuple->protocol;
	request->id.idiag_sport = htons(is_tcp ? tuple->local_port : tuple->remote_port);
	request->id.idiag_dport = htons(is_tcp ? tuple->remote_port : tuple->local_port);
	memcpy(request->id.idiag_src, src->bytes, sizeof(src->bytes));
	memcpy(request->id.idiag_dst, dst->bytes, sizeof(dst->bytes));
	request->id.idiag_if = interface;
}

static void parse_address(const struct inet_diag_msg *answer, const __be32 from[4],
			  struct ip_address *to)
{
	memcpy(to->bytes, from,
	       ip_address_length(answer->idiag_family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6));
}

/* A connected IPv6 socket that speaks IPv4 has ::ffff: on both sides, a bound one only locally. */
static void unmap_addresses(struct sock_diag_socket *socket)
{
	if (socket->family != IP_FAMILY_V6 || !ip_address_unmap(&socket->local, &socket->local))
		return;
	socket->family = IP_FAMILY_V4;
	if (!ip_address_unmap(&socket->remote, &socket->remote))
		socket->remote = (struct ip_address){{0}};
}

static void parse_attribute(const struct nlattr *attribute, struct sock_diag_socket *socket)
{
	const uint8_t *value = netlink_attribute_get_payload(attribute);
	uint16_t type = netlink_attribute_get_type(attribute);
	size_t size = netlink_attribute_get_size(attribute);

	if (type == INET_DIAG_CGROUP_ID && size == sizeof(socket->cgroup_id))
		memcpy(&socket->cgroup_id, value, size);
	else if (type == INET_DIAG_SKV6ONLY && size == 1 && *value)
		socket->takes_v4 = false;
}

int sock_diag_parse(const struct nlmsghdr *message, struct sock_diag_socket *ret)
{
	const struct inet_diag_msg *answer = mnl_nlmsg_get_payload(message);
	struct sock_diag_socket socket = {0};

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*answer) ||
	    (answer->idiag_family != AF_INET && answer->idiag_family != AF_INET6))
		return -EBADMSG;
	socket.inode = answer->idiag_inode;
	socket.cookie = answer->id.idiag_cookie[0] | (uint64_t)answer->id.idiag_cookie[1] << 32;
	socket.family = answer->idiag_family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6;
	parse_address(answer, answer->id.idiag_src, &socket.local);
	parse_address(answer, answer->id.idiag_dst, &socket.remote);
	socket.local_port = ntohs(answer->id.idiag_sport);
	socket.remote_port = ntohs(answer->id.idiag_dport);
	socket.state = answer->idiag_state;
	socket.interface = answer->id.idiag_if;
	socket.uid = answer->idiag_uid;
	socket.has_uid = socket.inode != 0 || socket.uid != 0;
	socket.takes_v4 = true;
	netlink_for_each_attribute (attribute, message, sizeof(*answer))
		parse_attribute(attribute, &socket);
	unmap_addresses(&socket);
	*ret = socket;
	return 0;
}

bool sock_diag_socket_fits(const struct sock_diag_socket *socket, const struct socket_tuple *tuple)
{
	bool is_local_any = ip_address_is_zero(&socket->local);
	bool is_remote_any = ip_address_is_zero(&socket->remote) && socket->remote_port == 0;

	if (socket->local_port != tuple->local_port)
		return false;
	if (socket->family != tuple->family &&
	    !(tuple->family == IP_FAMILY_V4 && socket->takes_v4 && is_local_any && is_remote_any))
		return false;
	if (!is_local_any && !ip_address_equal(&socket->local, &tuple->local))
		return false;
	return is_remote_any || (socket->remote_port == tuple->remote_port &&
				 ip_address_equal(&socket->remote, &tuple->remote));
}

static int on_answer(const struct nlmsghdr *message, void *userdata)
{
	return sock_diag_parse(message, userdata);
}

int sock_diag_find(struct sock_diag *diag, const struct socket_tuple *tuple, uint32_t interface,
		   struct sock_diag_socket *ret)
{
	uint8_t request[SOCK_DIAG_REQUEST_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sock_diag_socket socket = {0};
	int r;

	if (!diag->has_protocol[tuple->protocol])
		return -EPROTONOSUPPORT;
	sock_diag_encode_find(tuple, interface, request);
	r = netlink_channel_request(diag->channel, (struct nlmsghdr *)(void *)request, on_answer,
				    &socket);
	if (r < 0)
		return r;
	if (!sock_diag_socket_fits(&socket, tuple))
		return -ENOENT;
	*ret = socket;
	return 0;
}

struct listing {
	sock_diag_on_socket on_socket;
	void *userdata;
};

static int on_listed(const struct nlmsghdr *message, void *userdata)
{
	const struct listing *listing = userdata;
	struct sock_diag_socket socket;
	int r = sock_diag_parse(message, &socket);

	if (r < 0)
		return r;
	listing->on_socket(&socket, listing->userdata);
	return 0;
}

static int list_family(struct sock_diag *diag, uint8_t family, uint8_t protocol, uint16_t port,
		       uint32_t states, struct listing *listing)
{
	uint8_t bytes[SOCK_DIAG_REQUEST_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct inet_diag_req_v2 *request = start_request(bytes, NLM_F_DUMP);

	request->sdiag_family = family;
	request->sdiag_protocol = protocol;
	request->id.idiag_sport = htons(port);
	request->idiag_states = states;
	return netlink_channel_request(diag->channel, (struct nlmsghdr *)(void *)bytes, on_listed,
				       listing);
}

static void ignore_socket(const struct sock_diag_socket *socket unused, void *userdata unused)
{
}

int sock_diag_list_port(struct sock_diag *diag, uint8_t protocol, uint16_t port, uint32_t states,
			sock_diag_on_socket on_socket, void *userdata)
{
	struct listing listing = {.on_socket = on_socket, .userdata = userdata};
	int r = list_family(diag, AF_INET, protocol, port, states, &listing);

	if (r < 0)
		return r;
	r = list_family(diag, AF_INET6, protocol, port, states, &listing);
	/* Without IPv6 in the kernel there is no handler: nothing to list. */
	return r == -ENOENT ? 0 : r;
}

bool sock_diag_has_protocol(const struct sock_diag *diag, uint8_t protocol)
{
	return diag->has_protocol[protocol];
}

/* "netns_fd" -1: in the thread's own namespace. */
static int open_diag(int netns_fd, struct sock_diag **ret)
{
	cleanup(sock_diag_close_cleanup) struct sock_diag *diag = calloc(1, sizeof(*diag));
	struct listing nothing = {.on_socket = ignore_socket};
	int r;

	if (!diag)
		return -ENOMEM;
	r = netns_fd < 0 ? netlink_channel_open(NETLINK_SOCK_DIAG, &diag->channel)
			 : netlink_channel_open_in(NETLINK_SOCK_DIAG, netns_fd, &diag->channel);
	if (r < 0)
		return r;
	/* A dump without a handler fails; one that selects no state ends at once, empty. */
	for (size_t i = 0; i < array_length(probed_protocols); i++)
		diag->has_protocol[probed_protocols[i]] =
			list_family(diag, AF_INET, probed_protocols[i], 0, 0, &nothing) >= 0;
	*ret = steal_pointer(&diag);
	return 0;
}

int sock_diag_open(struct sock_diag **ret)
{
	return open_diag(-1, ret);
}

int sock_diag_open_in(int netns_fd, struct sock_diag **ret)
{
	return open_diag(netns_fd, ret);
}

void sock_diag_close(struct sock_diag *diag)
{
	if (!diag)
		return;
	netlink_channel_close(diag->channel);
	free(diag);
}
