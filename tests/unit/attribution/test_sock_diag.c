/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "attribution/sock_diag.h"

static struct ip_address address(const char *text)
{
	struct ip_address result;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &result), 0);
	return result;
}

static struct socket_tuple tuple(uint8_t protocol, const char *local, uint16_t local_port,
				 const char *remote, uint16_t remote_port)
{
	struct socket_tuple result = {.local = address(local),
				      .remote = address(remote),
				      .local_port = local_port,
				      .remote_port = remote_port,
				      .protocol = protocol};

	result.family = strchr(local, ':') ? IP_FAMILY_V6 : IP_FAMILY_V4;
	return result;
}

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

static struct request encode(const struct socket_tuple *tuple, uint32_t interface)
{
	union {
		uint8_t bytes[SOCK_DIAG_REQUEST_SIZE];
		struct request request;
	} out;

	_Static_assert(sizeof(out.request) == SOCK_DIAG_REQUEST_SIZE, "one header, one body");
	sock_diag_encode_find(tuple, interface, out.bytes);
	return out.request;
}

static void tcp_is_asked_in_the_sockets_orientation(void **state)
{
	struct socket_tuple question = tuple(IPPROTO_TCP, "10.0.0.1", 1000, "10.0.0.2", 2000);
	struct request request = encode(&question, 7);

	(void)state;
	assert_int_equal(request.header.nlmsg_len, SOCK_DIAG_REQUEST_SIZE);
	assert_int_equal(request.header.nlmsg_type, SOCK_DIAG_BY_FAMILY);
	assert_int_equal(request.body.sdiag_family, AF_INET);
	assert_int_equal(request.body.sdiag_protocol, IPPROTO_TCP);
	assert_int_equal(ntohs(request.body.id.idiag_sport), 1000);
	assert_int_equal(ntohs(request.body.id.idiag_dport), 2000);
	assert_memory_equal(request.body.id.idiag_src, "\x0a\0\0\x01", 4);
	assert_memory_equal(request.body.id.idiag_dst, "\x0a\0\0\x02", 4);
	assert_int_equal(request.body.id.idiag_if, 7);
	assert_int_equal(request.body.id.idiag_cookie[0], INET_DIAG_NOCOOKIE);
}

static void udp_is_asked_the_other_way_round(void **state)
{
	struct socket_tuple question = tuple(IPPROTO_UDP, "fd00::1", 1000, "fd00::2", 2000);
	struct request request = encode(&question, 0);

	(void)state;
	assert_int_equal(request.body.sdiag_family, AF_INET6);
	assert_int_equal(ntohs(request.body.id.idiag_sport), 2000);
	assert_int_equal(ntohs(request.body.id.idiag_dport), 1000);
	assert_memory_equal(request.body.id.idiag_src, question.remote.bytes, 16);
	assert_memory_equal(request.body.id.idiag_dst, question.local.bytes, 16);
}

struct answer {
	struct nlmsghdr header;
	struct inet_diag_msg body;
	uint8_t attributes[64];
};

static struct answer make_answer(uint8_t family, const char *local, const char *remote)
{
	struct answer answer = {.header = {.nlmsg_len = NLMSG_HDRLEN + sizeof(answer.body),
					   .nlmsg_type = SOCK_DIAG_BY_FAMILY},
				.body = {.idiag_family = family,
					 .idiag_state = SOCK_DIAG_ESTABLISHED,
					 .id = {.idiag_sport = htons(80),
						.idiag_dport = htons(4000),
						.idiag_if = 3,
						.idiag_cookie = {0x11, 0x22}},
					 .idiag_uid = 1000,
					 .idiag_inode = 4711}};
	struct ip_address a = address(local), b = address(remote);

	memcpy(answer.body.id.idiag_src, a.bytes, 16);
	memcpy(answer.body.id.idiag_dst, b.bytes, 16);
	return answer;
}

static void an_answer_is_read(void **state)
{
	struct answer answer = make_answer(AF_INET, "10.0.0.1", "10.0.0.2");
	uint64_t cgroup = 0x123456789;
	struct ip_address local = address("10.0.0.1"), remote = address("10.0.0.2");
	struct sock_diag_socket socket;

	(void)state;
	mnl_attr_put(&answer.header, INET_DIAG_CGROUP_ID, sizeof(cgroup), &cgroup);
	assert_int_equal(sock_diag_parse(&answer.header, &socket), 0);
	assert_int_equal(socket.inode, 4711);
	assert_int_equal(socket.cookie, 0x2200000011);
	assert_int_equal(socket.cgroup_id, 0x123456789);
	assert_int_equal(socket.family, IP_FAMILY_V4);
	assert_true(ip_address_equal(&socket.local, &local));
	assert_true(ip_address_equal(&socket.remote, &remote));
	assert_int_equal(socket.local_port, 80);
	assert_int_equal(socket.remote_port, 4000);
	assert_int_equal(socket.state, SOCK_DIAG_ESTABLISHED);
	assert_int_equal(socket.interface, 3);
	assert_true(socket.has_uid);
	assert_int_equal(socket.uid, 1000);
}

static void a21_mapped_addresses_are_ipv4(void **state)
{
	struct answer answer = make_answer(AF_INET6, "::ffff:10.0.0.1", "::ffff:10.0.0.2");
	struct ip_address local = address("10.0.0.1"), remote = address("10.0.0.2");
	struct sock_diag_socket socket;

	(void)state;
	assert_int_equal(sock_diag_parse(&answer.header, &socket), 0);
	assert_int_equal(socket.family, IP_FAMILY_V4);
	assert_true(ip_address_equal(&socket.local, &local));
	assert_true(ip_address_equal(&socket.remote, &remote));
}

static void a04_the_uid_of_a_socket_without_a_process_is_unknown(void **state)
{
	struct answer answer = make_answer(AF_INET, "10.0.0.1", "10.0.0.2");
	struct sock_diag_socket socket;

	(void)state;
	answer.body.idiag_inode = 0;
	answer.body.idiag_uid = 0;
	assert_int_equal(sock_diag_parse(&answer.header, &socket), 0);
	assert_false(socket.has_uid);
	/* Root's own, with a process, is known. */
	answer.body.idiag_inode = 1;
	assert_int_equal(sock_diag_parse(&answer.header, &socket), 0);
	assert_true(socket.has_uid);
}

static void what_is_no_answer_is_refused(void **state)
{
	struct answer answer = make_answer(AF_INET, "10.0.0.1", "10.0.0.2");
	struct sock_diag_socket socket;

	(void)state;
	answer.header.nlmsg_len -= 1;
	assert_int_equal(sock_diag_parse(&answer.header, &socket), -EBADMSG);
	answer = make_answer(AF_UNIX, "10.0.0.1", "10.0.0.2");
	assert_int_equal(sock_diag_parse(&answer.header, &socket), -EBADMSG);
	answer = make_answer(AF_INET, "10.0.0.1", "10.0.0.2");
	answer.header.nlmsg_type = NLMSG_ERROR;
	assert_int_equal(sock_diag_parse(&answer.header, &socket), -EBADMSG);
}

/* Its end is that of the message to the byte: behind it stands somebody else's. */
static void a_cut_attribute_is_not_read(void **state)
{
	struct answer answer = make_answer(AF_INET, "10.0.0.1", "10.0.0.2");
	uint64_t cgroup = 0x123456789;
	struct sock_diag_socket socket;

	(void)state;
	mnl_attr_put(&answer.header, INET_DIAG_CGROUP_ID, sizeof(cgroup), &cgroup);
	for (int cut = 1; cut <= 3; cut++) {
		answer.header.nlmsg_len--;
		assert_int_equal(sock_diag_parse(&answer.header, &socket), 0);
		assert_int_equal(socket.cgroup_id, 0);
	}
}

static struct sock_diag_socket socket_at(const char *local, uint16_t local_port, const char *remote,
					 uint16_t remote_port)
{
	return (struct sock_diag_socket){.local = address(local),
					 .remote = address(remote),
					 .local_port = local_port,
					 .remote_port = remote_port,
					 .family = strchr(local, ':') ? IP_FAMILY_V6 : IP_FAMILY_V4,
					 .takes_v4 = true};
}

static void only_a_socket_of_the_tuple_fits(void **state)
{
	struct socket_tuple v4 = tuple(IPPROTO_UDP, "10.0.0.1", 53, "10.0.0.2", 4000);
	struct socket_tuple v6 = tuple(IPPROTO_UDP, "fd00::1", 53, "fd00::2", 4000);
	struct sock_diag_socket any6 = socket_at("::", 53, "::", 0);
	struct {
		struct sock_diag_socket socket;
		bool fits_v4, fits_v6;
	} cases[] = {
		{socket_at("10.0.0.1", 53, "10.0.0.2", 4000), true, false},
		{socket_at("10.0.0.1", 53, "0.0.0.0", 0), true, false},
		{socket_at("0.0.0.0", 53, "0.0.0.0", 0), true, false},
		{socket_at("0.0.0.0", 54, "0.0.0.0", 0), false, false},
		{socket_at("10.0.0.2", 53, "0.0.0.0", 0), false, false},
		{socket_at("10.0.0.1", 53, "10.0.0.3", 4000), false, false},
		{socket_at("10.0.0.1", 53, "10.0.0.2", 4001), false, false},
		{socket_at("10.0.0.2", 4000, "10.0.0.1", 53), false, false}, /* the peer's */
		{any6, true, true},
		{socket_at("fd00::1", 53, "::", 0), false, true},
		{socket_at("fd00::1", 53, "fd00::2", 4000), false, true},
		{socket_at("fd00::3", 53, "::", 0), false, false},
		/* Connected: 0.0.0.0 or :: is a wildcard only without a port. */
		{socket_at("::", 53, "::", 4001), false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool fits_v4 = sock_diag_socket_fits(&cases[i].socket, &v4);
		bool fits_v6 = sock_diag_socket_fits(&cases[i].socket, &v6);

		if (fits_v4 != cases[i].fits_v4 || fits_v6 != cases[i].fits_v6)
			fail_msg("case %zu: fits %d %d, wanted %d %d", i, fits_v4, fits_v6,
				 cases[i].fits_v4, cases[i].fits_v6);
	}
	any6.takes_v4 = false;
	assert_false(sock_diag_socket_fits(&any6, &v4));
	assert_true(sock_diag_socket_fits(&any6, &v6));
}

static void ipv6_only_is_read(void **state)
{
	struct answer answer = make_answer(AF_INET6, "::", "::");
	struct sock_diag_socket socket;
	uint8_t yes = 1;

	(void)state;
	assert_int_equal(sock_diag_parse(&answer.header, &socket), 0);
	assert_true(socket.takes_v4);
	mnl_attr_put(&answer.header, INET_DIAG_SKV6ONLY, 1, &yes);
	assert_int_equal(sock_diag_parse(&answer.header, &socket), 0);
	assert_false(socket.takes_v4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_asked_in_the_sockets_orientation),
		cmocka_unit_test(udp_is_asked_the_other_way_round),
		cmocka_unit_test(an_answer_is_read),
		cmocka_unit_test(a21_mapped_addresses_are_ipv4),
		cmocka_unit_test(a04_the_uid_of_a_socket_without_a_process_is_unknown),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(a_cut_attribute_is_not_read),
		cmocka_unit_test(only_a_socket_of_the_tuple_fits),
		cmocka_unit_test(ipv6_only_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
