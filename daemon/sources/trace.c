/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "procfs/text_file.h"
#include "sources/trace_connect.h"
#include "sources/trace_merge.h"
#include "sources/trace_ports.h"
#include "sources/trace_rings.h"
#include "sources/trace_setup.h"
#include "sources/trace_teller.h"

enum { RING_BYTES = 1 << 20, MAX_CONNECTING = 16384 };

/* Drains on demand do the work; this one keeps the rings of a quiet host from ageing. */
static const uint64_t drain_interval_ns = NS_PER_SEC;
static const uint64_t scan_interval_ns = 5 * NS_PER_SEC;
/* A port that was found busy is listened to again after a while: it may be somebody else's. */
static const uint64_t exclusion_ns = 60 * NS_PER_SEC;

struct trace {
	struct trace_handlers handlers;
	struct trace_counters counters;
	struct trace_format formats[TRACE_TRACEPOINT_COUNT];
	struct trace_rings *rings;
	struct trace_connect *connect;
	struct trace_teller teller;
	struct loop_source *io, *timer;
	struct trace_merge_input *inputs; /* one for each ring */
	uint64_t *last_ns;		  /* the time of the last record of each ring */
	uint32_t *heap;
	size_t inputs_count;
	uint64_t newest_ns; /* of all records handed out */
	uint64_t scanned_ns, scanned_before_ns, reviewed_ns;
	struct trace_ports excluded[TRACE_BUSY_COUNT];
	uint32_t busy_port_rate;
	bool is_draining;
	bool lacks_ring; /* a CPU is online whose ring could not be opened */
};

DEFINE_CLEANUP(struct trace *, trace_free);

static void tell_lost(struct trace *trace, uint64_t from_ns, uint64_t until_ns)
{
	trace->counters.lost_spans++;
	if (trace->handlers.on_lost)
		trace->handlers.on_lost(trace->handlers.userdata, from_ns, until_ns);
}

static void on_record(void *userdata, const struct trace_record *record, size_t input)
{
	struct trace *trace = userdata;

	trace->counters.records++;
	if (record->when_ns < trace->newest_ns)
		trace->counters.late++;
	else
		trace->newest_ns = record->when_ns;
	if (record->type == TRACE_RECORD_LOST) {
		trace->counters.lost += record->lost;
		tell_lost(trace, trace->last_ns[input], record->when_ns);
	} else {
		trace_teller_tell(&trace->teller, record);
	}
	trace->last_ns[input] = record->when_ns;
}

static void on_malformed(void *userdata, size_t input, bool is_torn)
{
	struct trace *trace = userdata;

	trace->counters.malformed++;
	if (is_torn)
		tell_lost(trace, trace->last_ns[input], clock_now_ns());
}

void trace_drain(struct trace *trace)
{
	const struct trace_merge_handlers handlers = {
		.on_record = on_record, .on_malformed = on_malformed, .userdata = trace};
	/* Taken before the first ring is looked at: what was written before it is in some ring, so
	 * nothing that belongs between two records of this drain can turn up in the next one. */
	uint64_t limit_ns = clock_now_ns();

	if (trace->is_draining)
		return;
	trace->is_draining = true;
	trace->counters.drains++;
	for (size_t i = 0; i < trace->inputs_count; i++)
		trace->inputs[i].reader = trace_ring_begin(trace_rings_get(trace->rings, i));
	trace_merge_run(trace->inputs, trace->heap, trace->inputs_count, limit_ns, &handlers);
	for (size_t i = 0; i < trace->inputs_count; i++) {
		struct trace_ring *ring = trace_rings_get(trace->rings, i);

		/* The record that tells of a loss is written by the next one that fits, perhaps
		 * much later: until then a full ring is as good as a lossy one. */
		if (trace_ring_was_full(ring))
			tell_lost(trace, trace->last_ns[i], limit_ns);
		trace_ring_release(ring);
	}
	trace->is_draining = false;
}

/* One place for each ring; a ring starts out with "now_ns" as the time of its last record. */
static int fit_inputs(struct trace *trace, uint64_t now_ns)
{
	size_t count = trace_rings_get_count(trace->rings);
	cleanup_free struct trace_merge_input *inputs = calloc(count, sizeof(*inputs));
	cleanup_free uint64_t *last_ns = calloc(count, sizeof(*last_ns));
	cleanup_free uint32_t *heap = calloc(count, sizeof(*heap));

	if (!inputs || !last_ns || !heap)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		last_ns[i] = now_ns;
	free(trace->inputs);
	free(trace->last_ns);
	free(trace->heap);
	trace->inputs = steal_pointer(&inputs);
	trace->last_ns = steal_pointer(&last_ns);
	trace->heap = steal_pointer(&heap);
	trace->inputs_count = count;
	return 0;
}

static void scan_cpus(struct trace *trace, uint64_t now_ns)
{
	size_t before = trace->inputs_count;
	int opened = trace_rings_scan(trace->rings);

	if (opened > 0)
		trace->counters.rings_reopened += (uint64_t)opened;
	/* What a CPU does without a ring is unknown; also where it gets none now. */
	trace->lacks_ring = opened < 0;
	/* A CPU that was away for a moment passes for alive at the first look after it, because its
	 * ring was fed until then: it may have been lost since the look before that. */
	if (opened != 0)
		tell_lost(trace, trace->scanned_before_ns, clock_now_ns());
	/* Rings may have changed places, also where their number is the same. */
	if (opened != 0 || trace_rings_get_count(trace->rings) != before) {
		trace->inputs_count = 0;
		fit_inputs(trace, trace->scanned_ns);
	}
	trace->scanned_before_ns = trace->scanned_ns;
	trace->scanned_ns = now_ns;
}

static void on_io(void *userdata, unused uint32_t events)
{
	trace_drain(userdata);
}

static int build_filters(const struct trace *trace, struct buffer filters[TRACE_TRACEPOINT_COUNT])
{
	for (enum trace_tracepoint i = 0; i < TRACE_TRACEPOINT_COUNT; i++) {
		trace_setup_build_filter(
			i, &trace->excluded[i == TRACE_RECEIVE ? TRACE_BUSY_TCP : TRACE_BUSY_UDP],
			&filters[i]);
		if (filters[i].failed)
			return -ENOMEM;
	}
	return 0;
}

static void free_filters(struct buffer filters[TRACE_TRACEPOINT_COUNT])
{
	for (size_t i = 0; i < TRACE_TRACEPOINT_COUNT; i++)
		buffer_fini(&filters[i]);
}

static int update_filters(struct trace *trace, enum trace_busy_kind kind)
{
	enum trace_tracepoint first = kind == TRACE_BUSY_TCP ? TRACE_RECEIVE : TRACE_LOOKUP_V4;
	enum trace_tracepoint last = kind == TRACE_BUSY_TCP ? TRACE_RECEIVE : TRACE_LOOKUP_V6;
	struct buffer filters[TRACE_TRACEPOINT_COUNT] = {0};
	int r = build_filters(trace, filters);

	for (enum trace_tracepoint i = first; r == 0 && i <= last; i++)
		r = trace_rings_set_filter(trace->rings, i, (const char *)filters[i].bytes);
	free_filters(filters);
	return r;
}

static int exclude_port(struct trace *trace, enum trace_busy_kind kind, uint16_t port,
			uint64_t until_ns)
{
	int r = trace_ports_add(&trace->excluded[kind], port, until_ns);

	if (r < 0)
		return r;
	r = update_filters(trace, kind);
	if (r < 0) {
		trace_ports_remove_last(&trace->excluded[kind]);
		update_filters(trace, kind);
		return r;
	}
	trace->counters.ports_excluded_ever++;
	trace_drain(trace); /* what the old filter let in comes before the word that it is over */
	if (trace->handlers.on_port_excluded)
		trace->handlers.on_port_excluded(trace->handlers.userdata,
						 kind == TRACE_BUSY_TCP ? IPPROTO_TCP : IPPROTO_UDP,
						 port);
	return 0;
}

static void review_ports_of(struct trace *trace, enum trace_busy_kind kind, uint64_t span_ns,
			    uint64_t now_ns)
{
	uint64_t threshold = (uint64_t)trace->busy_port_rate * span_ns / NS_PER_SEC;
	uint16_t ports[TRACE_PORTS_MAX];
	size_t count;

	if (trace_ports_expire(&trace->excluded[kind], now_ns))
		update_filters(trace, kind);
	if (threshold == 0)
		return;
	count = trace_busy_take(&trace->teller.busy[kind],
				threshold > UINT32_MAX ? UINT32_MAX : (uint32_t)threshold, ports,
				TRACE_PORTS_MAX);
	for (size_t i = 0; i < count; i++)
		exclude_port(trace, kind, ports[i], now_ns + exclusion_ns);
}

static void review_ports(struct trace *trace, uint64_t now_ns)
{
	uint64_t span_ns = now_ns - trace->reviewed_ns;

	trace->reviewed_ns = now_ns;
	for (enum trace_busy_kind i = 0; i < TRACE_BUSY_COUNT; i++)
		review_ports_of(trace, i, span_ns, now_ns);
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	struct trace *trace = userdata;

	trace_drain(trace);
	if (trace->lacks_ring || now_ns - trace->scanned_ns >= scan_interval_ns)
		scan_cpus(trace, now_ns);
	review_ports(trace, now_ns);
	loop_source_set_time(trace->timer, now_ns + drain_interval_ns);
}

static int open_rings(struct trace *trace, size_t ring_bytes, char reason[TRACE_REASON_SIZE])
{
	struct trace_rings_options options = {.formats = trace->formats,
					      .ring_bytes = ring_bytes ? ring_bytes : RING_BYTES};
	struct buffer filters[TRACE_TRACEPOINT_COUNT] = {0};
	enum trace_tracepoint failed = TRACE_TRACEPOINT_COUNT;
	char cgroups[4096];
	int r = build_filters(trace, filters);

	options.wants_cgroups = procfs_read_text(AT_FDCWD, "/proc/self/cgroup", cgroups,
						 sizeof(cgroups)) > 0 &&
				trace_setup_has_cgroups(cgroups);

	for (size_t i = 0; r == 0 && i < TRACE_TRACEPOINT_COUNT; i++)
		options.filters[i] = filters[i].length ? (const char *)filters[i].bytes : NULL;
	if (r == 0)
		r = trace_rings_open(&options, &trace->rings, &failed);
	if (r < 0)
		trace_setup_explain_open(r, failed, reason);
	free_filters(filters);
	return r;
}

static int enter_loop(struct trace *trace, struct loop *loop, uint64_t now_ns)
{
	int r = loop_add_io(loop, trace_rings_get_fd(trace->rings), EPOLLIN, on_io, trace,
			    &trace->io);

	if (r < 0)
		return r;
	loop_source_set_priority(trace->io, LOOP_PRIORITY_KERNEL);
	return loop_add_timer(loop, now_ns + drain_interval_ns, on_timer, trace, &trace->timer);
}

int trace_new(struct loop *loop, const struct trace_options *options,
	      char reason[TRACE_REASON_SIZE], struct trace **ret)
{
	cleanup(trace_free_cleanup) struct trace *trace = calloc(1, sizeof(*trace));
	uint64_t now_ns = clock_now_ns();
	int r;

	snprintf(reason, TRACE_REASON_SIZE, "out of memory");
	if (!trace)
		return -ENOMEM;
	trace->handlers = options->handlers;
	trace->busy_port_rate = options->busy_port_rate;
	trace->scanned_ns = now_ns;
	trace->scanned_before_ns = now_ns;
	trace->reviewed_ns = now_ns;
	r = trace_connect_new(MAX_CONNECTING, &trace->connect);
	if (r < 0)
		return r;
	trace->teller = (struct trace_teller){.handlers = &trace->handlers,
					      .formats = trace->formats,
					      .counters = &trace->counters,
					      .connect = trace->connect};
	r = trace_setup_read_formats(trace->formats, reason);
	if (r < 0)
		return r;
	r = open_rings(trace, options->ring_bytes, reason);
	if (r < 0)
		return r;
	r = fit_inputs(trace, now_ns);
	if (r < 0)
		return r;
	r = enter_loop(trace, loop, now_ns);
	if (r < 0) {
		snprintf(reason, TRACE_REASON_SIZE, "event loop: %s", strerror(-r));
		return r;
	}
	reason[0] = '\0';
	*ret = steal_pointer(&trace);
	return 0;
}

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	loop_source_free(trace->io);
	loop_source_free(trace->timer);
	trace_rings_close(trace->rings);
	trace_connect_free(trace->connect);
	free(trace->inputs);
	free(trace->last_ns);
	free(trace->heap);
	free(trace);
}

int trace_exclude_port(struct trace *trace, uint16_t port)
{
	return exclude_port(trace, TRACE_BUSY_UDP, port, UINT64_MAX);
}

const struct trace_counters *trace_get_counters(struct trace *trace)
{
	const struct trace_connect_counters *connect = trace_connect_get_counters(trace->connect);

	trace->counters.joined = connect->joined;
	trace->counters.connects_dropped = connect->dropped;
	trace->counters.connects_pending = connect->pending;
	trace->counters.rings = trace->inputs_count;
	trace->counters.ports_excluded = 0;
	for (size_t i = 0; i < TRACE_BUSY_COUNT; i++)
		trace->counters.ports_excluded += trace->excluded[i].count;
	trace->counters.ring_bytes = 0;
	for (size_t i = 0; i < trace->inputs_count; i++)
		trace->counters.ring_bytes +=
			trace_ring_get_bytes(trace_rings_get(trace->rings, i));
	return &trace->counters;
}
