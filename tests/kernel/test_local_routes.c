/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which addresses are ours, and that changes are announced; in a network namespace of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "attribution/local_routes.h"
#include "netlink/channel.h"
#include "support/network_namespace.h"

struct fixture {
	struct local_routes *routes;
	struct netlink_channel *channel;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		exit(77);
	}
	*state = &fixture;
	if (netlink_channel_open(NETLINK_ROUTE, &fixture.channel) < 0)
		return -1;
	return local_routes_open(&fixture.routes);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	local_routes_close(fixture->routes);
	netlink_channel_close(fixture->channel);
	return 0;
}

static const struct local_route *find(struct fixture *fixture, const char *text)
{
	struct ip_address address;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &address), 0);
	return local_routes_find(fixture->routes, family, &address);
}

static bool is_announced(struct fixture *fixture, int timeout_ms)
{
	struct pollfd poller = {.fd = local_routes_get_fd(fixture->routes), .events = POLLIN};

	return poll(&poller, 1, timeout_ms) == 1;
}

static void change_address(struct fixture *fixture, uint16_t type, const char *text, uint8_t bits)
{
	union {
		uint8_t bytes[256];
		struct nlmsghdr header;
	} request = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
	struct ifaddrmsg *body;
	struct ip_address address;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &address), 0);
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	body = mnl_nlmsg_put_extra_header(header, sizeof(*body));
	body->ifa_family = family == IP_FAMILY_V4 ? AF_INET : AF_INET6;
	body->ifa_prefixlen = bits;
	body->ifa_flags = IFA_F_NODAD;
	body->ifa_index = 1;
	mnl_attr_put(header, IFA_LOCAL, ip_address_length(family), address.bytes);
	assert_int_equal(netlink_channel_request(fixture->channel, header, NULL, NULL), 0);
}

static void change_route(struct fixture *fixture, uint8_t type, const char *text, uint8_t bits)
{
	union {
		uint8_t bytes[256];
		struct nlmsghdr header;
	} request = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
	struct rtmsg *body;
	struct ip_address address;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &address), 0);
	header->nlmsg_type = RTM_NEWROUTE;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	body = mnl_nlmsg_put_extra_header(header, sizeof(*body));
	body->rtm_family = family == IP_FAMILY_V4 ? AF_INET : AF_INET6;
	body->rtm_dst_len = bits;
	body->rtm_table = type == RTN_LOCAL ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
	body->rtm_protocol = RTPROT_STATIC;
	body->rtm_scope = type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK;
	body->rtm_type = type;
	mnl_attr_put(header, RTA_DST, ip_address_length(family), address.bytes);
	mnl_attr_put_u32(header, RTA_OIF, 1);
	assert_int_equal(netlink_channel_request(fixture->channel, header, NULL, NULL), 0);
}

static void loopback_is_ours(void **state)
{
	struct fixture *fixture = *state;

	assert_non_null(find(fixture, "127.0.0.1"));
	assert_non_null(find(fixture, "127.99.1.2"));
	assert_non_null(find(fixture, "::1"));
	assert_int_equal(find(fixture, "127.0.0.1")->interfaces[0], 1);
	assert_null(find(fixture, "128.0.0.1"));
	assert_null(find(fixture, "::2"));
	assert_null(find(fixture, "224.0.0.1"));
	assert_null(find(fixture, "255.255.255.255"));
}

static void an_address_comes_and_goes(void **state)
{
	static const struct {
		const char *address;
		uint8_t bits;
	} cases[] = {{"198.51.100.7", 24}, {"fd12::7", 64}};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(local_routes_refresh(fixture->routes), 0);
		assert_null(find(fixture, cases[i].address));
		assert_false(is_announced(fixture, 0));
		change_address(fixture, RTM_NEWADDR, cases[i].address, cases[i].bits);
		assert_true(is_announced(fixture, 5000));
		assert_int_equal(local_routes_refresh(fixture->routes), 0);
		assert_non_null(find(fixture, cases[i].address));
		change_address(fixture, RTM_DELADDR, cases[i].address, cases[i].bits);
		assert_true(is_announced(fixture, 5000));
		assert_int_equal(local_routes_refresh(fixture->routes), 0);
		assert_null(find(fixture, cases[i].address));
	}
}

/* A whole network that is routed to the host itself, and one that is not. */
static void a_prefix_is_ours_by_a_local_route(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(local_routes_refresh(fixture->routes), 0);
	change_route(fixture, RTN_UNICAST, "203.0.113.0", 25);
	assert_false(is_announced(fixture, 0));
	change_route(fixture, RTN_LOCAL, "203.0.113.128", 25);
	change_route(fixture, RTN_LOCAL, "fd34::", 64);
	assert_true(is_announced(fixture, 5000));
	assert_int_equal(local_routes_refresh(fixture->routes), 0);
	assert_null(find(fixture, "203.0.113.1"));
	assert_non_null(find(fixture, "203.0.113.129"));
	assert_non_null(find(fixture, "fd34::1:2"));
	assert_null(find(fixture, "fd34:0:0:1::1"));
}

/* So many announcements that the socket overruns: the refresh still ends, and is right. */
static void lost_announcements_do_no_harm(void **state)
{
	struct fixture *fixture = *state;
	char address[32];

	for (int i = 0; i < 2000; i++) {
		snprintf(address, sizeof(address), "10.7.%d.%d", i / 250, i % 250 + 1);
		change_address(fixture, RTM_NEWADDR, address, 32);
	}
	assert_int_equal(local_routes_refresh(fixture->routes), 0);
	assert_non_null(find(fixture, "10.7.0.1"));
	assert_non_null(find(fixture, address));
	assert_true(local_routes_count(fixture->routes) > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback_is_ours),
		cmocka_unit_test(an_address_comes_and_goes),
		cmocka_unit_test(a_prefix_is_ours_by_a_local_route),
		cmocka_unit_test(lost_announcements_do_no_harm),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
