/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What happens when events come faster than they are read (net/netlink/af_netlink.c,
 * netlink_overrun()). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "netlink/channel.h"
#include "sources/conntrack_filter.h"
#include "support/conntrack_entry.h"
#include "support/network_namespace.h"

DEFINE_CLEANUP(struct netlink_channel *, netlink_channel_close);
#define cleanup_channel cleanup(netlink_channel_close_cleanup)

enum { SMALL_BUFFER = 8192, MANY = 2000 };

static int set_up(void **state unused)
{
	return network_namespace_enter();
}

static struct netlink_channel *open_events(size_t receive_buffer)
{
	struct netlink_channel *channel = NULL;

	assert_int_equal(netlink_channel_open(NETLINK_NETFILTER, &channel), 0);
	assert_true(netlink_channel_set_receive_buffer(channel, receive_buffer) > 0);
	assert_int_equal(netlink_channel_join(channel, NFNLGRP_CONNTRACK_NEW), 0);
	return channel;
}

static void make_entries(uint32_t first, uint32_t count)
{
	cleanup_channel struct netlink_channel *channel = NULL;
	char buffer[CONNTRACK_ENTRY_SIZE];

	assert_int_equal(netlink_channel_open(NETLINK_NETFILTER, &channel), 0);
	for (uint32_t i = 0; i < count; i++) {
		struct conntrack_entry entry = {.number = first + i,
						.timeout_s = 60,
						.family = AF_INET,
						.protocol = IPPROTO_UDP};
		struct nlmsghdr *message = conntrack_entry_put_create(buffer, &entry);

		message->nlmsg_flags |= NLM_F_ACK;
		assert_int_equal(netlink_channel_request(channel, message, NULL, NULL), 0);
	}
}

static int count_message(const struct nlmsghdr *message unused, void *userdata)
{
	(*(unsigned *)userdata)++;
	return 0;
}

static long read_system_value(const char *path)
{
	cleanup_file FILE *file = fopen(path, "re");
	long value = -1;

	if (file && fscanf(file, "%ld", &value) != 1)
		value = -1;
	return value;
}

/* Debian's kernels up to 6.12 show net.core.rmem_max to the initial namespace alone: it is read
 * before the test enters its own. */
static void k5_forced_receive_buffer_exceeds_rmem_max(void **state)
{
	long most = *(const long *)*state;
	cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int asked = (int)most * 4, got = 0;
	socklen_t length = sizeof(got);

	assert_true(most > 0);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &asked, sizeof(asked)), errno);
	assert_return_code(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &length), errno);
	assert_int_equal(got, most * 2);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &asked, sizeof(asked)),
			   errno);
	assert_return_code(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &length), errno);
	assert_int_equal(got, asked * 2);
}

/* ENOBUFS comes before what is still in the buffer, once for any number of lost events. */
static void a49_enobufs_comes_once_and_reading_goes_on(void **state unused)
{
	cleanup_channel struct netlink_channel *events = open_events(SMALL_BUFFER);
	unsigned before = 0, after = 0;

	make_entries(0, MANY);
	assert_int_equal(netlink_channel_receive(events, MANY, count_message, &before), -ENOBUFS);
	assert_int_equal(before, 0);
	assert_int_equal(netlink_channel_receive(events, MANY, count_message, &before),
			 NETLINK_DRAINED);
	assert_in_range(before, 1, MANY - 1);
	make_entries(MANY, 3);
	assert_int_equal(netlink_channel_receive(events, MANY, count_message, &after),
			 NETLINK_DRAINED);
	assert_int_equal(after, 3);
}

/* Once it has overrun, the socket takes no event until its queue was read empty
 * (NETLINK_S_CONGESTED), though there is room, and what is lost meanwhile is not reported a second
 * time: a listing that shall make up for the loss must begin after the queue was read empty. */
static void losses_until_the_queue_is_empty_are_not_reported_again(void **state unused)
{
	cleanup_channel struct netlink_channel *events = open_events(SMALL_BUFFER);
	cleanup_channel struct netlink_channel *twin = open_events(SMALL_BUFFER);
	unsigned kept = 0, seen = 0, later = 0;

	make_entries(0, MANY);
	assert_int_equal(netlink_channel_receive(twin, MANY, count_message, &kept), -ENOBUFS);
	assert_int_equal(netlink_channel_receive(twin, MANY, count_message, &kept),
			 NETLINK_DRAINED);
	assert_int_equal(netlink_channel_receive(events, MANY, count_message, &seen), -ENOBUFS);
	assert_int_equal(netlink_channel_receive(events, kept / 2, count_message, &seen),
			 NETLINK_MORE);
	make_entries(MANY, 1);
	assert_int_equal(netlink_channel_receive(events, MANY, count_message, &seen),
			 NETLINK_DRAINED);
	assert_int_equal(seen, kept);
	make_entries(MANY + 1, 1);
	assert_int_equal(netlink_channel_receive(events, MANY, count_message, &later),
			 NETLINK_DRAINED);
	assert_int_equal(later, 1);
}

/* Without NLM_F_EXCL an entry that is there is changed: an UPDATE event. */
static void change_entry(struct netlink_channel *channel, uint32_t mark)
{
	struct conntrack_entry entry = {
		.timeout_s = 60, .family = AF_INET, .protocol = IPPROTO_UDP};
	char buffer[CONNTRACK_ENTRY_SIZE];
	struct nlmsghdr *message = conntrack_entry_put_create(buffer, &entry);

	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	mnl_attr_put_u32(message, CTA_MARK, htonl(mark));
	assert_int_equal(netlink_channel_request(channel, message, NULL, NULL), 0);
}

/* What the socket filter stops takes no room: a reader that wants none of it never overruns. */
static void filtered_events_do_not_overrun(void **state unused)
{
	cleanup_channel struct netlink_channel *filtered = NULL, *all = NULL, *channel = NULL;
	unsigned seen = 0;

	all = open_events(SMALL_BUFFER);
	filtered = open_events(SMALL_BUFFER);
	assert_int_equal(netlink_channel_open(NETLINK_NETFILTER, &channel), 0);
	make_entries(0, 1);
	netlink_channel_receive(filtered, 1, NULL, NULL);
	assert_int_equal(conntrack_filter_attach(netlink_channel_get_fd(filtered)), 0);
	assert_int_equal(netlink_channel_join(filtered, NFNLGRP_CONNTRACK_UPDATE), 0);
	assert_int_equal(netlink_channel_join(all, NFNLGRP_CONNTRACK_UPDATE), 0);
	for (uint32_t i = 1; i <= MANY; i++)
		change_entry(channel, i);
	assert_int_equal(netlink_channel_receive(all, MANY, NULL, NULL), -ENOBUFS);
	assert_int_equal(netlink_channel_receive(filtered, MANY, count_message, &seen),
			 NETLINK_DRAINED);
	assert_int_equal(seen, 0);
}

int main(void)
{
	long rmem_max = read_system_value("/proc/sys/net/core/rmem_max");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(k5_forced_receive_buffer_exceeds_rmem_max, &rmem_max),
		cmocka_unit_test_setup(a49_enobufs_comes_once_and_reading_goes_on, set_up),
		cmocka_unit_test_setup(losses_until_the_queue_is_empty_are_not_reported_again,
				       set_up),
		cmocka_unit_test_setup(filtered_events_do_not_overrun, set_up),
	};

	if (network_namespace_enter() < 0) {
		puts("skipped: needs CAP_SYS_ADMIN for a network namespace");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
