/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The channel against the kernel, in a network namespace of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "netlink/channel.h"
#include "support/network_namespace.h"

/* Addresses enough for several datagrams, routes enough for several batches of them. */
enum { ADDRESSES = 1500, ROUTES = 25000, LOOPBACK = 1 };

struct request {
	struct nlmsghdr *header;
	char bytes[512];
};

static struct nlmsghdr *begin(struct request *request, uint16_t type, uint16_t flags)
{
	memset(request->bytes, 0, sizeof(request->bytes));
	request->header = mnl_nlmsg_put_header(request->bytes);
	request->header->nlmsg_type = type;
	request->header->nlmsg_flags = flags;
	return request->header;
}

static struct nlmsghdr *link_request(struct request *request, uint16_t flags, int index)
{
	struct nlmsghdr *header = begin(request, RTM_GETLINK, flags);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	info->ifi_index = index;
	return header;
}

static struct nlmsghdr *address_request(struct request *request, uint16_t type, uint16_t flags,
					uint32_t number)
{
	struct nlmsghdr *header = begin(request, type, flags);
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	*info = (struct ifaddrmsg){
		.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = LOOPBACK};
	mnl_attr_put_u32(header, IFA_LOCAL, htonl(0x0a000000 + number));
	return header;
}

static struct nlmsghdr *address_dump(struct request *request)
{
	struct nlmsghdr *header = begin(request, RTM_GETADDR, 0);
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	info->ifa_family = AF_INET;
	return header;
}

static struct nlmsghdr *route_request(struct request *request, uint16_t type, uint16_t flags,
				      uint32_t number)
{
	struct nlmsghdr *header = begin(request, type, flags);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(header, sizeof(*info));

	*info = (struct rtmsg){.rtm_family = AF_INET,
			       .rtm_dst_len = 32,
			       .rtm_table = RT_TABLE_MAIN,
			       .rtm_protocol = RTPROT_STATIC,
			       .rtm_type = RTN_BLACKHOLE};
	mnl_attr_put_u32(header, RTA_DST, htonl(0x0b000000 + number));
	return header;
}

static struct netlink_channel *open_channel(int bus)
{
	struct netlink_channel *channel = NULL;

	assert_int_equal(netlink_channel_open(bus, &channel), 0);
	return channel;
}

static void add_address(struct netlink_channel *channel, uint32_t number)
{
	struct request request;

	assert_int_equal(netlink_channel_request(
				 channel,
				 address_request(&request, RTM_NEWADDR,
						 NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, number),
				 NULL, NULL),
			 0);
}

static void remove_address(struct netlink_channel *channel, uint32_t number)
{
	struct request request;

	assert_int_equal(netlink_channel_request(
				 channel, address_request(&request, RTM_DELADDR, NLM_F_ACK, number),
				 NULL, NULL),
			 0);
}

struct counting {
	uint16_t type; /* the only one that may come */
	unsigned count, stop_at;
};

static int count_message(const struct nlmsghdr *message, void *userdata)
{
	struct counting *counting = userdata;

	assert_int_equal(message->nlmsg_type, counting->type);
	counting->count++;
	return counting->count == counting->stop_at ? -ECANCELED : 0;
}

struct links {
	unsigned count;
	char name[IFNAMSIZ];
	int index;
};

static int on_link(const struct nlmsghdr *message, void *userdata)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	const char *bytes = (const char *)(info + 1);
	struct links *links = userdata;

	assert_int_equal(message->nlmsg_type, RTM_NEWLINK);
	links->count++;
	links->index = info->ifi_index;
	while (bytes < (const char *)message + message->nlmsg_len) {
		const struct nlattr *attribute = (const void *)bytes;

		if (attribute->nla_type == IFLA_IFNAME)
			strncpy(links->name, mnl_attr_get_str(attribute), IFNAMSIZ - 1);
		bytes += MNL_ALIGN(attribute->nla_len);
	}
	return 0;
}

static void test_dump_of_links(unused void **state)
{
	struct netlink_channel *channel = open_channel(NETLINK_ROUTE);
	struct links links = {.count = 0};
	struct request request;

	assert_int_equal(netlink_channel_request(channel, link_request(&request, NLM_F_DUMP, 0),
						 on_link, &links),
			 0);
	/* Tunnel drivers that are built in add devices of their own to each namespace. */
	assert_in_range(links.count, 1, 64);
	assert_int_equal(netlink_channel_request(channel, link_request(&request, 0, LOOPBACK),
						 on_link, &links),
			 0);
	assert_int_equal(links.index, LOOPBACK);
	assert_string_equal(links.name, "lo");
	netlink_channel_close(channel);
}

static void test_kernel_errors_come_back(unused void **state)
{
	struct netlink_channel *channel = open_channel(NETLINK_ROUTE);
	struct counting none = {.type = 0};
	struct request request;
	struct nlmsghdr *unknown = begin(&request, RTM_MAX + 50, 0);

	mnl_nlmsg_put_extra_header(unknown, sizeof(struct ifinfomsg));
	assert_int_equal(netlink_channel_request(channel, unknown, count_message, &none),
			 -EOPNOTSUPP);
	assert_int_equal(netlink_channel_request(channel, link_request(&request, 0, 4711),
						 count_message, &none),
			 -ENODEV);
	/* No family at all: the kernel drops it without a word (rtnetlink_rcv_msg()). */
	assert_int_equal(netlink_channel_request(channel, begin(&request, RTM_GETLINK, 0),
						 count_message, &none),
			 -ENODATA);
	/* And the channel is none the worse. */
	add_address(channel, 1);
	assert_int_equal(
		netlink_channel_request(channel,
					address_request(&request, RTM_NEWADDR,
							NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 1),
					count_message, &none),
		-EEXIST);
	remove_address(channel, 1);
	assert_int_equal(none.count, 0);
	netlink_channel_close(channel);
}

static void test_wrong_bus(unused void **state)
{
	struct netlink_channel *channel = NULL;

	assert_int_equal(netlink_channel_open(4711, &channel), -EPROTONOSUPPORT);
	assert_null(channel);
	netlink_channel_close(NULL);
}

static void change_routes(struct netlink_channel *channel, uint16_t type, uint16_t flags)
{
	for (uint32_t i = 0; i < ROUTES; i++) {
		struct request request;

		assert_int_equal(
			netlink_channel_request(channel,
						route_request(&request, type, NLM_F_ACK | flags, i),
						NULL, NULL),
			0);
	}
}

/* The dump is larger than one batch, so that its end is still inside the kernel when the first
 * message is refused. */
static void test_refused_message_leaves_the_channel_usable(unused void **state)
{
	struct netlink_channel *channel = open_channel(NETLINK_ROUTE);
	struct counting first = {.type = RTM_NEWROUTE, .stop_at = 1};
	struct counting all = {.type = RTM_NEWROUTE};
	struct request request;

	change_routes(channel, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	for (unsigned again = 0; again < 3; again++) {
		first.count = 0;
		assert_int_equal(netlink_channel_request(
					 channel,
					 route_request(&request, RTM_GETROUTE, NLM_F_DUMP, 0),
					 count_message, &first),
				 -ECANCELED);
		assert_int_equal(first.count, 1);
	}
	assert_int_equal(netlink_channel_request(
				 channel, route_request(&request, RTM_GETROUTE, NLM_F_DUMP, 0),
				 count_message, &all),
			 0);
	assert_in_range(all.count, ROUTES, ROUTES + 100);
	change_routes(channel, RTM_DELROUTE, 0);
	netlink_channel_close(channel);
}

static void test_dump_bit_by_bit(unused void **state)
{
	struct netlink_channel *changes = open_channel(NETLINK_ROUTE);
	struct netlink_channel *channel = open_channel(NETLINK_ROUTE);
	struct counting seen = {.type = RTM_NEWADDR};
	struct request request;
	unsigned turns = 1;
	int r;

	for (uint32_t i = 0; i < ADDRESSES; i++)
		add_address(changes, i);
	assert_int_equal(netlink_channel_receive(channel, 10, count_message, &seen),
			 NETLINK_DRAINED);
	assert_int_equal(netlink_channel_dump(channel, address_dump(&request)), 0);
	assert_int_equal(netlink_channel_dump(channel, address_dump(&request)), -EBUSY);
	assert_int_equal(
		netlink_channel_request(channel, link_request(&request, 0, LOOPBACK), NULL, NULL),
		-EBUSY);
	while ((r = netlink_channel_receive(channel, 1, count_message, &seen)) == NETLINK_MORE)
		turns++;
	assert_int_equal(r, NETLINK_DONE);
	assert_in_range(turns, 3, ADDRESSES);
	/* One more: 127.0.0.1. */
	assert_int_equal(seen.count, ADDRESSES + 1);
	assert_int_equal(netlink_channel_receive(channel, 10, count_message, &seen),
			 NETLINK_DRAINED);
	assert_int_equal(netlink_channel_dump(channel, address_dump(&request)), 0);
	while ((r = netlink_channel_receive(channel, 100, NULL, NULL)) == NETLINK_MORE)
		;
	assert_int_equal(r, NETLINK_DONE);
	for (uint32_t i = 0; i < ADDRESSES; i++)
		remove_address(changes, i);
	netlink_channel_close(channel);
	netlink_channel_close(changes);
}

static void test_dump_of_a_table_that_changes_is_torn(unused void **state)
{
	struct netlink_channel *changes = open_channel(NETLINK_ROUTE);
	struct netlink_channel *channel = open_channel(NETLINK_ROUTE);
	struct counting seen = {.type = RTM_NEWADDR};
	struct request request;
	int r;

	for (uint32_t i = 0; i < ADDRESSES; i++)
		add_address(changes, i);
	assert_int_equal(netlink_channel_dump(channel, address_dump(&request)), 0);
	assert_int_equal(netlink_channel_receive(channel, 1, count_message, &seen), NETLINK_MORE);
	add_address(changes, ADDRESSES);
	while ((r = netlink_channel_receive(channel, 1, count_message, &seen)) == NETLINK_MORE)
		;
	assert_int_equal(r, NETLINK_TORN);
	/* The next one is whole again. */
	assert_int_equal(netlink_channel_dump(channel, address_dump(&request)), 0);
	while ((r = netlink_channel_receive(channel, 100, NULL, NULL)) == NETLINK_MORE)
		;
	assert_int_equal(r, NETLINK_DONE);
	for (uint32_t i = 0; i <= ADDRESSES; i++)
		remove_address(changes, i);
	netlink_channel_close(channel);
	netlink_channel_close(changes);
}

static void test_dump_that_the_kernel_refuses(unused void **state)
{
	struct netlink_channel *channel = open_channel(NETLINK_ROUTE);
	struct request request;
	struct nlmsghdr *unknown = begin(&request, RTM_MAX + 50, 0);

	mnl_nlmsg_put_extra_header(unknown, sizeof(struct ifinfomsg));
	assert_int_equal(netlink_channel_dump(channel, unknown), 0);
	assert_int_equal(netlink_channel_receive(channel, 10, NULL, NULL), -EOPNOTSUPP);
	/* It is over with that. */
	assert_int_equal(
		netlink_channel_request(channel, link_request(&request, 0, LOOPBACK), NULL, NULL),
		0);
	netlink_channel_close(channel);
}

static void test_announcements(unused void **state)
{
	struct netlink_channel *changes = open_channel(NETLINK_ROUTE);
	struct netlink_channel *events = open_channel(NETLINK_ROUTE);
	struct counting seen = {.type = RTM_NEWADDR};

	assert_int_equal(netlink_channel_join(events, RTNLGRP_IPV4_IFADDR), 0);
	assert_int_equal(netlink_channel_join(events, 4711), -EINVAL);
	for (uint32_t i = 0; i < 40; i++)
		add_address(changes, i);
	assert_int_equal(netlink_channel_receive(events, 10, count_message, &seen), NETLINK_MORE);
	assert_int_equal(seen.count, 10);
	assert_int_equal(netlink_channel_receive(events, 1000, count_message, &seen),
			 NETLINK_DRAINED);
	assert_int_equal(seen.count, 40);
	add_address(changes, 40);
	seen.stop_at = 41;
	assert_int_equal(netlink_channel_receive(events, 10, count_message, &seen), -ECANCELED);
	for (uint32_t i = 0; i <= 40; i++)
		remove_address(changes, i);
	netlink_channel_close(events);
	netlink_channel_close(changes);
}

static void test_overrun_is_told_once(unused void **state)
{
	struct netlink_channel *changes = open_channel(NETLINK_ROUTE);
	struct netlink_channel *events = open_channel(NETLINK_ROUTE);
	struct counting seen = {.type = RTM_NEWADDR};
	unsigned told = 0;
	int r;

	assert_int_equal(netlink_channel_join(events, RTNLGRP_IPV4_IFADDR), 0);
	assert_true(netlink_channel_set_receive_buffer(events, 1) > 0);
	for (uint32_t i = 0; i < 200; i++)
		add_address(changes, i);
	while ((r = netlink_channel_receive(events, 1000, count_message, &seen)) !=
	       NETLINK_DRAINED) {
		assert_int_equal(r, -ENOBUFS);
		assert_in_range(++told, 1, 1);
	}
	assert_int_equal(told, 1);
	assert_in_range(seen.count, 1, 199);
	seen.count = 0;
	add_address(changes, 200);
	assert_int_equal(netlink_channel_receive(events, 10, count_message, &seen),
			 NETLINK_DRAINED);
	assert_int_equal(seen.count, 1);
	for (uint32_t i = 0; i <= 200; i++)
		remove_address(changes, i);
	netlink_channel_close(events);
	netlink_channel_close(changes);
}

/* Any process may send to a netlink socket of the same user; only the kernel is believed. */
static void test_messages_of_others_are_not_heard(unused void **state)
{
	struct netlink_channel *channel = open_channel(NETLINK_USERSOCK);
	cleanup_close int other = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	struct counting none = {.type = 0};
	struct sockaddr_nl address;
	socklen_t length = sizeof(address);
	struct request request;
	struct nlmsghdr *header = begin(&request, NLMSG_MIN_TYPE, 0);

	assert_true(other >= 0);
	assert_int_equal(
		getsockname(netlink_channel_get_fd(channel), (struct sockaddr *)&address, &length),
		0);
	assert_int_equal(
		sendto(other, header, header->nlmsg_len, 0, (struct sockaddr *)&address, length),
		header->nlmsg_len);
	assert_int_equal(netlink_channel_receive(channel, 10, count_message, &none),
			 NETLINK_DRAINED);
	assert_int_equal(none.count, 0);
	netlink_channel_close(channel);
}

static void test_receive_buffer(unused void **state)
{
	struct netlink_channel *channel = open_channel(NETLINK_ROUTE);
	int value;
	socklen_t length = sizeof(value);

	/* The kernel doubles what it is asked for (sock_setsockopt() in net/core/sock.c). */
	assert_int_equal(netlink_channel_set_receive_buffer(channel, 1 << 20), 2 << 20);
	assert_int_equal(
		getsockopt(netlink_channel_get_fd(channel), SOL_SOCKET, SO_RCVBUF, &value, &length),
		0);
	assert_int_equal(value, 2 << 20);
	assert_in_range(netlink_channel_set_receive_buffer(channel, 0), 1, 1 << 16);
	assert_in_range(netlink_channel_set_receive_buffer(channel, SIZE_MAX), 1 << 20, INT32_MAX);
	netlink_channel_close(channel);
}

static void test_channel_in_another_namespace(unused void **state)
{
	cleanup_close int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct netlink_channel *there = NULL, *channel;
	struct counting seen = {.type = RTM_NEWADDR};
	struct request request;

	channel = open_channel(NETLINK_ROUTE);
	add_address(channel, 7);
	netlink_channel_close(channel);
	assert_int_equal(network_namespace_enter(), 0);
	assert_int_equal(netlink_channel_open_in(NETLINK_ROUTE, here, &there), 0);
	assert_int_equal(netlink_channel_dump(there, address_dump(&request)), 0);
	assert_int_equal(netlink_channel_receive(there, 100, count_message, &seen), NETLINK_DONE);
	assert_int_equal(seen.count, 2);
	/* We did come back: here is no such address. */
	seen.count = 0;
	channel = open_channel(NETLINK_ROUTE);
	assert_int_equal(netlink_channel_dump(channel, address_dump(&request)), 0);
	assert_int_equal(netlink_channel_receive(channel, 100, count_message, &seen), NETLINK_DONE);
	assert_int_equal(seen.count, 1);
	netlink_channel_close(channel);
	netlink_channel_close(there);
	assert_int_equal(netlink_channel_open_in(NETLINK_ROUTE, -1, &there), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump_of_links),
		cmocka_unit_test(test_kernel_errors_come_back),
		cmocka_unit_test(test_wrong_bus),
		cmocka_unit_test(test_refused_message_leaves_the_channel_usable),
		cmocka_unit_test(test_dump_bit_by_bit),
		cmocka_unit_test(test_dump_of_a_table_that_changes_is_torn),
		cmocka_unit_test(test_dump_that_the_kernel_refuses),
		cmocka_unit_test(test_announcements),
		cmocka_unit_test(test_overrun_is_told_once),
		cmocka_unit_test(test_messages_of_others_are_not_heard),
		cmocka_unit_test(test_receive_buffer),
		cmocka_unit_test(test_channel_in_another_namespace),
	};
	int r = network_namespace_enter();

	if (r == -EPERM) {
		fprintf(stderr, "skipped: no network namespace of its own (CAP_SYS_ADMIN)\n");
		return 77;
	}
	if (r < 0) {
		fprintf(stderr, "network namespace: %s\n", strerror(-r));
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
