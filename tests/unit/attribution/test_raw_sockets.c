/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "attribution/raw_sockets.h"
#include "support/temporary.h"

/* As the kernel prints them on a little-endian host. */
#define HEADING                                                                                    \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "      \
	"timeout inode ref pointer drops\n"
#define LINE(local, remote, uid, inode)                                                            \
	"    1: " local " " remote " 07 00000000:00000000 00:00000000 00000000  " uid              \
	"        0 " inode " 2 0000000000000000 0\n"

static struct ip_address address(const char *text)
{
	struct ip_address result;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &result), 0);
	return result;
}

static struct socket_tuple echo(const char *remote, uint16_t id)
{
	return (struct socket_tuple){.local = address("10.0.0.1"),
				     .remote = address(remote),
				     .echo_id = id,
				     .family = IP_FAMILY_V4,
				     .protocol = IPPROTO_ICMP};
}

static int find_with_icmp6(const char *icmp, const char *icmp6, const char *raw,
			   const struct socket_tuple *tuple, struct raw_socket *ret)
{
	char *directory = temporary_make();
	int fd, r;

	if (icmp6)
		temporary_write(directory, "net/icmp6", icmp6);

	if (icmp)
		temporary_write(directory, "net/icmp", icmp);
	if (raw)
		temporary_write(directory, "net/raw", raw);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = raw_sockets_find(fd, tuple, ret);
	close(fd);
	temporary_remove(directory);
	return r;
}

static int find(const char *icmp, const char *raw, const struct socket_tuple *tuple,
		struct raw_socket *ret)
{
	return find_with_icmp6(icmp, NULL, raw, tuple, ret);
}

static void a_line_is_read(void **state)
{
	const char *line = LINE("0100000A:0C1F", "0200000A:0000", "1000", "4711");
	const char *v6 = LINE("0000000000000000FFFF00000100007F:003A",
			      "00000000000000000000000001000000:0000", "0", "9");
	struct ip_address local = address("10.0.0.1"), remote = address("10.0.0.2");
	struct ip_address one = address("::1");
	struct raw_socket socket;

	(void)state;
	assert_int_equal(raw_sockets_parse_line(text_from(line), IP_FAMILY_V4, &socket), 0);
	assert_true(ip_address_equal(&socket.local, &local));
	assert_true(ip_address_equal(&socket.remote, &remote));
	assert_int_equal(socket.number, 0x0c1f);
	assert_int_equal(socket.uid, 1000);
	assert_int_equal(socket.inode, 4711);
	assert_int_equal(raw_sockets_parse_line(text_from(v6), IP_FAMILY_V6, &socket), 0);
	assert_true(ip_address_equal(&socket.remote, &one));
	assert_int_equal(socket.number, 58);
}

static void other_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		HEADING,
		"",
		"   1: 0100000A:0C1F",
		LINE("0100000A:0C1", "0200000A:0000", "1000", "4711"),
		LINE("0100000G:0C1F", "0200000A:0000", "1000", "4711"),
		LINE("0100000A:0C1F", "0200000A:0000", "x", "4711"),
		LINE("0100000A:0C1F", "0200000A:0000", "1000", "4x"),
	};
	struct raw_socket socket;
	char huge[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (raw_sockets_parse_line(text_from(lines[i]), IP_FAMILY_V4, &socket) != -EBADMSG)
			fail_msg("line %zu was taken: %s", i, lines[i]);
	memset(huge, ' ', sizeof(huge));
	assert_int_equal(
		raw_sockets_parse_line((struct text){huge, sizeof(huge)}, IP_FAMILY_V4, &socket),
		-EBADMSG);
}

static void a27_the_ping_socket_with_the_identifier(void **state)
{
	const char *icmp = HEADING LINE("00000000:0007", "00000000:0000", "1000", "1")
		LINE("00000000:0008", "00000000:0000", "1001", "2")
			LINE("0900000A:0009", "00000000:0000", "1001", "3");
	const char *raw = HEADING LINE("00000000:0001", "00000000:0000", "0", "4");
	struct socket_tuple tuple = echo("10.0.0.2", 8);
	struct raw_socket socket;

	(void)state;
	assert_int_equal(find(icmp, raw, &tuple, &socket), RAW_SOCKETS_ONE);
	assert_int_equal(socket.inode, 2);
	assert_true(socket.is_ping);
	/* Bound to another address of ours: not it, so the raw socket may be. */
	tuple.echo_id = 9;
	assert_int_equal(find(icmp, raw, &tuple, &socket), RAW_SOCKETS_ONE);
	assert_int_equal(socket.inode, 4);
	assert_false(socket.is_ping);
	assert_int_equal(find(icmp, HEADING, &tuple, &socket), RAW_SOCKETS_NONE);
	assert_int_equal(find(NULL, NULL, &tuple, &socket), RAW_SOCKETS_NONE);
}

static void a26_several_raw_sockets_are_ambiguous(void **state)
{
	const char *two = HEADING LINE("00000000:0001", "00000000:0000", "0", "1")
		LINE("00000000:0001", "00000000:0000", "0", "2")
			LINE("00000000:0011", "00000000:0000", "0", "3");
	const char *connected = HEADING LINE("00000000:0001", "00000000:0000", "0", "1")
		LINE("00000000:0001", "0200000A:0000", "0", "2")
			LINE("00000000:0001", "0300000A:0000", "0", "3");
	const char *any = HEADING LINE("00000000:00FF", "00000000:0000", "0", "5");
	struct socket_tuple tuple = echo("10.0.0.2", 8);
	struct raw_socket socket;

	(void)state;
	assert_int_equal(find(NULL, two, &tuple, &socket), RAW_SOCKETS_SEVERAL);
	assert_int_equal(find(NULL, connected, &tuple, &socket), RAW_SOCKETS_ONE);
	assert_int_equal(socket.inode, 2);
	assert_int_equal(find(NULL, any, &tuple, &socket), RAW_SOCKETS_ONE);
	assert_int_equal(socket.inode, 5);
}

#define ANY6 "00000000000000000000000000000000"

/* The kernel lists sockets of one family in the other's file. */
static void a_ping_socket_in_both_files_may_be_of_either_family(void **state)
{
	const char *icmp = HEADING LINE("00000000:0008", "00000000:0000", "0", "2");
	const char *icmp6 = HEADING LINE(ANY6 ":0048", ANY6 ":0000", "0", "1")
		LINE(ANY6 ":0008", ANY6 ":0000", "0", "2");
	struct socket_tuple v4 = echo("10.0.0.2", 8), v6 = {.local = address("fd00::1"),
							    .remote = address("fd00::2"),
							    .echo_id = 8,
							    .family = IP_FAMILY_V6,
							    .protocol = IPPROTO_ICMPV6};
	struct raw_socket socket;

	(void)state;
	assert_int_equal(find_with_icmp6(icmp, icmp6, NULL, &v6, &socket), RAW_SOCKETS_SEVERAL);
	assert_int_equal(find_with_icmp6(icmp, icmp6, NULL, &v4, &socket), RAW_SOCKETS_SEVERAL);
	v6.echo_id = 0x48;
	assert_int_equal(find_with_icmp6(icmp, icmp6, NULL, &v6, &socket), RAW_SOCKETS_ONE);
	assert_int_equal(socket.inode, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_read),
		cmocka_unit_test(other_lines_are_refused),
		cmocka_unit_test(a27_the_ping_socket_with_the_identifier),
		cmocka_unit_test(a_ping_socket_in_both_files_may_be_of_either_family),
		cmocka_unit_test(a26_several_raw_sockets_are_ambiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
