/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "pipeline.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "flow/flow_filter.h"
#include "flow/flow_queue.h"
#include "flow_owners.h"
#include "packets.h"
#include "process/inspect.h"
#include "record_builder.h"

/* Owners that are provisional are asked for again after each of these. */
static const uint64_t retry_delays_ns[] = {2 * NS_PER_MS, 20 * NS_PER_MS, 200 * NS_PER_MS,
					   2 * NS_PER_SEC};
enum { RETRY_STAGES = array_length(retry_delays_ns) };

/* Between the close of a connection and its record: its last acknowledgements are still on their way. */
#define CLOSING_NS (100 * NS_PER_MS)

/* ... and longer where a socket here has not been told to have ended: on busy CPUs the kernel's worker
 * that tells it comes late (docs/measured.md). */
#define UNTOLD_NS (400 * NS_PER_MS)

/* Samples of processes whose flows have just begun, for one wake-up; with the pause: a fiftieth of
 * one CPU at the most. */
enum { WATCHED_PER_TURN = 32 };
#define WATCH_PAUSE_NS (10 * NS_PER_MS)

/* What the sockets of connections told that nobody has asked for yet. Conntrack keeps the longest that
 * one end alone has closed for two minutes. */
enum { MOST_ENDED_SOCKETS = 65536 };
#define KEEP_ENDED_SOCKETS_NS (150 * NS_PER_SEC)

struct pipeline {
	struct pipeline_parts parts;
	struct pipeline_counters counters;
	struct config_flows config; /* prefixes borrowed */
	struct flow_filter filter;
	uint64_t start_ns;
	struct flow_table *flows;
	struct flow_owners owners;
	struct conntrack *conntrack;
	struct socket_end *socket_end;
	struct ended_sockets ended_sockets;
	struct packets *packets; /* NULL: there are none */
	struct loop_source *queue_timer;
	struct flow_queue retries[RETRY_STAGES];
	struct flow_queue closing;
	struct flow_queue untold; /* closed, and waits for its sockets */
	uint64_t watched_ns;	  /* when watched processes were sampled last */
	void (*on_listed)(void *userdata);
	void *on_listed_userdata;
};

DEFINE_CLEANUP(struct pipeline *, pipeline_free);

static uint64_t get_watch_due(const struct pipeline *pipeline)
{
	uint64_t due_ns = process_table_get_watch_due(pipeline->parts.processes);
	uint64_t pause_ns = pipeline->watched_ns + WATCH_PAUSE_NS;

	return due_ns > pause_ns ? due_ns : pause_ns;
}

static void run_watched(struct pipeline *pipeline, uint64_t now_ns)
{
	if (get_watch_due(pipeline) > now_ns)
		return;
	pipeline->watched_ns = now_ns;
	process_table_run_watched(pipeline->parts.processes, now_ns, WATCHED_PER_TURN);
}

static void arm_queue_timer(struct pipeline *pipeline)
{
	uint64_t due_ns = flow_queue_get_wake_up(&pipeline->closing);
	uint64_t watch_ns = get_watch_due(pipeline);
	uint64_t untold_ns = flow_queue_get_wake_up(&pipeline->untold);

	for (size_t i = 0; i < RETRY_STAGES; i++) {
		uint64_t other_ns = flow_queue_get_wake_up(&pipeline->retries[i]);

		if (other_ns < due_ns)
			due_ns = other_ns;
	}
	if (untold_ns < due_ns)
		due_ns = untold_ns;
	if (watch_ns < due_ns)
		due_ns = watch_ns;
	if (due_ns != UINT64_MAX)
		loop_source_set_time(pipeline->queue_timer, due_ns);
}

static void remember_retry(struct pipeline *pipeline, struct flow *flow, size_t stage,
			   uint64_t now_ns)
{
	if (flow_queue_add(&pipeline->retries[stage], flow, now_ns) < 0)
		pipeline->counters.retries_dropped++;
}

static bool is_provisional(const struct flow *flow)
{
	return flow->src.is_provisional || flow->dst.is_provisional;
}

static bool is_closed(const struct flow *flow)
{
	return flow->key.protocol == IPPROTO_TCP && (flow->tcp_state == TCP_CONNTRACK_TIME_WAIT ||
						     flow->tcp_state == TCP_CONNTRACK_CLOSE);
}

static void ask_again(struct pipeline *pipeline, struct flow *flow, bool has_ended, uint64_t now_ns)
{
	pipeline->counters.retries++;
	flow_owners_drain_trace(&pipeline->owners, now_ns);
	if (flow->src.is_provisional)
		flow_owners_ask(&pipeline->owners, flow, &flow->src, has_ended, now_ns);
	if (flow->dst.is_provisional)
		flow_owners_ask(&pipeline->owners, flow, &flow->dst, has_ended, now_ns);
}

static void run_retries(struct pipeline *pipeline, size_t stage, uint64_t now_ns)
{
	struct flow *flow;

	while ((flow = flow_queue_take(&pipeline->retries[stage], now_ns))) {
		if (!is_provisional(flow))
			continue;
		ask_again(pipeline, flow, is_closed(flow), now_ns);
		if (is_provisional(flow) && stage + 1 < RETRY_STAGES)
			remember_retry(pipeline, flow, stage + 1, now_ns);
	}
}

/* The event that told of the close carries no counters (ctnetlink_conntrack_event() in
 * nf_conntrack_netlink.c): fetch them. If the entry is gone its DESTROY has them. */
static void report_closed(struct pipeline *pipeline, struct flow *flow)
{
	struct flow_event closed = {
		.type = FLOW_EVENT_CLOSED,
		.key = flow->key,
		.conntrack_id = flow->conntrack_id,
		.tcp_state = flow->tcp_state,
		.when_ns = flow->last_seen_ns,
	};

	if (flow->is_from_packets || !pipeline->conntrack ||
	    conntrack_query(pipeline->conntrack, &flow->key, flow->conntrack_id) == 0)
		flow_table_handle_event(pipeline->flows, &closed);
}

static bool is_elsewhere(const struct pipeline *pipeline, const struct socket_tuple *socket)
{
	return !attribution_has_address(pipeline->parts.attribution, socket->family,
					&socket->local);
}

/* Whether a socket of the connection is on this host and has not been told to have ended. */
static bool is_untold(const struct pipeline *pipeline, const struct flow *flow)
{
	for (int initiator = 0; initiator <= 1; initiator++) {
		const struct flow_end *end = initiator ? &flow->src : &flow->dst;
		struct socket_tuple socket = flow_owners_get_socket(flow, initiator);

		if (end->method != OWNERSHIP_REMOTE &&
		    !ended_sockets_has(&pipeline->ended_sockets, &socket,
				       is_elsewhere(pipeline, &socket)))
			return true;
	}
	return false;
}

static void run_closing(struct pipeline *pipeline, uint64_t now_ns)
{
	struct flow *flow;

	if (flow_queue_get_due(&pipeline->closing) > now_ns &&
	    flow_queue_get_due(&pipeline->untold) > now_ns)
		return;
	if (pipeline->socket_end)
		socket_end_drain(pipeline->socket_end);
	while ((flow = flow_queue_take(&pipeline->untold, now_ns)))
		report_closed(pipeline, flow);
	while ((flow = flow_queue_take(&pipeline->closing, now_ns))) {
		if (pipeline->socket_end && is_untold(pipeline, flow) &&
		    flow_queue_add(&pipeline->untold, flow, now_ns) == 0)
			pipeline->counters.records_held++;
		else
			report_closed(pipeline, flow);
	}
}

static void on_queue_due(void *userdata, uint64_t now_ns)
{
	struct pipeline *pipeline = userdata;

	for (size_t stage = 0; stage < RETRY_STAGES; stage++)
		run_retries(pipeline, stage, now_ns);
	run_closing(pipeline, now_ns);
	run_watched(pipeline, now_ns);
	arm_queue_timer(pipeline);
}

void pipeline_on_socket_end(void *userdata, const struct socket_end_event *event)
{
	struct pipeline *pipeline = userdata;

	ended_sockets_add(&pipeline->ended_sockets, event);
}

static void forget_ended_socket(struct pipeline *pipeline, const struct flow *flow, bool initiator)
{
	struct socket_tuple socket;

	if (ended_sockets_is_empty(&pipeline->ended_sockets))
		return;
	socket = flow_owners_get_socket(flow, initiator);
	ended_sockets_forget(&pipeline->ended_sockets, &socket, is_elsewhere(pipeline, &socket),
			     flow_owners_get_not_before(flow) ? flow_owners_get_not_before(flow)
							      : flow->start_ns);
}

static void take_quality(struct pipeline *pipeline, const struct flow *flow, bool initiator,
			 struct record_process *ret)
{
	struct socket_tuple socket = flow_owners_get_socket(flow, initiator);

	ret->has_quality = ended_sockets_take(&pipeline->ended_sockets, &socket,
					      is_elsewhere(pipeline, &socket), &ret->quality);
}

static void on_flow_open(void *userdata, struct flow *flow)
{
	struct pipeline *pipeline = userdata;
	uint64_t now_ns = clock_now_ns();

	packets_on_open(pipeline->packets, flow);
	flow_owners_ask(&pipeline->owners, flow, &flow->src, false, now_ns);
	flow_owners_ask(&pipeline->owners, flow, &flow->dst, false, now_ns);
	if (flow->key.protocol == IPPROTO_TCP) {
		forget_ended_socket(pipeline, flow, true);
		forget_ended_socket(pipeline, flow, false);
	}
	if (is_provisional(flow))
		remember_retry(pipeline, flow, 0, now_ns);
	if (is_provisional(flow) || flow->src.process || flow->dst.process)
		arm_queue_timer(pipeline);
}

static void on_flow_close(void *userdata, struct flow *flow)
{
	struct pipeline *pipeline = userdata;

	packets_on_close(pipeline->packets, flow);
	flow_owners_drop(&pipeline->owners, &flow->src);
	flow_owners_drop(&pipeline->owners, &flow->dst);
}

/* Of a process that had used nothing by its base that is true of any time before as well; when the flow
 * began may have been learnt since. */
static void align_base(struct pipeline *pipeline, const struct flow *flow, struct flow_end *end,
		       uint64_t now_ns)
{
	uint64_t start_ns = flow->start_ns;
	struct process_usage usage;

	/* Of one that was gone at first all counts or nothing, by when the flow began. */
	if (flow->records <= 1 && end->process && process_is_late(end->process) &&
	    process_table_read_base(pipeline->parts.processes, end->process, start_ns, now_ns,
				    &usage) == 0)
		record_builder_set_base(end, &usage);
	if (end->base_ns > start_ns && start_ns && end->base_cpu_ns == 0 &&
	    end->base_minor_faults == 0 && end->base_major_faults == 0)
		end->base_ns = start_ns;
}

static void name_end(struct pipeline *pipeline, const struct flow_end *end, uint64_t now_ns,
		     struct record_process *ret)
{
	*ret = (struct record_process){0};
	if (!end->process) {
		ret->cgroup = end->cgroup;
		if (end->has_uid)
			process_table_find_user_name(pipeline->parts.processes, end->uid, now_ns,
						     ret->socket_user_name);
		return;
	}
	flow_owners_complete(&pipeline->owners, end, now_ns);
	ret->identity = process_get_identity(end->process);
	ret->cgroup = ret->identity->cgroup;
	ret->package = process_table_find_package(pipeline->parts.processes, ret->identity);
	ret->parent_package =
		process_table_find_parent_package(pipeline->parts.processes, ret->identity);
}

static void describe_end(struct pipeline *pipeline, const struct flow *flow,
			 const struct flow_end *end, uint64_t end_ns, uint64_t now_ns,
			 struct record_process *ret)
{
	name_end(pipeline, end, now_ns, ret);
	if (!end->process)
		return;
	ret->has_usage = process_table_read_end(pipeline->parts.processes, end->process,
						end->base_ns, end_ns, now_ns, &ret->usage) == 0;
	ret->peak_memory_bytes = process_find_peak_memory(end->process, flow->start_ns, end_ns);
}

static void describe_open_end(struct pipeline *pipeline, const struct flow *flow,
			      const struct flow_end *end, uint64_t now_ns,
			      struct record_process *ret)
{
	name_end(pipeline, end, now_ns, ret);
	if (!end->process)
		return;
	ret->has_usage = process_inspect_last_usage(end->process, &ret->usage);
	ret->peak_memory_bytes = process_find_peak_memory(end->process, flow->start_ns, now_ns);
}

void pipeline_describe_flow(struct pipeline *pipeline, const struct flow *flow, uint64_t now_ns,
			    struct pipeline_description *ret)
{
	struct flow_report report = {
		.reason = FLOW_END_ACTIVE, .end_ns = flow->last_seen_ns, .counters = flow->seen};

	describe_open_end(pipeline, flow, &flow->src, now_ns, &ret->src);
	describe_open_end(pipeline, flow, &flow->dst, now_ns, &ret->dst);
	record_builder_build(flow, &report, &ret->src, &ret->dst, clock_wall_offset_ns(),
			     &ret->record);
}

static void count_end(struct pipeline *pipeline, const struct flow_end *end)
{
	pipeline->counters.ends[end->method]++;
	if (end->method == OWNERSHIP_NONE)
		pipeline->counters.ends_unknown[end->reason]++;
}

static bool is_wanted(const struct pipeline *pipeline, const struct flow *flow)
{
	return !pipeline->config.only_local || flow->src.method != OWNERSHIP_REMOTE ||
	       flow->dst.method != OWNERSHIP_REMOTE;
}

static void ignore(struct pipeline *pipeline, const struct flow_counters *counters)
{
	pipeline->parts.ignored->packets += counters->in_packets + counters->out_packets;
	pipeline->parts.ignored->octets += counters->in_bytes + counters->out_bytes;
}

static void on_flow_report(void *userdata, struct flow *flow, const struct flow_report *report)
{
	struct pipeline *pipeline = userdata;
	uint64_t now_ns = clock_now_ns();
	struct record_process src, dst;
	struct flow_record record;

	if (!is_wanted(pipeline, flow)) {
		pipeline->counters.records_filtered++;
		if (flow->has_counters)
			ignore(pipeline, &report->counters);
		return;
	}
	if (is_provisional(flow))
		ask_again(pipeline, flow,
			  is_closed(flow) ||
				  (report->is_last && report->reason == FLOW_END_DETECTED &&
				   flow->key.protocol == IPPROTO_TCP),
			  now_ns);
	packets_tell_users(pipeline->packets, flow);
	align_base(pipeline, flow, &flow->src, now_ns);
	align_base(pipeline, flow, &flow->dst, now_ns);
	describe_end(pipeline, flow, &flow->src, report->end_ns, now_ns, &src);
	describe_end(pipeline, flow, &flow->dst, report->end_ns, now_ns, &dst);
	if (report->is_last && flow->key.protocol == IPPROTO_TCP) {
		take_quality(pipeline, flow, true, &src);
		take_quality(pipeline, flow, false, &dst);
	}
	record_builder_build(flow, report, &src, &dst, clock_wall_offset_ns(), &record);
	packets_describe(pipeline->packets, flow, &record);
	pipeline->counters.records++;
	count_end(pipeline, &flow->src);
	count_end(pipeline, &flow->dst);
	for (size_t i = 0; i < pipeline->parts.exporters->count; i++)
		exporter_export(pipeline->parts.exporters->items[i], &record);
	if (report->is_last)
		return;
	if (src.has_usage)
		record_builder_set_base(&flow->src, &src.usage);
	if (dst.has_usage)
		record_builder_set_base(&flow->dst, &dst.usage);
}

/* What the processes used until now is noted at once; the rest of the record can wait for the last
 * packets. */
static void on_connection_closed(struct pipeline *pipeline, const struct flow_event *event)
{
	struct flow *flow = flow_table_find(pipeline->flows, &event->key, event->conntrack_id);
	struct flow_end *ends[2];
	struct process_usage usage;

	if (pipeline->config.report_tcp_end != CONFIG_TCP_END_CLOSE || !flow)
		return;
	flow->tcp_state = event->tcp_state;
	if (event->last_packet_ns)
		flow->last_seen_ns = event->last_packet_ns;
	else if (!event->is_from_packets) /* "when" is now, the packet was before */
		flow->last_seen_ns = event->when_ns;
	ends[0] = &flow->src;
	ends[1] = &flow->dst;
	for (size_t i = 0; i < array_length(ends); i++)
		if (ends[i]->process)
			process_table_sample(pipeline->parts.processes, ends[i]->process,
					     event->when_ns, event->when_ns, &usage);
	if (flow_queue_add(&pipeline->closing, flow, event->when_ns) < 0)
		report_closed(pipeline, flow);
	else
		arm_queue_timer(pipeline);
}

static void on_conntrack_event(void *userdata, const struct flow_event *event)
{
	struct pipeline *pipeline = userdata;

	if (!flow_filter_passes(&pipeline->filter, &event->key)) {
		if (event->type == FLOW_EVENT_NEW)
			pipeline->counters.flows_filtered++;
		/* What an older flow had before is not to be told from what came since. */
		if (event->type == FLOW_EVENT_DESTROY && event->has_counters &&
		    event->start_ns >= pipeline->start_ns)
			ignore(pipeline, &event->counters);
		return;
	}
	if (event->type == FLOW_EVENT_CLOSED) {
		on_connection_closed(pipeline, event);
		return;
	}
	if (event->type == FLOW_EVENT_NEW)
		flow_owners_drain_trace(&pipeline->owners, event->when_ns);
	else if (event->type == FLOW_EVENT_DESTROY)
		packets_drain(pipeline->packets, event->when_ns);
	flow_table_handle_event(pipeline->flows, event);
}

static struct flow_listing to_flow_listing(enum conntrack_listing listing, bool is_torn)
{
	return (struct flow_listing){
		.is_first = listing == CONNTRACK_LISTING_START,
		.is_resync = listing == CONNTRACK_LISTING_RESYNC,
		.is_complete = !is_torn,
	};
}

static void on_listing_begins(void *userdata, enum conntrack_listing listing)
{
	struct pipeline *pipeline = userdata;
	struct flow_listing flow_listing = to_flow_listing(listing, false);

	flow_table_begin_listing(pipeline->flows, &flow_listing);
}

static void on_listed(void *userdata, enum conntrack_listing listing, bool is_torn)
{
	struct pipeline *pipeline = userdata;
	struct flow_listing flow_listing = to_flow_listing(listing, is_torn);
	uint64_t now_ns = clock_now_ns();

	flow_table_end_listing(pipeline->flows, &flow_listing, now_ns);
	flow_table_run_timeouts(pipeline->flows, now_ns);
	if (pipeline->on_listed)
		pipeline->on_listed(pipeline->on_listed_userdata);
}

struct conntrack_handlers pipeline_get_conntrack_handlers(struct pipeline *pipeline)
{
	return (struct conntrack_handlers){
		.on_event = on_conntrack_event,
		.on_listing_begins = on_listing_begins,
		.on_listed = on_listed,
		.userdata = pipeline,
	};
}

void pipeline_set_conntrack(struct pipeline *pipeline, struct conntrack *conntrack)
{
	pipeline->conntrack = conntrack;
}

void pipeline_set_socket_end(struct pipeline *pipeline, struct socket_end *socket_end)
{
	pipeline->socket_end = socket_end;
}

void pipeline_set_packets(struct pipeline *pipeline, struct packets *packets)
{
	pipeline->packets = packets;
}

void pipeline_set_on_listed(struct pipeline *pipeline, void (*handler)(void *userdata),
			    void *userdata)
{
	pipeline->on_listed = handler;
	pipeline->on_listed_userdata = userdata;
}

void pipeline_flush(struct pipeline *pipeline)
{
	flow_table_flush(pipeline->flows, clock_now_ns());
}

/* Nanoseconds since boot: a daemon that starts anew starts above every id its predecessor gave,
 * because no host opens a thousand million flows a second. */
static uint64_t first_flow_id(void)
{
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (uint64_t)boot.tv_sec * NS_PER_SEC + (uint64_t)boot.tv_nsec;
}

int pipeline_new(const struct config *config, const struct pipeline_parts *parts,
		 struct pipeline **ret)
{
	cleanup(pipeline_free_cleanup) struct pipeline *pipeline = calloc(1, sizeof(*pipeline));
	struct flow_table_options options = {
		.max_flows = config->flows.max_flows,
		.active_timeout_ns = config->flows.active_timeout_ns,
		.idle_timeout_ns = config->flows.idle_timeout_ns,
		.report_tcp_close = config->flows.report_tcp_end == CONFIG_TCP_END_CLOSE,
		.start_ns = clock_now_ns(),
		.first_id = first_flow_id(),
		.handlers = {.on_open = on_flow_open,
			     .on_counted = flow_owners_on_counted,
			     .on_report = on_flow_report,
			     .on_close = on_flow_close},
	};
	int r;

	if (!pipeline)
		return -ENOMEM;
	pipeline->parts = *parts;
	pipeline->owners = (struct flow_owners){
		.attribution = parts->attribution,
		.processes = parts->processes,
		.reporter = parts->reporter,
		.trace = parts->trace,
		.improved = &pipeline->counters.retries_better,
	};
	pipeline->config = config->flows;
	pipeline->start_ns = options.start_ns;
	pipeline->filter = (struct flow_filter){.include = config->flows.include.items,
						.include_count = config->flows.include.count,
						.exclude = config->flows.exclude.items,
						.exclude_count = config->flows.exclude.count};
	for (size_t i = 0; i < RETRY_STAGES; i++)
		flow_queue_init(&pipeline->retries[i], retry_delays_ns[i]);
	flow_queue_init(&pipeline->closing, CLOSING_NS);
	flow_queue_init(&pipeline->untold, UNTOLD_NS);
	ended_sockets_init(&pipeline->ended_sockets, MOST_ENDED_SOCKETS, KEEP_ENDED_SOCKETS_NS);
	options.handlers.userdata = pipeline;
	r = flow_table_new(&options, &pipeline->flows);
	if (r < 0)
		return r;
	r = loop_add_timer(parts->loop, UINT64_MAX, on_queue_due, pipeline, &pipeline->queue_timer);
	if (r < 0)
		return r;
	*ret = steal_pointer(&pipeline);
	return 0;
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	flow_table_free(pipeline->flows);
	loop_source_free(pipeline->queue_timer);
	for (size_t i = 0; i < RETRY_STAGES; i++)
		flow_queue_fini(&pipeline->retries[i]);
	flow_queue_fini(&pipeline->closing);
	flow_queue_fini(&pipeline->untold);
	ended_sockets_fini(&pipeline->ended_sockets);
	free(pipeline);
}

struct flow_table *pipeline_get_flow_table(struct pipeline *pipeline)
{
	return pipeline->flows;
}

const struct flow_table *pipeline_get_flows(const struct pipeline *pipeline)
{
	return pipeline->flows;
}

const struct ended_sockets_counters *pipeline_get_socket_counters(const struct pipeline *pipeline)
{
	return &pipeline->ended_sockets.counters;
}

const struct pipeline_counters *pipeline_get_counters(const struct pipeline *pipeline)
{
	return &pipeline->counters;
}
