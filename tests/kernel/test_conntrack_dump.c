/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a listing of the table gives, also while the table changes
 * (net/netfilter/nf_conntrack_netlink.c, ctnetlink_dump_table()). */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "netlink/channel.h"
#include "support/conntrack_entry.h"
#include "support/conntrack_recorder.h"
#include "support/network_namespace.h"

DEFINE_CLEANUP(struct netlink_channel *, netlink_channel_close);
#define cleanup_channel cleanup(netlink_channel_close_cleanup)

/* KEPT entries stay through a listing, CHANGED come and go between its datagrams. */
enum { KEPT = 20000, CHANGED = 200, ZONE = 5 };

static int set_up(void **state unused)
{
	if (network_namespace_enter() < 0 ||
	    network_namespace_set("netfilter/nf_conntrack_acct", "1") < 0)
		return -1;
	return network_namespace_set("netfilter/nf_conntrack_timestamp", "1");
}

static struct netlink_channel *open_channel(void)
{
	struct netlink_channel *channel = NULL;

	assert_int_equal(netlink_channel_open(NETLINK_NETFILTER, &channel), 0);
	return channel;
}

static void ask(struct netlink_channel *channel, struct nlmsghdr *message)
{
	message->nlmsg_flags |= NLM_F_ACK;
	assert_int_equal(netlink_channel_request(channel, message, NULL, NULL), 0);
}

static struct conntrack_entry entry_number(uint32_t number)
{
	return (struct conntrack_entry){
		.number = number, .timeout_s = 600, .family = AF_INET, .protocol = IPPROTO_UDP};
}

static void make_entries(struct netlink_channel *channel, uint32_t first, uint32_t count)
{
	char buffer[CONNTRACK_ENTRY_SIZE];

	for (uint32_t i = 0; i < count; i++) {
		struct conntrack_entry entry = entry_number(first + i);

		ask(channel, conntrack_entry_put_create(buffer, &entry));
	}
}

static void remove_entries(struct netlink_channel *channel, uint32_t first, uint32_t count)
{
	char buffer[CONNTRACK_ENTRY_SIZE];

	for (uint32_t i = 0; i < count; i++) {
		struct conntrack_entry entry = entry_number(first + i);

		ask(channel, conntrack_entry_put_delete(buffer, &entry));
	}
}

/* What a listing told of the entries 0 to KEPT, by their client ports. */
struct listed {
	unsigned times[KEPT];
};

static int on_entry(const struct nlmsghdr *message, void *userdata)
{
	struct listed *listed = userdata;
	struct nf_conntrack *entry = nfct_new();
	unsigned number;

	assert_true(nfct_nlmsg_parse(message, entry) >= 0);
	number = ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_SRC)) - CONNTRACK_ENTRY_FIRST_PORT;
	if (number < KEPT)
		listed->times[number]++;
	nfct_destroy(entry);
	return 0;
}

static struct nlmsghdr *put_dump(char *buffer)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	mnl_nlmsg_put_extra_header(request, sizeof(struct nfgenmsg));
	return request;
}

/* An entry that is there from the begin of a listing to its end is in it, whatever comes and goes
 * meanwhile; the kernel neither restarts the listing nor marks it as torn for that. */
static void entry_that_stays_is_listed_though_the_table_changes(void **state unused)
{
	cleanup_channel struct netlink_channel *listing = open_channel();
	cleanup_channel struct netlink_channel *changes = open_channel();
	cleanup_free struct listed *listed = calloc(1, sizeof(*listed));
	char buffer[256];
	unsigned twice = 0, turns = 0;
	int r;

	make_entries(changes, 0, KEPT);
	make_entries(changes, KEPT, CHANGED);
	assert_int_equal(netlink_channel_dump(listing, put_dump(buffer)), 0);
	while ((r = netlink_channel_receive(listing, 1, on_entry, listed)) == NETLINK_MORE) {
		if (turns & 1)
			make_entries(changes, KEPT, CHANGED);
		else
			remove_entries(changes, KEPT, CHANGED);
		turns++;
	}
	assert_int_equal(r, NETLINK_DONE);
	assert_true(turns > 10);
	for (size_t i = 0; i < KEPT; i++) {
		assert_true(listed->times[i] >= 1);
		twice += listed->times[i] > 1;
	}
	print_message("%u datagrams, %u entries listed twice\n", turns, twice);
}

static bool is_listed(const struct conntrack_seen *seen, const void *userdata unused)
{
	return seen->message->nlmsg_flags & NLM_F_MULTI;
}

static void listed_entry_has_counters_start_timeout_and_id(void **state unused)
{
	cleanup_channel struct netlink_channel *channel = open_channel();
	struct conntrack_recorder *recorder = conntrack_recorder_open();
	const struct conntrack_seen *seen;

	make_entries(channel, 7, 1);
	assert_int_equal(conntrack_recorder_dump(recorder), 0);
	seen = conntrack_recorder_wait(recorder, is_listed, NULL);
	assert_non_null(seen);
	assert_true(nfct_attr_is_set(seen->entry, ATTR_ORIG_COUNTER_BYTES));
	assert_true(nfct_attr_is_set(seen->entry, ATTR_REPL_COUNTER_PACKETS));
	assert_true(nfct_attr_is_set(seen->entry, ATTR_TIMESTAMP_START));
	assert_false(nfct_attr_is_set(seen->entry, ATTR_TIMESTAMP_STOP));
	assert_in_range(nfct_get_attr_u32(seen->entry, ATTR_TIMEOUT), 590, 600);
	assert_int_not_equal(nfct_get_attr_u32(seen->entry, ATTR_ID), 0);
	conntrack_recorder_close(recorder);
}

static void listing_is_of_both_families(void **state unused)
{
	cleanup_channel struct netlink_channel *channel = open_channel();
	struct conntrack_entry v6 = entry_number(8);
	struct conntrack_recorder *recorder = conntrack_recorder_open();
	char buffer[CONNTRACK_ENTRY_SIZE];
	unsigned families[2] = {0};
	size_t all;

	v6.family = AF_INET6;
	make_entries(channel, 7, 1);
	ask(channel, conntrack_entry_put_create(buffer, &v6));
	assert_int_equal(conntrack_recorder_dump(recorder), 0);
	all = conntrack_recorder_read(recorder);
	for (size_t i = 0; i < all; i++) {
		const struct conntrack_seen *seen = conntrack_recorder_get(recorder, i);

		if (is_listed(seen, NULL))
			families[nfct_get_attr_u8(seen->entry, ATTR_L3PROTO) == AF_INET6]++;
	}
	assert_int_equal(families[0], 1);
	assert_int_equal(families[1], 1);
	conntrack_recorder_close(recorder);
}

/* One tuple in two zones is two entries; the question is answered by zone. */
static void tuple_in_two_zones_is_two_entries(void **state unused)
{
	cleanup_channel struct netlink_channel *channel = open_channel();
	struct conntrack_entry zoned = entry_number(9);
	struct conntrack_recorder *recorder = conntrack_recorder_open();
	char buffer[CONNTRACK_ENTRY_SIZE];
	uint32_t ids[2] = {0};
	size_t all, found = 0;

	zoned.zone = ZONE;
	make_entries(channel, 9, 1);
	ask(channel, conntrack_entry_put_create(buffer, &zoned));
	assert_int_equal(conntrack_recorder_dump(recorder), 0);
	all = conntrack_recorder_read(recorder);
	for (size_t i = 0; i < all; i++) {
		const struct conntrack_seen *seen = conntrack_recorder_get(recorder, i);
		struct nf_conntrack *answer;

		if (!is_listed(seen, NULL))
			continue;
		answer = conntrack_recorder_query(seen->entry);
		assert_non_null(answer);
		assert_int_equal(nfct_get_attr_u32(answer, ATTR_ID),
				 nfct_get_attr_u32(seen->entry, ATTR_ID));
		assert_int_equal(nfct_get_attr_u16(answer, ATTR_ZONE),
				 nfct_get_attr_u16(seen->entry, ATTR_ZONE));
		ids[found++ & 1] = nfct_get_attr_u32(seen->entry, ATTR_ID);
		nfct_destroy(answer);
	}
	assert_int_equal(found, 2);
	assert_int_not_equal(ids[0], ids[1]);
	conntrack_recorder_close(recorder);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(entry_that_stays_is_listed_though_the_table_changes, set_up),
		cmocka_unit_test_setup(listed_entry_has_counters_start_timeout_and_id, set_up),
		cmocka_unit_test_setup(listing_is_of_both_families, set_up),
		cmocka_unit_test_setup(tuple_in_two_zones_is_two_entries, set_up),
	};

	if (network_namespace_enter() < 0) {
		puts("skipped: needs CAP_SYS_ADMIN for a network namespace");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
