/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Counters and timestamps are extensions that an entry has from its beginning or never
 * (nf_ct_acct_ext_add() and nf_ct_tstamp_ext_add() in init_conntrack(),
 * net/netfilter/nf_conntrack_core.c). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>

#include "base/macros.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

enum { SKIPPED = 77, BYTES = 100, IP_AND_UDP_BYTES = 28 };

static int set_up(void **state unused)
{
	return network_namespace_enter() < 0 ? -1 : network_namespace_track();
}

static int on_answer(unused enum nf_conntrack_msg_type type, struct nf_conntrack *entry,
		     void *userdata)
{
	nfct_copy(userdata, entry, NFCT_CP_ALL);
	return NFCT_CB_CONTINUE;
}

/* The entry of a UDP flow on 127.0.0.1 as the kernel has it now, to be destroyed. */
static struct nf_conntrack *read_entry(const struct traffic_pair *pair)
{
	struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
	struct nf_conntrack *asked = nfct_new(), *answer = nfct_new();

	assert_true(handle && asked && answer);
	nfct_set_attr_u8(asked, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u8(asked, ATTR_L4PROTO, IPPROTO_UDP);
	nfct_set_attr_u32(asked, ATTR_IPV4_SRC, htonl(INADDR_LOOPBACK));
	nfct_set_attr_u32(asked, ATTR_IPV4_DST, htonl(INADDR_LOOPBACK));
	nfct_set_attr_u16(asked, ATTR_PORT_SRC, htons(pair->client_port));
	nfct_set_attr_u16(asked, ATTR_PORT_DST, htons(pair->server_port));
	assert_int_equal(nfct_callback_register(handle, NFCT_T_ALL, on_answer, answer), 0);
	if (nfct_query(handle, NFCT_Q_GET, asked) < 0)
		fail_msg("no entry for port %u: errno %d", pair->client_port, errno);
	nfct_destroy(asked);
	nfct_close(handle);
	return answer;
}

static void expect_entry(const struct traffic_pair *pair, bool has_counters, bool has_timestamp)
{
	struct nf_conntrack *entry = read_entry(pair);

	assert_int_equal(nfct_attr_is_set(entry, ATTR_ORIG_COUNTER_BYTES), has_counters);
	assert_int_equal(nfct_attr_is_set(entry, ATTR_REPL_COUNTER_PACKETS), has_counters);
	assert_int_equal(nfct_attr_is_set(entry, ATTR_TIMESTAMP_START), has_timestamp);
	nfct_destroy(entry);
}

static void test_k1_off_by_default_and_then_missing(void **state unused)
{
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(network_namespace_get("netfilter/nf_conntrack_acct"), 0);
	assert_int_equal(network_namespace_get("netfilter/nf_conntrack_timestamp"), 0);
	traffic_exchange(&pair, BYTES);
	expect_entry(&pair, false, false);
	traffic_close(&pair);
}

static void test_k1_switched_on_it_counts_new_entries_only(void **state unused)
{
	struct traffic_pair before = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct traffic_pair after = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct nf_conntrack *entry;

	traffic_exchange(&before, BYTES);
	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_acct", "1"), 0);
	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_timestamp", "1"), 0);
	traffic_exchange(&before, BYTES);
	traffic_exchange(&after, BYTES);
	expect_entry(&before, false, false);
	expect_entry(&after, true, true);
	entry = read_entry(&after);
	assert_int_equal(nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_BYTES),
			 BYTES + IP_AND_UDP_BYTES);
	assert_int_equal(nfct_get_attr_u64(entry, ATTR_REPL_COUNTER_PACKETS), 1);
	nfct_destroy(entry);
	traffic_close(&before);
	traffic_close(&after);
}

/* Put back at the daemon's exit: what was counted goes on being counted. */
static void test_switched_off_it_counts_old_entries_on(void **state unused)
{
	struct traffic_pair before = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct traffic_pair after = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct nf_conntrack *entry;

	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_acct", "1"), 0);
	traffic_exchange(&before, BYTES);
	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_acct", "0"), 0);
	traffic_exchange(&before, BYTES);
	traffic_exchange(&after, BYTES);
	expect_entry(&after, false, false);
	entry = read_entry(&before);
	assert_int_equal(nfct_get_attr_u64(entry, ATTR_ORIG_COUNTER_PACKETS), 2);
	nfct_destroy(entry);
	traffic_close(&before);
	traffic_close(&after);
}

static void test_each_namespace_has_its_own(void **state unused)
{
	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_acct", "1"), 0);
	assert_int_equal(network_namespace_set("netfilter/nf_conntrack_timestamp", "1"), 0);
	assert_int_equal(network_namespace_enter(), 0);
	assert_int_equal(network_namespace_get("netfilter/nf_conntrack_acct"), 0);
	assert_int_equal(network_namespace_get("netfilter/nf_conntrack_timestamp"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_k1_off_by_default_and_then_missing, set_up),
		cmocka_unit_test_setup(test_k1_switched_on_it_counts_new_entries_only, set_up),
		cmocka_unit_test_setup(test_switched_off_it_counts_old_entries_on, set_up),
		cmocka_unit_test_setup(test_each_namespace_has_its_own, set_up),
	};

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		return SKIPPED;
	}
	if (network_namespace_track() < 0) {
		fprintf(stderr, "skipped: no nf_tables with ct\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
