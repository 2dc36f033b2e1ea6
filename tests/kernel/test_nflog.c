/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the kernel says of logged packets (net/netfilter/nfnetlink_log.c): which it stamps, how a batch
 * ends, and the conntrack entry where it adds that. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "runtime/loop.h"
#include "sources/nflog.h"
#include "support/conntrack_recorder.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

enum { SKIPPED = 77, GROUP = 7, MOST = 64, BATCH = 4 };
#define DEADLINE_NS (10 * NS_PER_SEC)
#define RULES                                                                                      \
	"table inet t {\n"                                                                         \
	"  chain i { type filter hook input priority 0; meta l4proto udp ct state "                \
	"new,established "                                                                         \
	"log group 7 queue-threshold 1; }\n"                                                       \
	"  chain o { type filter hook output priority 0; meta l4proto udp ct state "               \
	"new,established "                                                                         \
	"log group 7 queue-threshold %d; }\n"                                                      \
	"}\n"

struct recording {
	struct loop *loop;
	struct nflog *nflog;
	struct packet_event events[MOST];
	uint64_t read_ns[MOST];
	size_t count;
};

static void on_packet(void *userdata, const struct packet_event *event)
{
	struct recording *recording = userdata;

	assert_true(recording->count < MOST);
	recording->read_ns[recording->count] = clock_now_ns();
	recording->events[recording->count++] = *event;
}

static void on_batch_end(unused void *userdata, unused uint64_t now_ns)
{
}

static void start(struct recording *recording, int output_threshold)
{
	struct nflog_options options = {.group = GROUP,
					.receive_buffer_bytes = 1 << 20,
					.handlers = {.on_packet = on_packet,
						     .on_batch_end = on_batch_end,
						     .userdata = recording}};
	char rules[1024];

	*recording = (struct recording){.count = 0};
	snprintf(rules, sizeof(rules), RULES, output_threshold);
	assert_int_equal(network_namespace_run_nft(rules), 0);
	assert_int_equal(loop_new(&recording->loop), 0);
	assert_int_equal(nflog_new(recording->loop, &options, &recording->nflog), 0);
}

static void stop(struct recording *recording)
{
	const struct nflog_counters *counters = nflog_get_counters(recording->nflog);

	assert_int_equal(counters->malformed, 0);
	assert_int_equal(counters->receive_errors, 0);
	assert_int_equal(counters->lost, 0);
	nflog_free(recording->nflog);
	loop_free(recording->loop);
}

static void wait_for(struct recording *recording, size_t count)
{
	uint64_t until_ns = clock_now_ns() + DEADLINE_NS;

	while (recording->count < count && clock_now_ns() < until_ns)
		assert_int_equal(loop_run_once(recording->loop, NS_PER_SEC / 10), 0);
	assert_int_equal(recording->count, count);
}

static void send_bytes(const struct traffic_pair *pair, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(send(pair->client, "x", 1, 0), 1);
}

/* Whoever leaves has no stamp, whoever arrives has that of its arrival. */
static void stamps_are_of_what_comes_in(unused void **state)
{
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct recording recording;
	uint64_t before_ns, sent = 0, received = 0;

	start(&recording, 1);
	before_ns = clock_now_ns();
	send_bytes(&pair, 1);
	wait_for(&recording, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct packet_event *event = &recording.events[i];

		sent += event->is_sent_here;
		received += event->is_received_here;
		if (event->is_sent_here)
			assert_int_equal(event->clock, PACKET_CLOCK_VAGUE);
		if (event->is_received_here && event->clock != PACKET_CLOCK_STAMPED)
			print_message("this kernel has no stamp for a packet on loopback\n");
		else if (event->is_received_here)
			/* (wall time, in microseconds) */
			assert_in_range(event->when_ns, before_ns - NS_PER_MS,
					recording.read_ns[i]);
	}
	assert_int_equal(sent, 1);
	assert_int_equal(received, 1);
	stop(&recording);
	traffic_close(&pair);
}

/* The user of the sender is told as it leaves. */
static void the_sender_is_told_as_it_leaves(unused void **state)
{
	enum { NOBODY = 65534 };
	struct traffic_pair pair;
	struct recording recording;
	bool was_sent = false;

	assert_int_equal(setegid(NOBODY), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	pair = traffic_open(AF_INET6, SOCK_DGRAM, 0);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	start(&recording, 1);
	send_bytes(&pair, 1);
	wait_for(&recording, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct packet_event *event = &recording.events[i];

		if (!event->is_sent_here)
			continue;
		was_sent = true;
		assert_true(event->has_uid && event->has_gid);
		assert_int_equal(event->uid, NOBODY);
		assert_int_equal(event->gid, NOBODY);
	}
	assert_true(was_sent);
	stop(&recording);
	traffic_close(&pair);
}

/* NLMSG_DONE, which ends a batch, is no answer and no error; the next batch is read as well. */
static void a_batch_ends_without_an_errno(unused void **state)
{
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	struct recording recording;
	size_t sent = 0;

	start(&recording, BATCH);
	send_bytes(&pair, BATCH);
	send_bytes(&pair, BATCH);
	wait_for(&recording, 2 * 2 * BATCH);
	for (size_t i = 0; i < recording.count; i++)
		sent += recording.events[i].is_sent_here;
	assert_int_equal(sent, 2 * BATCH);
	stop(&recording);
	traffic_close(&pair);
}

static bool is_new_udp(const struct conntrack_seen *seen, unused const void *userdata)
{
	return seen->type == NFCT_T_NEW &&
	       nfct_get_attr_u8(seen->entry, ATTR_ORIG_L4PROTO) == IPPROTO_UDP;
}

/* NFULA_CT: the entry that ctnetlink tells, from its first packet on. */
static void the_entry_is_on_the_packet(unused void **state)
{
	struct conntrack_recorder *recorder = conntrack_recorder_open();
	struct traffic_pair pair = traffic_open(AF_INET, SOCK_DGRAM, 0);
	const struct conntrack_seen *seen;
	struct recording recording;
	uint32_t id;

	assert_non_null(recorder);
	start(&recording, 1);
	if (!nflog_has_conntrack(recording.nflog)) {
		print_message("%s: no NETFILTER_NETLINK_GLUE_CT\n", __func__);
		stop(&recording);
		traffic_close(&pair);
		conntrack_recorder_close(recorder);
		skip();
	}
	send_bytes(&pair, 1);
	wait_for(&recording, 2);
	seen = conntrack_recorder_wait(recorder, is_new_udp, NULL);
	assert_non_null(seen);
	id = nfct_get_attr_u32(seen->entry, ATTR_ID);
	for (size_t i = 0; i < 2; i++) {
		const struct packet_event *event = &recording.events[i];

		assert_int_equal(event->tracking, PACKET_IS_TRACKED);
		assert_true(event->has_conntrack);
		assert_int_equal(event->conntrack_id, id);
		assert_true(flow_key_equal(&event->conntrack_key, &event->packet.key));
	}
	stop(&recording);
	traffic_close(&pair);
	conntrack_recorder_close(recorder);
}

static int set_up(unused void **state)
{
	return network_namespace_enter();
}

static bool can_log(void)
{
	return network_namespace_enter() == 0 &&
	       network_namespace_run_nft(
		       "table inet t { chain c { ct state new log group 7; }; }") == 0 &&
	       nflog_check(GROUP) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stamps_are_of_what_comes_in, set_up),
		cmocka_unit_test_setup(the_sender_is_told_as_it_leaves, set_up),
		cmocka_unit_test_setup(a_batch_ends_without_an_errno, set_up),
		cmocka_unit_test_setup(the_entry_is_on_the_packet, set_up),
	};

	if (!can_log()) {
		fprintf(stderr, "skipped: no NFLOG, or no right to it\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
