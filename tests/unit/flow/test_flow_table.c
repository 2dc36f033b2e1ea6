/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_table.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

#define SECOND NS_PER_SEC
#define ACTIVE (60 * SECOND)
#define IDLE   (30 * SECOND)
#define START  (1000 * SECOND)

enum { MOST_REPORTS = 64 };

struct seen_report {
	uint32_t conntrack_id;
	uint64_t flow_id, start_ns;
	uint32_t number;
	struct flow_report report;
	bool has_counters;
};

struct watch {
	struct flow_table *table;
	struct seen_report reports[MOST_REPORTS];
	size_t count;
	unsigned opened, closed;
};

static void on_open(void *userdata, unused struct flow *flow)
{
	((struct watch *)userdata)->opened++;
}

static void on_close(void *userdata, unused struct flow *flow)
{
	((struct watch *)userdata)->closed++;
}

static void on_report(void *userdata, struct flow *flow, const struct flow_report *report)
{
	struct watch *watch = userdata;

	assert_true(watch->count < MOST_REPORTS);
	watch->reports[watch->count++] = (struct seen_report){
		.conntrack_id = flow->conntrack_id,
		.flow_id = flow->id,
		.start_ns = flow->start_ns,
		.number = flow->records,
		.report = *report,
		.has_counters = flow->has_counters,
	};
}

static struct watch *watch_new(uint32_t max_flows)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	struct flow_table_options options = {
		.max_flows = max_flows,
		.active_timeout_ns = ACTIVE,
		.idle_timeout_ns = IDLE,
		.report_tcp_close = true,
		.start_ns = START,
		.first_id = 1,
		.handlers = {.on_open = on_open,
			     .on_report = on_report,
			     .on_close = on_close,
			     .userdata = watch},
	};

	assert_non_null(watch);
	assert_int_equal(flow_table_new(&options, &watch->table), 0);
	return watch;
}

static void watch_free(struct watch *watch)
{
	flow_table_free(watch->table);
	assert_int_equal(watch->opened, watch->closed);
	free(watch);
}

static struct flow_event make_event(enum flow_event_type type, uint16_t port, uint32_t id,
				    uint64_t when_ns)
{
	return (struct flow_event){
		.type = type,
		.key = {.tuple = {.src_port = port, .dst_port = 80},
			.family = IP_FAMILY_V4,
			.protocol = IPPROTO_UDP},
		.conntrack_id = id,
		.when_ns = when_ns,
	};
}

static struct flow_event make_counted(enum flow_event_type type, uint16_t port, uint32_t id,
				      uint64_t when_ns, uint64_t packets)
{
	struct flow_event event = make_event(type, port, id, when_ns);

	event.has_counters = true;
	event.counters = (struct flow_counters){packets * 100, packets, packets * 50, packets};
	return event;
}

static void tell(struct watch *watch, struct flow_event event)
{
	flow_table_handle_event(watch->table, &event);
}

static void list(struct watch *watch, const struct flow_event *events, size_t count,
		 struct flow_listing listing, uint64_t now_ns)
{
	flow_table_begin_listing(watch->table, &listing);
	for (size_t i = 0; i < count; i++)
		flow_table_handle_event(watch->table, &events[i]);
	flow_table_end_listing(watch->table, &listing, now_ns);
	flow_table_run_timeouts(watch->table, now_ns);
}

static const struct flow_listing first = {.is_first = true, .is_complete = true};
static const struct flow_listing sweep = {.is_complete = true};
static const struct flow_listing resync = {.is_resync = true, .is_complete = true};

static void test_one_flow_is_one_record(unused void **state)
{
	struct watch *watch = watch_new(16);

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + SECOND));
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 3 * SECOND, 5));
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].start_ns, START + SECOND);
	assert_int_equal(watch->reports[0].report.end_ns, START + 3 * SECOND);
	assert_int_equal(watch->reports[0].report.counters.in_bytes, 500);
	assert_int_equal(watch->reports[0].report.counters.out_bytes, 250);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_IDLE);
	assert_int_equal(flow_table_get_size(watch->table), 0);
	watch_free(watch);
}

static struct flow *tell_packet_flow(struct watch *watch, uint16_t port, uint64_t when_ns)
{
	struct flow_event event = make_event(FLOW_EVENT_NEW, port, 0, when_ns);
	struct flow *flow;

	event.is_from_packets = true;
	tell(watch, event);
	flow = flow_table_find(watch->table, &event.key, 0);
	assert_non_null(flow);
	return flow;
}

/* No listing shows it, and no kernel remembers it: another packet later is another flow. */
static void test_flows_of_packets_alone(unused void **state)
{
	static const struct flow_counters in = {.in_bytes = 100, .in_packets = 1},
					  out = {.out_bytes = 70, .out_packets = 1};
	struct watch *watch = watch_new(16);
	struct flow *flow;

	list(watch, NULL, 0, first, START);
	flow = tell_packet_flow(watch, 1, START);
	flow_table_add_packets(watch->table, flow, &in, START);
	flow_table_add_packets(watch->table, flow, &out, START + SECOND);
	for (int i = 0; i < 5; i++)
		list(watch, NULL, 0, sweep, START + 2 * SECOND);
	assert_int_equal(watch->count, 0);
	list(watch, NULL, 0, sweep, START + IDLE + 3 * SECOND);
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_IDLE);
	assert_int_equal(watch->reports[0].report.end_ns, START + SECOND);
	assert_int_equal(watch->reports[0].report.counters.in_bytes, 100);
	assert_int_equal(watch->reports[0].report.counters.out_packets, 1);
	flow = tell_packet_flow(watch, 1, START + 100 * SECOND);
	assert_int_equal(flow->seen.in_bytes, 0);
	assert_int_equal(flow->records, 0);
	watch_free(watch);
}

static void test_a_flow_of_packets_that_is_tracked_after_all(unused void **state)
{
	static const struct flow_counters one = {.in_bytes = 100, .in_packets = 1};
	struct watch *watch = watch_new(16);
	struct flow *flow;

	list(watch, NULL, 0, first, START);
	flow = tell_packet_flow(watch, 1, START);
	flow_table_add_packets(watch->table, flow, &one, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	assert_int_equal(watch->count, 0);
	assert_int_equal(watch->opened, 1);
	assert_false(flow->is_from_packets);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 3 * SECOND, 5));
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.counters.in_bytes, 500);
	/* Once a record told of the packets, conntrack's is another flow. */
	flow = tell_packet_flow(watch, 2, START + 3 * SECOND);
	flow_table_add_packets(watch->table, flow, &one, START + 3 * SECOND);
	flow_table_run_timeouts(watch->table, START + 3 * SECOND + ACTIVE);
	tell(watch, make_event(FLOW_EVENT_NEW, 2, 8, START + 80 * SECOND));
	assert_int_equal(watch->opened, 3);
	watch_free(watch);
}

static void test_doubt_of_the_beginning(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event event = make_event(FLOW_EVENT_NEW, 1, 7, START + SECOND);

	list(watch, NULL, 0, first, START);
	event.not_before_ns = START + SECOND - 1500;
	tell(watch, event);
	assert_int_equal(flow_table_find(watch->table, &event.key, 7)->start_doubt_us, 2);
	event.key.tuple.src_port = 2;
	event.start_ns = START + SECOND - 100;
	tell(watch, event);
	assert_int_equal(flow_table_find(watch->table, &event.key, 7)->start_doubt_us, 0);
	event.key.tuple.src_port = 3;
	event.start_ns = 0;
	event.not_before_ns = 0;
	tell(watch, event);
	assert_int_equal(flow_table_find(watch->table, &event.key, 7)->start_doubt_us, 0);
	event.key.tuple.src_port = 4;
	event.not_before_ns = 1;
	event.when_ns = 1 + (UINT64_C(1) << 52);
	tell(watch, event);
	assert_int_equal(flow_table_find(watch->table, &event.key, 7)->start_doubt_us, UINT32_MAX);
	watch_free(watch);
}

static void test_interim_records_are_deltas(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed;

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START));
	listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START + ACTIVE, 10);
	list(watch, &listed, 1, sweep, START + ACTIVE);
	listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START + 2 * ACTIVE, 30);
	list(watch, &listed, 1, sweep, START + 2 * ACTIVE);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 2 * ACTIVE + SECOND, 31));
	assert_int_equal(watch->count, 3);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_ACTIVE);
	assert_int_equal(watch->reports[0].report.counters.in_packets, 10);
	assert_int_equal(watch->reports[1].report.counters.in_packets, 20);
	assert_int_equal(watch->reports[1].start_ns, START + ACTIVE);
	assert_int_equal(watch->reports[2].report.counters.in_packets, 1);
	assert_int_equal(watch->reports[0].flow_id, watch->reports[2].flow_id);
	watch_free(watch);
}

/* The event may wait before it is read; the kernel's table knows when the flow began. */
static void test_begin_is_that_of_the_kernel(unused void **state)
{
	static const struct {
		uint64_t told_ns, start_ns;
	} cases[] = {
		{START + 5 * SECOND, START + 5 * SECOND},
		{START + 2 * SECOND, START + 9 * SECOND}, /* not possible: the clock was set */
		{START + 10 * SECOND, START + 9 * SECOND},
		{0, START + 9 * SECOND},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct watch *watch = watch_new(4);
		struct flow_event event = make_event(FLOW_EVENT_NEW, 1, 7, START + 9 * SECOND);

		event.not_before_ns = START + 4 * SECOND;
		tell(watch, event);
		event = make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 20 * SECOND, 10);
		event.start_ns = cases[i].told_ns;
		tell(watch, event);
		assert_int_equal(watch->count, 1);
		assert_int_equal(watch->reports[0].start_ns, cases[i].start_ns);
		watch_free(watch);
	}
}

/* Of what is listed: as the kernel tells, or not known; a NEW that was slower than the listing knows. */
static void test_begin_of_what_is_older(unused void **state)
{
	static const struct {
		uint64_t told_ns, begin_ns;
	} cases[] = {{START - SECOND, START - SECOND}, {0, 0}, {1, 0}};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct watch *watch = watch_new(4);
		struct flow_event event = make_counted(FLOW_EVENT_LISTED, 1, 7, START + SECOND, 10);
		struct flow_key key = event.key;

		event.start_ns = cases[i].told_ns;
		list(watch, &event, 1, first, START + SECOND);
		assert_int_equal(flow_table_find(watch->table, &key, 7)->begin_ns,
				 cases[i].begin_ns);
		event = make_event(FLOW_EVENT_NEW, 1, 7, START + 2 * SECOND);
		tell(watch, event);
		assert_int_equal(flow_table_find(watch->table, &key, 7)->begin_ns,
				 cases[i].begin_ns ? cases[i].begin_ns : START + 2 * SECOND);
		watch_free(watch);
	}
}

/* A server may work for long before it answers: the span of the answer's record has that time. */
static void test_silent_interval_is_the_next_record_s(unused void **state)
{
	struct watch *watch = watch_new(4);
	struct flow_event listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START + ACTIVE, 10);

	flow_table_set_timeouts(watch->table, ACTIVE, 10 * ACTIVE);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START));
	list(watch, &listed, 1, sweep, START + ACTIVE);
	assert_int_equal(watch->count, 1);
	listed.when_ns = START + 2 * ACTIVE;
	list(watch, &listed, 1, sweep, START + 2 * ACTIVE);
	assert_int_equal(watch->count, 1);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 2 * ACTIVE + SECOND, 11));
	assert_int_equal(watch->count, 2);
	assert_int_equal(watch->reports[1].start_ns, START + ACTIVE);
	watch_free(watch);
}

static void test_idle_flow_is_told_once_and_revived(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed;

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START));
	listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START + SECOND, 3);
	list(watch, &listed, 1, sweep, START + SECOND);
	listed.when_ns = START + SECOND + IDLE;
	list(watch, &listed, 1, sweep, START + SECOND + IDLE);
	assert_int_equal(watch->count, 0); /* the time of the last packet may be a second off */
	list(watch, &listed, 1, sweep, START + 2 * SECOND + IDLE);
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_IDLE);
	assert_int_equal(watch->reports[0].report.end_ns, START + SECOND);
	assert_int_equal(flow_table_get_size(watch->table), 0);
	/* Nothing new: nothing happens, nothing is told at its end. */
	list(watch, &listed, 1, sweep, START + 3 * SECOND + IDLE);
	assert_int_equal(flow_table_get_size(watch->table), 0);
	/* Packets again: the same flow goes on, with what is new. */
	listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START + 40 * SECOND, 8);
	list(watch, &listed, 1, sweep, START + 40 * SECOND);
	assert_int_equal(flow_table_get_size(watch->table), 1);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 50 * SECOND, 8));
	assert_int_equal(watch->count, 2);
	assert_int_equal(watch->reports[1].report.counters.in_packets, 5);
	assert_int_equal(watch->reports[1].flow_id, watch->reports[0].flow_id);
	assert_int_equal(watch->reports[0].number, 1);
	assert_int_equal(watch->reports[1].number, 2);
	watch_free(watch);
}

/* A flowtable without "counter": it works, and its counters stand still. */
static void test_a43_offloaded_flow_is_not_idle(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START + SECOND, 3);

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START));
	listed.is_offloaded = true;
	list(watch, &listed, 1, sweep, START + SECOND);
	list(watch, &listed, 1, sweep, START + 10 * SECOND + IDLE);
	assert_int_equal(watch->count, 0);
	assert_int_equal(flow_table_get_size(watch->table), 1);
	/* The kernel took it out of the flowtable: now they tell. */
	listed.is_offloaded = false;
	list(watch, &listed, 1, sweep, START + 20 * SECOND + IDLE);
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_IDLE);
	watch_free(watch);
}

static struct flow_event as_tcp(struct flow_event event, uint8_t state)
{
	event.key.protocol = IPPROTO_TCP;
	event.tcp_state = state;
	return event;
}

static void close_connection(struct watch *watch, uint64_t when_ns, uint64_t packets)
{
	tell(watch, as_tcp(make_counted(FLOW_EVENT_LISTED, 1, 7, when_ns, packets),
			   TCP_CONNTRACK_TIME_WAIT));
	tell(watch, as_tcp(make_event(FLOW_EVENT_CLOSED, 1, 7, when_ns), TCP_CONNTRACK_TIME_WAIT));
}

static void test_tcp_is_told_when_it_closes_and_not_again(unused void **state)
{
	struct watch *watch = watch_new(16);

	list(watch, NULL, 0, first, START);
	tell(watch, as_tcp(make_event(FLOW_EVENT_NEW, 1, 7, START), TCP_CONNTRACK_SYN_SENT));
	close_connection(watch, START + SECOND, 6);
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_DETECTED);
	assert_int_equal(watch->reports[0].report.counters.in_packets, 6);
	tell(watch, as_tcp(make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 121 * SECOND, 6),
			   TCP_CONNTRACK_TIME_WAIT));
	assert_int_equal(watch->count, 1);
	watch_free(watch);
}

static void test_packets_after_the_close_are_not_lost(unused void **state)
{
	struct watch *watch = watch_new(16);

	list(watch, NULL, 0, first, START);
	tell(watch, as_tcp(make_event(FLOW_EVENT_NEW, 1, 7, START), TCP_CONNTRACK_SYN_SENT));
	close_connection(watch, START + SECOND, 6);
	tell(watch, as_tcp(make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 121 * SECOND, 8),
			   TCP_CONNTRACK_TIME_WAIT));
	assert_int_equal(watch->count, 2);
	assert_int_equal(watch->reports[1].report.counters.in_packets, 2);
	assert_int_equal(watch->reports[1].flow_id, watch->reports[0].flow_id);
	watch_free(watch);
}

static void test_older_flows_count_from_the_start(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START, 1000);

	list(watch, &listed, 1, first, START);
	assert_int_equal(flow_table_get_size(watch->table), 1);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + SECOND, 1003));
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.counters.in_packets, 3);
	watch_free(watch);
}

static void test_flow_that_began_during_the_first_listing(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START, 4);

	/* The listing shows it before its NEW event is read: all its packets are ours to tell. */
	list(watch, &listed, 1, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + SECOND, 6));
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.counters.in_packets, 6);
	watch_free(watch);
}

static void test_listing_that_is_older_than_a_destroy(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START, 4);

	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START, 4));
	list(watch, &listed, 1, first, START);
	assert_int_equal(flow_table_get_size(watch->table), 0);
	assert_int_equal(watch->count, 0);
	watch_free(watch);
}

static void test_eviction_tells_and_counts_nothing_twice(unused void **state)
{
	struct watch *watch = watch_new(2);
	struct flow_event listed;

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 1, START + 1));
	tell(watch, make_event(FLOW_EVENT_NEW, 2, 2, START + 2));
	listed = make_counted(FLOW_EVENT_LISTED, 1, 1, START + SECOND, 4);
	list(watch, &listed, 1, sweep, START + SECOND);
	tell(watch, make_event(FLOW_EVENT_NEW, 3, 3, START + 2 * SECOND));
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].conntrack_id, 2); /* the idlest */
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_RESOURCES);
	assert_false(watch->reports[0].has_counters);
	assert_int_equal(flow_table_get_counters(watch->table)->evicted, 1);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 2, 2, START + 3 * SECOND, 9));
	/* Flow 2 returned for its last packets and pushed flow 1 out, whose 4 packets are told. */
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 1, START + 4 * SECOND, 5));
	uint64_t sum[3] = {0};
	for (size_t i = 0; i < watch->count; i++)
		if (watch->reports[i].conntrack_id < 3)
			sum[watch->reports[i].conntrack_id] +=
				watch->reports[i].report.counters.in_packets;
	assert_int_equal(sum[1], 5);
	assert_int_equal(sum[2], 9);
	watch_free(watch);
}

static void test_lost_destroy_ends_after_two_listings(unused void **state)
{
	struct watch *watch = watch_new(16);

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	list(watch, NULL, 0, sweep, START + SECOND);
	assert_int_equal(flow_table_get_size(watch->table), 1);
	list(watch, NULL, 0, sweep, START + 2 * SECOND);
	assert_int_equal(flow_table_get_size(watch->table), 0);
	assert_int_equal(watch->count, 1);
	assert_false(watch->reports[0].has_counters); /* unknown is not 0 */
	assert_int_equal(flow_table_get_counters(watch->table)->vanished, 1);
	watch_free(watch);
}

static void test_resync_finds_what_was_lost(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed = make_counted(FLOW_EVENT_LISTED, 1, 8, START + 5 * SECOND, 4);

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	/* DESTROY of 7 and NEW of 8, with the same tuple, were lost. */
	list(watch, &listed, 1, resync, START + 5 * SECOND);
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].conntrack_id, 7);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 8, START + 6 * SECOND, 5));
	assert_int_equal(watch->count, 2);
	assert_int_equal(watch->reports[1].report.counters.in_packets, 5);
	watch_free(watch);
}

static void test_listing_shows_what_has_ended_meanwhile(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event old = make_counted(FLOW_EVENT_LISTED, 1, 7, START + 6 * SECOND, 4);

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	flow_table_begin_listing(watch->table, &resync);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 5 * SECOND, 4));
	assert_int_equal(watch->count, 1);
	tell(watch, old);
	assert_int_equal(flow_table_get_size(watch->table), 0);
	/* Nor is it the end of the next flow of its tuple. */
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 8, START + 6 * SECOND));
	tell(watch, old);
	flow_table_end_listing(watch->table, &resync, START + 7 * SECOND);
	assert_int_equal(watch->count, 1);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 8, START + 8 * SECOND, 5));
	assert_int_equal(watch->count, 2);
	assert_int_equal(watch->reports[1].conntrack_id, 8);
	watch_free(watch);
}

/* More ends than there is room for, in two listings. */
static void test_forgotten_ends_are_counted(unused void **state)
{
	enum { ROOM = 4, ENDS = 7 };
	struct watch *watch = watch_new(ROOM);

	for (unsigned turn = 0; turn < 2; turn++) {
		flow_table_begin_listing(watch->table, &resync);
		for (unsigned i = 0; i < ENDS; i++)
			tell(watch, make_counted(FLOW_EVENT_DESTROY, (uint16_t)(1 + i),
						 10 * turn + i, START + SECOND, 4));
		flow_table_end_listing(watch->table, &resync, START + 2 * SECOND);
		assert_int_equal(flow_table_get_counters(watch->table)->ended_forgotten,
				 (turn + 1) * (ENDS - ROOM));
	}
	watch_free(watch);
}

static void test_flush_reports_what_is_open(unused void **state)
{
	struct watch *watch = watch_new(16);

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	flow_table_flush(watch->table, START + SECOND);
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_FORCED);
	assert_int_equal(flow_table_get_size(watch->table), 0);
	watch_free(watch);
}

/* What a listing told of the last packet is up to a second early; what is later than that is another
 * timeout than the one that was thought of. */
static void test_end_is_as_exact_as_the_last_event(unused void **state)
{
	static const uint64_t later_ns[] = {SECOND * 9 / 10, 2 * SECOND};
	struct watch *watch = watch_new(16);

	list(watch, NULL, 0, first, START);
	for (uint16_t port = 1; port <= 2; port++) {
		struct flow_event event =
			make_counted(FLOW_EVENT_LISTED, port, port, START + 9 * SECOND, 5);

		tell(watch, make_event(FLOW_EVENT_NEW, port, port, START + SECOND));
		event.last_packet_ns = START + 7 * SECOND;
		tell(watch, event);
		event.type = FLOW_EVENT_DESTROY;
		event.last_packet_ns += later_ns[port - 1];
		tell(watch, event);
	}
	assert_int_equal(watch->count, 2);
	assert_int_equal(watch->reports[0].report.end_ns, START + 7 * SECOND + SECOND * 9 / 10);
	assert_int_equal(watch->reports[1].report.end_ns, START + 7 * SECOND);
	watch_free(watch);
}

static void test_removed_early_is_forced(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event destroy = make_counted(FLOW_EVENT_DESTROY, 1, 7, START + SECOND, 5);

	destroy.is_early = true; /* conntrack -F: case A44 */
	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	tell(watch, destroy);
	assert_int_equal(watch->count, 1);
	assert_int_equal(watch->reports[0].report.reason, FLOW_END_FORCED);
	watch_free(watch);
}

static void test_zeroed_counters_do_not_go_below_zero(unused void **state)
{
	struct watch *watch = watch_new(16);
	struct flow_event listed = make_counted(FLOW_EVENT_LISTED, 1, 7, START + ACTIVE, 10);

	list(watch, NULL, 0, first, START);
	tell(watch, make_event(FLOW_EVENT_NEW, 1, 7, START + 1));
	list(watch, &listed, 1, sweep, START + 2 * ACTIVE);
	tell(watch, make_counted(FLOW_EVENT_DESTROY, 1, 7, START + 3 * ACTIVE, 2));
	assert_int_equal(watch->count, 2);
	assert_int_equal(watch->reports[1].report.counters.in_packets, 2);
	assert_int_equal(flow_table_get_counters(watch->table)->counters_backwards, 1);
	watch_free(watch);
}

/* The kernel's table, played at random: entries come, get packets, close and go, events are lost
 * and listings mend it. What the records add up to must be what happened. */
enum { KEYS = 40, STEPS = 4000, MOST_ENTRIES = STEPS };

struct entry {
	uint16_t port; /* 0: not alive */
	bool is_tcp, is_closed;
	uint64_t packets;  /* true total */
	uint64_t told;	   /* the total that the daemon was last told in full */
	uint64_t reported; /* what its records add up to */
};

struct world {
	struct flow_table *table;
	struct entry entries[MOST_ENTRIES + 1]; /* by conntrack id */
	uint32_t count, alive[KEYS + 1];	/* id by port, 0: none */
	uint64_t now_ns;
	unsigned seed;
	bool may_lose, is_losing;
};

static unsigned draw(struct world *world, unsigned below)
{
	return (unsigned)rand_r(&world->seed) % below;
}

static void on_world_report(void *userdata, struct flow *flow, const struct flow_report *report)
{
	struct world *world = userdata;

	world->entries[flow->conntrack_id].reported += report->counters.in_packets;
}

static void ignore(unused void *userdata, unused struct flow *flow)
{
}

static struct flow_event world_event(struct world *world, enum flow_event_type type, uint32_t id)
{
	struct entry *entry = &world->entries[id];
	struct flow_event event =
		type == FLOW_EVENT_NEW || type == FLOW_EVENT_CLOSED
			? make_event(type, entry->port, id, world->now_ns)
			: make_counted(type, entry->port, id, world->now_ns, entry->packets);

	if (entry->is_tcp)
		event = as_tcp(event, entry->is_closed ? TCP_CONNTRACK_TIME_WAIT
						       : TCP_CONNTRACK_ESTABLISHED);
	return event;
}

static void world_tell(struct world *world, enum flow_event_type type, uint32_t id)
{
	struct flow_event event = world_event(world, type, id);

	if (event.has_counters)
		world->entries[id].told = world->entries[id].packets;
	flow_table_handle_event(world->table, &event);
}

static void world_list(struct world *world, struct flow_listing listing)
{
	flow_table_begin_listing(world->table, &listing);
	for (uint16_t port = 1; port <= KEYS; port++)
		if (world->alive[port])
			world_tell(world, FLOW_EVENT_LISTED, world->alive[port]);
	flow_table_end_listing(world->table, &listing, world->now_ns);
	flow_table_run_timeouts(world->table, world->now_ns);
}

static void world_create(struct world *world, uint16_t port)
{
	uint32_t id = ++world->count;

	world->entries[id] = (struct entry){.port = port, .is_tcp = port % 2, .packets = 1};
	world->alive[port] = id;
	if (!world->is_losing)
		world_tell(world, FLOW_EVENT_NEW, id);
}

static void world_destroy(struct world *world, uint16_t port)
{
	uint32_t id = world->alive[port];

	world->alive[port] = 0;
	if (!world->is_losing)
		world_tell(world, FLOW_EVENT_DESTROY, id);
}

static void world_close(struct world *world, uint16_t port)
{
	uint32_t id = world->alive[port];
	struct flow_event closed;

	world->entries[id].is_closed = true;
	closed = world_event(world, FLOW_EVENT_CLOSED, id);
	if (world->is_losing || !flow_table_find(world->table, &closed.key, id))
		return;
	world_tell(world, FLOW_EVENT_LISTED, id); /* what the pipeline asks for */
	world_tell(world, FLOW_EVENT_CLOSED, id);
}

static void world_step(struct world *world)
{
	uint16_t port = (uint16_t)(1 + draw(world, KEYS));
	uint32_t id = world->alive[port];
	unsigned choice = draw(world, 100);

	world->now_ns += draw(world, 2) * SECOND + draw(world, 1000);
	if (choice < 3) {
		world->is_losing = world->may_lose;
	} else if (choice < 8) {
		if (world->is_losing)
			world_list(world, resync);
		else
			world_list(world, sweep);
		world->is_losing = false;
	} else if (!id) {
		world_create(world, port);
	} else if (choice < 60) {
		world->entries[id].packets += draw(world, 5);
	} else if (choice < 75 && world->entries[id].is_tcp && !world->entries[id].is_closed) {
		world_close(world, port);
	} else {
		world_destroy(world, port);
	}
}

static void run_world(unsigned seed, uint32_t max_flows, bool may_lose, bool exact)
{
	struct world *world = calloc(1, sizeof(*world));
	struct flow_table_options options = {
		.max_flows = max_flows,
		.active_timeout_ns = ACTIVE,
		.idle_timeout_ns = IDLE,
		.report_tcp_close = true,
		.start_ns = START,
		.first_id = 1,
		.handlers = {.on_open = ignore,
			     .on_report = on_world_report,
			     .on_close = ignore,
			     .userdata = world},
	};

	assert_non_null(world);
	world->seed = seed;
	world->may_lose = may_lose;
	world->now_ns = START;
	assert_int_equal(flow_table_new(&options, &world->table), 0);
	world_list(world, first);
	for (unsigned i = 0; i < STEPS; i++)
		world_step(world);
	world->is_losing = false;
	world_list(world, resync);
	for (uint16_t port = 1; port <= KEYS; port++)
		if (world->alive[port])
			world_destroy(world, port);
	flow_table_flush(world->table, world->now_ns);
	for (uint32_t id = 1; id <= world->count; id++) {
		struct entry *entry = &world->entries[id];

		if (entry->reported == entry->told)
			continue;
		if (!exact && entry->reported < entry->told)
			continue;
		print_error("seed %u: entry %u told %lu packets, records add up to %lu\n", seed, id,
			    entry->told, entry->reported);
		fail();
	}
	flow_table_free(world->table);
	free(world);
}

static void test_records_add_up_whatever_is_lost(unused void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++)
		run_world(seed, 1000, true, true);
}

static void test_records_add_up_when_room_is_short(unused void **state)
{
	/* Evicted flows are remembered, up to as many as there may be flows. */
	for (unsigned seed = 1; seed <= 200; seed++)
		run_world(seed, 25, false, true);
}

static void test_nothing_is_counted_twice_when_flows_are_forgotten(unused void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++)
		run_world(seed, 3, true, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_flow_is_one_record),
		cmocka_unit_test(test_flows_of_packets_alone),
		cmocka_unit_test(test_a_flow_of_packets_that_is_tracked_after_all),
		cmocka_unit_test(test_doubt_of_the_beginning),
		cmocka_unit_test(test_interim_records_are_deltas),
		cmocka_unit_test(test_begin_is_that_of_the_kernel),
		cmocka_unit_test(test_begin_of_what_is_older),
		cmocka_unit_test(test_silent_interval_is_the_next_record_s),
		cmocka_unit_test(test_idle_flow_is_told_once_and_revived),
		cmocka_unit_test(test_a43_offloaded_flow_is_not_idle),
		cmocka_unit_test(test_tcp_is_told_when_it_closes_and_not_again),
		cmocka_unit_test(test_packets_after_the_close_are_not_lost),
		cmocka_unit_test(test_older_flows_count_from_the_start),
		cmocka_unit_test(test_flow_that_began_during_the_first_listing),
		cmocka_unit_test(test_listing_that_is_older_than_a_destroy),
		cmocka_unit_test(test_eviction_tells_and_counts_nothing_twice),
		cmocka_unit_test(test_lost_destroy_ends_after_two_listings),
		cmocka_unit_test(test_resync_finds_what_was_lost),
		cmocka_unit_test(test_listing_shows_what_has_ended_meanwhile),
		cmocka_unit_test(test_forgotten_ends_are_counted),
		cmocka_unit_test(test_flush_reports_what_is_open),
		cmocka_unit_test(test_end_is_as_exact_as_the_last_event),
		cmocka_unit_test(test_removed_early_is_forced),
		cmocka_unit_test(test_zeroed_counters_do_not_go_below_zero),
		cmocka_unit_test(test_records_add_up_whatever_is_lost),
		cmocka_unit_test(test_records_add_up_when_room_is_short),
		cmocka_unit_test(test_nothing_is_counted_twice_when_flows_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
