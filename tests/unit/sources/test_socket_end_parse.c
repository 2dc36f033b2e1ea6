/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/socket_end_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libmnl/libmnl.h>

#include "base/macros.h"

/* Longer than today's: a later kernel's. */
enum { LONG_INFO = 400, MESSAGE_SIZE = 1024 };

struct message {
	uint8_t bytes[MESSAGE_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static struct nlmsghdr *begin(struct message *message, uint8_t family, const char *local,
			      const char *remote)
{
	struct nlmsghdr *header;
	struct inet_diag_msg *socket;

	memset(message, 0, sizeof(*message));
	header = mnl_nlmsg_put_header(message->bytes);
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	socket = mnl_nlmsg_put_extra_header(header, sizeof(*socket));
	socket->idiag_family = family;
	socket->idiag_state = 7;
	socket->id.idiag_sport = htons(40000);
	socket->id.idiag_dport = htons(443);
	assert_int_equal(inet_pton(family, local, socket->id.idiag_src), 1);
	assert_int_equal(inet_pton(family, remote, socket->id.idiag_dst), 1);
	mnl_attr_put_u8(header, INET_DIAG_PROTOCOL, IPPROTO_TCP);
	return header;
}

static struct inet_diag_msg *socket_of(struct nlmsghdr *header)
{
	return mnl_nlmsg_get_payload(header);
}

static void put_info(struct nlmsghdr *header, size_t length)
{
	uint8_t bytes[LONG_INFO] = {0};
	struct tcp_info info = {.tcpi_total_retrans = 5,
				.tcpi_rtt = 1234,
				.tcpi_min_rtt = 1000,
				.tcpi_bytes_acked = 5002,
				.tcpi_bytes_sent = 5300,
				.tcpi_bytes_retrans = 300};

	memcpy(bytes, &info, sizeof(info) < length ? sizeof(info) : length);
	mnl_attr_put(header, INET_DIAG_INFO, length, bytes);
}

static void all_is_read(unused void **state)
{
	struct message message;
	struct nlmsghdr *header = begin(&message, AF_INET, "10.0.0.1", "10.0.0.2");
	struct socket_end_event event;

	put_info(header, LONG_INFO);
	assert_int_equal(socket_end_parse(header, &event), SOCKET_END_PARSED);
	assert_int_equal(event.socket.family, IP_FAMILY_V4);
	assert_int_equal(event.socket.protocol, IPPROTO_TCP);
	assert_int_equal(event.socket.local_port, 40000);
	assert_int_equal(event.socket.remote_port, 443);
	assert_memory_equal(event.socket.local.bytes, "\x0a\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(event.socket.remote.bytes, "\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_true(event.quality.has_counters);
	assert_int_equal(event.quality.retransmissions, 5);
	assert_int_equal(event.quality.rtt_us, 1234);
	assert_int_equal(event.quality.min_rtt_us, 1000);
	assert_int_equal(event.quality.acked_bytes, 5002);
	assert_int_equal(event.quality.data_bytes, 5000);
}

static void mapped_addresses_are_ipv4(unused void **state)
{
	struct message message;
	struct nlmsghdr *header = begin(&message, AF_INET6, "::ffff:10.0.0.1", "::ffff:10.0.0.2");
	struct socket_end_event event;

	put_info(header, LONG_INFO);
	assert_int_equal(socket_end_parse(header, &event), SOCKET_END_PARSED);
	assert_int_equal(event.socket.family, IP_FAMILY_V4);
	assert_memory_equal(event.socket.remote.bytes, "\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	header = begin(&message, AF_INET6, "2001:db8::1", "2001:db8::2");
	put_info(header, LONG_INFO);
	assert_int_equal(socket_end_parse(header, &event), SOCKET_END_PARSED);
	assert_int_equal(event.socket.family, IP_FAMILY_V6);
	assert_int_equal(event.socket.remote.bytes[15], 2);
}

/* Every length that tcp_info ever had, and those it never had: known is what lies within. */
static void a_short_info_tells_what_it_holds(unused void **state)
{
	for (size_t length = 0; length <= LONG_INFO; length++) {
		struct message message;
		struct nlmsghdr *header = begin(&message, AF_INET, "10.0.0.1", "10.0.0.2");
		struct socket_end_event event;

		put_info(header, length);
		assert_int_equal(socket_end_parse(header, &event), SOCKET_END_PARSED);
		assert_int_equal(event.quality.rtt_us, length >= 72 ? 1234 : 0);
		assert_int_equal(event.quality.min_rtt_us, length >= 152 ? 1000 : 0);
		assert_int_equal(event.quality.has_counters, length >= 216);
	}
}

static void no_sample_is_no_round_trip_time(unused void **state)
{
	struct message message;
	struct nlmsghdr *header = begin(&message, AF_INET, "10.0.0.1", "10.0.0.2");
	struct tcp_info info = {
		.tcpi_min_rtt = UINT32_MAX, .tcpi_bytes_sent = 1, .tcpi_bytes_retrans = 2};
	struct socket_end_event event;

	mnl_attr_put(header, INET_DIAG_INFO, sizeof(info), &info);
	assert_int_equal(socket_end_parse(header, &event), SOCKET_END_PARSED);
	assert_int_equal(event.quality.min_rtt_us, 0);
	assert_int_equal(event.quality.rtt_us, 0);
	assert_false(event.quality.has_counters);
}

static void others_are_told_apart(unused void **state)
{
	struct message message;
	struct nlmsghdr *header = begin(&message, AF_INET, "10.0.0.1", "10.0.0.2");
	struct socket_end_event event;

	assert_int_equal(socket_end_parse(header, &event), SOCKET_END_E_UNTOLD);
	put_info(header, LONG_INFO);
	socket_of(header)->id.idiag_dport = 0;
	assert_int_equal(socket_end_parse(header, &event), SOCKET_END_E_UNCONNECTED);
	header = begin(&message, AF_INET, "10.0.0.1", "10.0.0.2");
	mnl_attr_put_u8(header, INET_DIAG_PROTOCOL, IPPROTO_UDP);
	put_info(header, LONG_INFO);
	assert_int_equal(socket_end_parse(header, &event), SOCKET_END_E_UNTOLD);
}

static void malformed_messages_are_refused(unused void **state)
{
	struct message message;
	struct nlmsghdr *header = begin(&message, AF_INET, "10.0.0.1", "10.0.0.2");
	struct socket_end_event event;

	put_info(header, LONG_INFO);
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY + 1;
	assert_int_equal(socket_end_parse(header, &event), -EBADMSG);
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	socket_of(header)->idiag_family = AF_UNIX;
	assert_int_equal(socket_end_parse(header, &event), -EBADMSG);
	socket_of(header)->idiag_family = AF_INET;
	header->nlmsg_len = NLMSG_LENGTH(sizeof(struct inet_diag_msg)) - 1;
	assert_int_equal(socket_end_parse(header, &event), -EBADMSG);
}

/* Cut anywhere and with any byte changed: no read behind its end (under a sanitiser), and no more than
 * the outcomes that are named. */
static void cut_and_changed_messages_are_survived(unused void **state)
{
	struct message whole;
	struct nlmsghdr *header = begin(&whole, AF_INET6, "2001:db8::1", "2001:db8::2");
	unsigned seed = 5;
	size_t length;

	put_info(header, 280);
	length = header->nlmsg_len;
	for (unsigned round = 0; round < 20000; round++) {
		size_t cut = NLMSG_HDRLEN + (size_t)rand_r(&seed) % (length - NLMSG_HDRLEN + 1);
		struct nlmsghdr *copy = malloc(cut);
		struct socket_end_event event;
		int r;

		memcpy(copy, whole.bytes, cut);
		for (int i = rand_r(&seed) % 3; i > 0; i--)
			((uint8_t *)copy)[(size_t)rand_r(&seed) % cut] = (uint8_t)rand_r(&seed);
		copy->nlmsg_len = (uint32_t)cut;
		r = socket_end_parse(copy, &event);
		assert_true(r == -EBADMSG || (r >= 0 && r <= SOCKET_END_E_UNTOLD));
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_read),
		cmocka_unit_test(mapped_addresses_are_ipv4),
		cmocka_unit_test(a_short_info_tells_what_it_holds),
		cmocka_unit_test(no_sample_is_no_round_trip_time),
		cmocka_unit_test(others_are_told_apart),
		cmocka_unit_test(malformed_messages_are_refused),
		cmocka_unit_test(cut_and_changed_messages_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
