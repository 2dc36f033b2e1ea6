/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/conntrack_timeouts.h"

#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/cleanup.h"

static void test_find(unused void **state)
{
	struct conntrack_timeouts timeouts = {0};

	timeouts.ns[CONNTRACK_TIMEOUT_UDP] = 1;
	timeouts.ns[CONNTRACK_TIMEOUT_UDP_STREAM] = 2;
	timeouts.ns[CONNTRACK_TIMEOUT_TCP_LAST_ACK] = 3;
	timeouts.ns[CONNTRACK_TIMEOUT_GENERIC] = 4;
	assert_int_equal(conntrack_timeouts_find(&timeouts, IPPROTO_UDP, 0, false), 1);
	assert_int_equal(conntrack_timeouts_find(&timeouts, IPPROTO_UDP, 0, true), 2);
	assert_int_equal(
		conntrack_timeouts_find(&timeouts, IPPROTO_TCP, TCP_CONNTRACK_LAST_ACK, true), 3);
	assert_int_equal(conntrack_timeouts_find(&timeouts, 253, 0, true), 4);
	/* States that an entry does not tell, or that do not exist. */
	assert_int_equal(conntrack_timeouts_find(&timeouts, IPPROTO_TCP, TCP_CONNTRACK_NONE, true),
			 0);
	assert_int_equal(conntrack_timeouts_find(&timeouts, IPPROTO_TCP, 200, true), 0);
	assert_int_equal(conntrack_timeouts_find(&timeouts, IPPROTO_SCTP, 0, true), 0);
}

static void test_shorter_ones_of_tcp(unused void **state)
{
	struct conntrack_timeouts timeouts = {0};

	assert_false(conntrack_timeouts_may_be_shorter(&timeouts, IPPROTO_TCP, 9, 1));
	timeouts.ns[CONNTRACK_TIMEOUT_TCP_RETRANSMITTED] = 5;
	timeouts.ns[CONNTRACK_TIMEOUT_TCP_UNACKNOWLEDGED] = 7;
	assert_true(conntrack_timeouts_may_be_shorter(&timeouts, IPPROTO_TCP, 9, 7));
	assert_true(conntrack_timeouts_may_be_shorter(&timeouts, IPPROTO_TCP, 7, 5));
	assert_false(conntrack_timeouts_may_be_shorter(&timeouts, IPPROTO_TCP, 9, 8));
	assert_false(conntrack_timeouts_may_be_shorter(&timeouts, IPPROTO_TCP, 7, 6));
	assert_false(conntrack_timeouts_may_be_shorter(&timeouts, IPPROTO_TCP, 5, 1));
	assert_false(conntrack_timeouts_may_be_shorter(&timeouts, IPPROTO_UDP, 9, 1));
}

static void test_read(unused void **state)
{
	char path[] = "/tmp/procflow-timeouts-XXXXXX";
	struct conntrack_timeouts timeouts;
	cleanup_close int directory = -1, file = -1;

	assert_non_null(mkdtemp(path));
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	file = openat(directory, "nf_conntrack_udp_timeout", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(file, "17\n", 3), 3);
	conntrack_timeouts_read(&timeouts, directory);
	assert_int_equal(timeouts.ns[CONNTRACK_TIMEOUT_UDP], 17 * NS_PER_SEC);
	assert_int_equal(timeouts.ns[CONNTRACK_TIMEOUT_ICMP], 0);
	assert_int_equal(unlinkat(directory, "nf_conntrack_udp_timeout", 0), 0);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_find),
					   cmocka_unit_test(test_shorter_ones_of_tcp),
					   cmocka_unit_test(test_read)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
