/* SPDX-License-Identifier: GPL-2.0-or-later */

/* bench_attribution_cpu [SENDER]
 *
 * CPU of finding the process of a flow by trace, beside that of bare conntrack events: of the same
 * flows, in the same run. Each flow is opened by a process of its own (or all by one, or with SENDER by
 * processes that execute), which are gone or not by then; none of them is forked by what is measured.
 * In turns of ten flows, as the daemon's loop has them at a few thousand flows a second, and of a
 * hundred, as it has them when it is busy, however fast this machine forks; the smaller a turn is, the
 * more of what it needs has left the caches. In each turn events are received and parsed ("conntrack":
 * NEW and DESTROY of each flow), records of trace are read and kept ("records") and the owner of each
 * new flow is asked for ("questions"). After each cell what was kept is forgotten ("forgetting"), so that
 * the next has its memory, as in a daemon that has run for some minutes. Medians of rounds in which the
 * cells take turns; what it costs to read the clock is taken off. In a network namespace of its own. */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "attribution/attribution.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/wall_steps.h"
#include "config/config.h"
#include "netlink/channel.h"
#include "sources/conntrack_parse.h"
#include "sources/trace.h"
#include "support/network_namespace.h"
#include "truth_maker.h"

enum {
	ROUNDS = 7,
	FLOWS = 2000,
	SPAWNERS = 2,
	TURN_SIZES = 2,
	EVENTS_PER_TURN = 4096,
	BUFFER_BYTES = 64 << 20,
	REQUEST_SIZE = 256,
	CLOCK_READINGS = 1000
};
static const size_t turn_sizes[TURN_SIZES] = {10, 100}; /* flows */

/* Longer than anything is kept. */
#define LATER_NS (300 * NS_PER_SEC)

struct cell {
	const char *name;
	struct truth_cell truth;
	bool is_one; /* process for all flows */
};

struct cost {
	double conntrack_us, records_us, questions_us, forgetting_us; /* of a flow */
};

struct bench {
	struct netlink_channel *events, *orders;
	struct conntrack_timeouts timeouts;
	struct wall_steps wall;
	struct loop *loop;
	struct trace *trace;
	struct attribution *attribution;
	struct truth_maker maker;
	struct flow_event fresh[EVENTS_PER_TURN];
	size_t fresh_count;
	uint64_t received_until_ns; /* events of before were all received */
	uint64_t clock_ns;	    /* one reading */
	uint64_t conntrack_ns, records_ns, questions_ns;
	size_t flows, right, ended;
};

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static uint64_t measure_clock(void)
{
	uint64_t begin_ns = cpu_ns();

	for (int i = 0; i < CLOCK_READINGS; i++)
		cpu_ns();
	return (cpu_ns() - begin_ns) / CLOCK_READINGS;
}

static uint64_t take_off(uint64_t from_ns, uint64_t until_ns, uint64_t clock_ns)
{
	return until_ns > from_ns + clock_ns ? until_ns - from_ns - clock_ns : 0;
}

static int on_message(const struct nlmsghdr *message, void *userdata)
{
	struct bench *bench = userdata;
	struct conntrack_parse_context context = {.timeouts = &bench->timeouts,
						  .now_ns = clock_now_ns(),
						  .not_before_ns = bench->received_until_ns,
						  .wall = &bench->wall};
	struct flow_event event;

	if (conntrack_parse(message, false, &context, &event) != CONNTRACK_PARSED)
		return 0;
	if (event.type == FLOW_EVENT_DESTROY)
		bench->ended++;
	else if (event.type == FLOW_EVENT_NEW && bench->fresh_count < EVENTS_PER_TURN)
		bench->fresh[bench->fresh_count++] = event;
	return 0;
}

static void ask(struct bench *bench, const struct flow_event *event)
{
	const struct flow_tuple *tuple = &event->key.tuple;
	struct ownership_query query = {.socket = {.local = tuple->src,
						   .remote = tuple->dst,
						   .local_port = tuple->src_port,
						   .remote_port = tuple->dst_port,
						   .family = event->key.family,
						   .protocol = event->key.protocol},
					.when_ns =
						event->start_ns ? event->start_ns : event->when_ns,
					.not_before_ns = event->start_ns ? 0 : event->not_before_ns,
					.initiator = true};
	struct ownership answer;

	attribution_find_owner(bench->attribution, &query, event->when_ns, &answer);
	bench->flows++;
	bench->right += answer.method == OWNERSHIP_TRACE;
}

static void run_turn(struct bench *bench)
{
	uint64_t turn_ns = clock_now_ns(), begin_ns = cpu_ns(), received_ns, drained_ns;

	bench->fresh_count = 0;
	wall_steps_observe(&bench->wall, clock_now_ns(), clock_wall_offset_ns());
	if (netlink_channel_receive(bench->events, EVENTS_PER_TURN, on_message, bench) < 0) {
		fprintf(stderr, "events were lost\n");
		exit(1);
	}
	bench->received_until_ns = turn_ns;
	received_ns = cpu_ns();
	trace_drain(bench->trace);
	drained_ns = cpu_ns();
	for (size_t i = 0; i < bench->fresh_count; i++)
		ask(bench, &bench->fresh[i]);
	bench->questions_ns += take_off(drained_ns, cpu_ns(), bench->clock_ns);
	bench->records_ns += take_off(received_ns, drained_ns, bench->clock_ns);
	bench->conntrack_ns += take_off(begin_ns, received_ns, bench->clock_ns);
}

/* Until some flows were made, or all; whether all. */
static bool await_flows(struct bench *bench, size_t count)
{
	size_t before = truth_maker_count(&bench->maker);
	bool has_ended;

	do {
		poll(NULL, 0, 1);
		has_ended = truth_maker_has_ended(&bench->maker);
	} while (!has_ended && truth_maker_count(&bench->maker) < before + count);
	return has_ended;
}

static void flush(struct bench *bench)
{
	uint8_t buffer[REQUEST_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(request, sizeof(*generic));

	request->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
	request->nlmsg_flags = NLM_F_ACK;
	generic->version = NFNETLINK_V0;
	if (netlink_channel_request(bench->orders, request, NULL, NULL) < 0)
		abort();
}

static uint64_t forget(struct bench *bench)
{
	uint64_t begin_ns = cpu_ns();

	attribution_expire(bench->attribution, clock_now_ns() + LATER_NS);
	return take_off(begin_ns, cpu_ns(), bench->clock_ns);
}

static struct cost run_cell(struct bench *bench, const struct cell *cell, size_t turn_size)
{
	bool has_ended = false;
	double flows;

	bench->clock_ns = measure_clock();
	run_turn(bench);
	bench->conntrack_ns = bench->records_ns = bench->questions_ns = 0;
	bench->flows = bench->right = 0;
	truth_maker_begin(&bench->maker, &cell->truth, SPAWNERS, cell->is_one);
	while (!has_ended) {
		has_ended = await_flows(bench, turn_size);
		run_turn(bench);
	}
	flush(bench);
	poll(NULL, 0, 1);
	run_turn(bench);
	run_turn(bench);
	flows = bench->flows ? (double)bench->flows : 1;
	return (struct cost){.conntrack_us = (double)bench->conntrack_ns / 1e3 / flows,
			     .records_us = (double)bench->records_ns / 1e3 / flows,
			     .questions_us = (double)bench->questions_ns / 1e3 / flows,
			     .forgetting_us = (double)forget(bench) / 1e3 / flows};
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const struct cost *costs, size_t offset)
{
	double values[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++)
		memcpy(&values[i], (const char *)&costs[i] + offset, sizeof(values[i]));
	qsort(values, ROUNDS, sizeof(values[0]), compare);
	return values[ROUNDS / 2];
}

static double median_sum(const struct cost *costs)
{
	struct cost sums[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++)
		sums[i].records_us =
			costs[i].records_us + costs[i].questions_us + costs[i].forgetting_us;
	return median(sums, offsetof(struct cost, records_us));
}

static void on_socket(void *userdata, const struct socket_event *event)
{
	attribution_add_socket(userdata, event);
}

static void on_process(void *userdata, const struct process_event *event)
{
	attribution_add_process(userdata, event);
}

static void on_lost(void *userdata, uint64_t from_ns, uint64_t until_ns)
{
	attribution_add_lost(userdata, from_ns, until_ns);
}

static int open_events(struct bench *bench)
{
	int r = netlink_channel_open(NETLINK_NETFILTER, &bench->orders);

	if (r == 0)
		r = netlink_channel_open(NETLINK_NETFILTER, &bench->events);
	if (r < 0)
		return r;
	netlink_channel_set_receive_buffer(bench->events, BUFFER_BYTES);
	r = netlink_channel_join(bench->events, NFNLGRP_CONNTRACK_NEW);
	return r < 0 ? r : netlink_channel_join(bench->events, NFNLGRP_CONNTRACK_DESTROY);
}

static int open_all(struct bench *bench, int proc_fd)
{
	struct attribution_options attribution = {.methods = CONFIG_METHOD_TRACE |
							     CONFIG_METHOD_SOCK_DIAG,
						  .proc_fd = proc_fd,
						  .all_namespaces = true};
	struct trace_options trace = {
		.handlers = {.on_socket = on_socket, .on_process = on_process, .on_lost = on_lost}};
	char reason[TRACE_REASON_SIZE] = "";
	int r = open_events(bench);

	if (r == 0)
		r = loop_new(&bench->loop);
	if (r == 0)
		r = attribution_new(&attribution, &bench->attribution);
	if (r < 0)
		return r;
	trace.handlers.userdata = bench->attribution;
	r = trace_new(bench->loop, &trace, reason, &bench->trace);
	if (r < 0)
		fprintf(stderr, "trace: %s\n", reason);
	else
		attribution_begin_trace(bench->attribution, clock_now_ns());
	return r;
}

int main(int argc, char **argv)
{
	static const struct cell cells[] = {
		{"UDP v4, one process", {TRUTH_UDP_SEND, AF_INET, false, NULL}, true},
		{"UDP v4, fork", {TRUTH_UDP_SEND, AF_INET, false, NULL}, false},
		{"UDP v6, fork", {TRUTH_UDP_SEND, AF_INET6, false, NULL}, false},
		{"TCP v4, fork", {TRUTH_TCP, AF_INET, false, NULL}, false},
		{"TCP v6, fork", {TRUTH_TCP, AF_INET6, false, NULL}, false},
		{"TCP v4, fork and exec", {TRUTH_TCP, AF_INET, true, NULL}, false},
	};
	static struct bench bench;
	static struct cost costs[array_length(cells) * TURN_SIZES][ROUNDS];
	static size_t flows[array_length(costs)], right[array_length(costs)];
	cleanup_close int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t count = array_length(cells);

	bench.maker = (struct truth_maker){.sender = argc > 1 ? argv[1] : NULL, .count = FLOWS};
	count -= bench.maker.sender == NULL;
	if (proc_fd < 0 || network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: needs root\n");
		return 77;
	}
	truth_maker_start(&bench.maker);
	/* As the daemon does. */
	network_namespace_set("netfilter/nf_conntrack_acct", "1");
	network_namespace_set("netfilter/nf_conntrack_timestamp", "1");
	if (network_namespace_track() < 0 || open_all(&bench, proc_fd) < 0) {
		fprintf(stderr, "skipped: needs root, connection tracking and tracepoints\n");
		return 77;
	}
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < count * TURN_SIZES; i++) {
			costs[i][round] = run_cell(&bench, &cells[i / TURN_SIZES],
						   turn_sizes[i % TURN_SIZES]);
			flows[i] += bench.flows;
			right[i] += bench.right;
		}
	printf("%-24s %6s %9s | %9s %9s %9s %9s us/flow  %s\n", "flows", "a turn", "conntrack",
	       "records", "questions", "forget", "all", "by trace");
	for (size_t i = 0; i < count * TURN_SIZES; i++)
		printf("%-24s %6zu %9.2f | %9.2f %9.2f %9.2f %9.2f          %zu of %zu\n",
		       cells[i / TURN_SIZES].name, turn_sizes[i % TURN_SIZES],
		       median(costs[i], offsetof(struct cost, conntrack_us)),
		       median(costs[i], offsetof(struct cost, records_us)),
		       median(costs[i], offsetof(struct cost, questions_us)),
		       median(costs[i], offsetof(struct cost, forgetting_us)), median_sum(costs[i]),
		       right[i], flows[i]);
	trace_free(bench.trace);
	attribution_free(bench.attribution);
	loop_free(bench.loop);
	netlink_channel_close(bench.events);
	netlink_channel_close(bench.orders);
	return 0;
}
