/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "attribution/local_routes.h"

struct message {
	struct nlmsghdr header;
	struct rtmsg body;
	uint8_t attributes[64];
};

static struct message make_route(uint8_t family, uint8_t bits, uint8_t type)
{
	return (struct message){
		.header = {.nlmsg_len = NLMSG_HDRLEN + sizeof(struct rtmsg),
			   .nlmsg_type = RTM_NEWROUTE},
		.body = {.rtm_family = family, .rtm_dst_len = bits, .rtm_type = type}};
}

static void a_local_route_is_read(void **state)
{
	struct message message = make_route(AF_INET, 8, RTN_LOCAL);
	uint32_t interface = 5;
	struct local_route route;

	(void)state;
	mnl_attr_put(&message.header, RTA_DST, 4, "\x7f\0\0\0");
	mnl_attr_put(&message.header, RTA_OIF, sizeof(interface), &interface);
	assert_int_equal(local_routes_parse(&message.header, &route), 0);
	assert_int_equal(route.prefix.family, IP_FAMILY_V4);
	assert_int_equal(route.prefix.bits, 8);
	assert_memory_equal(route.prefix.address.bytes, "\x7f\0\0\0\0\0\0\0", 8);
	assert_int_equal(route.interfaces[0], 5);
	assert_int_equal(route.interfaces[1], 0);
}

static void a24_broadcast_and_multicast_are_not_local(void **state)
{
	static const uint8_t types[] = {RTN_UNICAST, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST};
	struct local_route route;

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct message message = make_route(AF_INET, 32, types[i]);

		assert_int_equal(local_routes_parse(&message.header, &route), 1);
	}
}

static void what_is_no_route_is_refused(void **state)
{
	struct message message = make_route(AF_INET, 33, RTN_LOCAL);
	struct local_route route;

	(void)state;
	assert_int_equal(local_routes_parse(&message.header, &route), -EBADMSG);
	message = make_route(AF_INET6, 129, RTN_LOCAL);
	assert_int_equal(local_routes_parse(&message.header, &route), -EBADMSG);
	message = make_route(AF_INET6, 128, RTN_LOCAL);
	message.header.nlmsg_len--;
	assert_int_equal(local_routes_parse(&message.header, &route), -EBADMSG);
	message = make_route(AF_INET6, 128, RTN_LOCAL);
	message.header.nlmsg_type = RTM_NEWADDR;
	assert_int_equal(local_routes_parse(&message.header, &route), -EBADMSG);
}

/* An attribute of the wrong length is left out, not read over its end. */
static void a_short_address_is_not_read(void **state)
{
	struct message message = make_route(AF_INET6, 128, RTN_LOCAL);
	struct local_route route;

	(void)state;
	mnl_attr_put(&message.header, RTA_DST, 4, "\x7f\0\0\1");
	assert_int_equal(local_routes_parse(&message.header, &route), 0);
	assert_true(ip_address_is_zero(&route.prefix.address));
}

/* Its end is that of the message to the byte: behind it stands somebody else's. */
static void a_cut_attribute_is_not_read(void **state)
{
	struct message message = make_route(AF_INET, 32, RTN_LOCAL);
	uint32_t interface = 5;
	struct local_route route;

	(void)state;
	mnl_attr_put(&message.header, RTA_OIF, sizeof(interface), &interface);
	for (int cut = 1; cut <= 3; cut++) {
		message.header.nlmsg_len--;
		assert_int_equal(local_routes_parse(&message.header, &route), 0);
		assert_int_equal(route.interfaces[0], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_local_route_is_read),
		cmocka_unit_test(a24_broadcast_and_multicast_are_not_local),
		cmocka_unit_test(what_is_no_route_is_refused),
		cmocka_unit_test(a_short_address_is_not_read),
		cmocka_unit_test(a_cut_attribute_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
