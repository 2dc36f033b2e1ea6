/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "attribution/port_sockets.h"
#include "base/macros.h"

static struct ip_address address(const char *text)
{
	struct ip_address result;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &result), 0);
	return result;
}

static struct sock_diag_socket bound(const char *local, uint64_t inode)
{
	return (struct sock_diag_socket){.inode = inode,
					 .local = address(local),
					 .local_port = 53,
					 .family = strchr(local, ':') ? IP_FAMILY_V6 : IP_FAMILY_V4,
					 .takes_v4 = true};
}

static const struct socket_tuple *tuple(void)
{
	static struct socket_tuple result;

	result = (struct socket_tuple){.local = address("10.0.0.1"),
				       .remote = address("10.0.0.2"),
				       .local_port = 53,
				       .remote_port = 4000,
				       .family = IP_FAMILY_V4,
				       .protocol = IPPROTO_UDP};
	return &result;
}

static void a16_a_bound_address_goes_first_in_any_order(void **state)
{
	const struct sock_diag_socket sockets[] = {bound("0.0.0.0", 1), bound("10.0.0.1", 2),
						   bound("10.0.0.9", 3), bound("::", 4)};
	const struct sock_diag_socket reversed[] = {sockets[3], sockets[2], sockets[1], sockets[0]};
	const struct sock_diag_socket *found[4];

	(void)state;
	assert_int_equal(port_sockets_select(sockets, 4, tuple(), found), 1);
	assert_int_equal(found[0]->inode, 2);
	assert_int_equal(port_sockets_select(reversed, 4, tuple(), found), 1);
	assert_int_equal(found[0]->inode, 2);
}

static void a25_equals_are_all_told(void **state)
{
	const struct sock_diag_socket sockets[] = {bound("0.0.0.0", 1), bound("::", 2),
						   bound("10.0.0.9", 3)};
	const struct sock_diag_socket *found[3];

	(void)state;
	assert_int_equal(port_sockets_select(sockets, 3, tuple(), found), 2);
	assert_int_equal(found[0]->inode, 1);
	assert_int_equal(found[1]->inode, 2);
	assert_int_equal(port_sockets_select(sockets, 0, tuple(), found), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a16_a_bound_address_goes_first_in_any_order),
		cmocka_unit_test(a25_equals_are_all_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
