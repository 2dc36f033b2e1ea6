/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow_owners.h"

#include <netinet/in.h>

#include "base/clock.h"
#include "base/macros.h"
#include "process/network_use.h"
#include "record_builder.h"

/* A single holder that is so again at a look that is this much later did not just pass the connection
 * on. */
#define SETTLED_NS (20 * NS_PER_MS)
/* /proc tells a start to the tick, and trace of an end a moment after the exit record. */
#define SAME_LIFE_NS (20 * NS_PER_MS)

struct socket_tuple flow_owners_get_socket(const struct flow *flow, bool initiator)
{
	const struct flow_tuple *tuple = &flow->key.tuple;
	struct socket_tuple socket = {
		.family = flow->key.family,
		.protocol = flow->key.protocol,
		.echo_id = flow->key.icmp_id,
		.netns = flow->key.netns,
	};

	if (initiator) {
		socket.local = tuple->src;
		socket.local_port = tuple->src_port;
		socket.remote = tuple->dst;
		socket.remote_port = tuple->dst_port;
	} else if (flow->reply) {
		socket.local = flow->reply->src;
		socket.local_port = flow->reply->src_port;
		socket.remote = flow->reply->dst;
		socket.remote_port = flow->reply->dst_port;
	} else {
		socket.local = tuple->dst;
		socket.local_port = tuple->dst_port;
		socket.remote = tuple->src;
		socket.remote_port = tuple->src_port;
	}
	return socket;
}

static void take_base(struct flow_owners *owners, const struct flow *flow, struct flow_end *end,
		      uint64_t now_ns)
{
	struct process_usage usage;

	end->base_ns = 0;
	if (process_table_read_base(owners->processes, end->process, flow->start_ns, now_ns,
				    &usage) == 0)
		record_builder_set_base(end, &usage);
}

void flow_owners_drain_trace(struct flow_owners *owners, uint64_t event_ns)
{
	if (!owners->trace || owners->drained_ns >= event_ns)
		return;
	owners->drained_ns = clock_now_ns();
	trace_drain(owners->trace);
}

static bool is_same_process(const struct flow_end *end, const struct ownership *answer)
{
	return end->method == OWNERSHIP_SOCK_DIAG && end->process &&
	       process_get_identity(end->process)->id.pid == answer->process.pid;
}

/* Who closed a connection that nobody read from may have handed it on before; but not one that held it
 * alone all the time. */
static bool is_known_better(const struct flow_end *end, const struct ownership *answer)
{
	return answer->method == OWNERSHIP_SHARED && answer->acted_ns && end->is_settled &&
	       is_same_process(end, answer);
}

/* What could not be read of it, because it was gone, but was recorded before it went. */
static void complete(struct flow_owners *owners, const struct ownership *owner,
		     struct process *process)
{
	const struct process_identity *identity = process_get_identity(process);
	struct process_trace trace;
	bool has_trace = false;

	if (!identity->has_executable) {
		flow_owners_drain_trace(owners, clock_now_ns());
		has_trace = attribution_find_process(owners->attribution, owner->process.pid,
						     owner->acted_ns, &trace);
	}
	if (has_trace || !identity->cgroup)
		process_table_complete(owners->processes, process, has_trace ? &trace : NULL,
				       owner->cgroup_id);
}

/* Of whom only trace tells. */
static struct process *acquire_traced(struct flow_owners *owners, const struct ownership *owner,
				      uint64_t now_ns)
{
	struct process_trace trace;

	flow_owners_drain_trace(owners, clock_now_ns());
	if (!attribution_find_process(owners->attribution, owner->process.pid, owner->acted_ns,
				      &trace))
		return NULL;
	return process_table_acquire_traced(owners->processes, &trace, now_ns);
}

static struct process *acquire(struct flow_owners *owners, const struct ownership *owner,
			       uint64_t now_ns)
{
	struct process *process;

	if (owner->process.start_ticks != 0 || !owner->acted_ns)
		return process_table_acquire(owners->processes, owner->process, now_ns);
	process = process_table_acquire_at(owners->processes, owner->process.pid, owner->acted_ns,
					   now_ns);
	if (!process)
		process = acquire_traced(owners, owner, now_ns);
	if (process)
		complete(owners, owner, process);
	return process;
}

void flow_owners_complete(struct flow_owners *owners, const struct flow_end *end, uint64_t now_ns)
{
	const struct process_identity *identity = process_get_identity(end->process);
	struct attribution_life life;
	struct process_trace trace;

	if (identity->has_executable)
		return;
	flow_owners_drain_trace(owners, now_ns);
	if (process_is_gone(end->process))
		now_ns = process_get_end_ns(end->process) + SAME_LIFE_NS;
	if (attribution_find_life(owners->attribution, identity->id.pid, now_ns, &life) &&
	    life.start_ns + SAME_LIFE_NS >= identity->start_ns &&
	    life.start_ns <= identity->start_ns + SAME_LIFE_NS &&
	    attribution_find_process(owners->attribution, identity->id.pid, life.end_ns, &trace))
		process_table_complete(owners->processes, end->process, &trace, 0);
}

void flow_owners_drop(struct flow_owners *owners, struct flow_end *end)
{
	if (end->process)
		process_table_release(owners->processes, end->process);
	else
		cgroup_table_release(process_table_get_cgroups(owners->processes), end->cgroup);
	end->process = NULL;
	end->cgroup = NULL;
	end->base_ns = 0;
	end->has_uid = false;
}

/* Of the end of a flow: what its process sent and received. */
static struct network_counters count_for_end(const struct flow *flow, const struct flow_end *end,
					     const struct flow_counters *counters)
{
	bool is_initiator = end == &flow->src;

	return (struct network_counters){
		.sent_bytes = is_initiator ? counters->in_bytes : counters->out_bytes,
		.received_bytes = is_initiator ? counters->out_bytes : counters->in_bytes,
	};
}

void flow_owners_on_counted(unused void *userdata, struct flow *flow,
			    const struct flow_counters *more)
{
	struct flow_end *ends[] = {&flow->src, &flow->dst};
	uint64_t now_ns = 0;

	for (size_t i = 0; i < array_length(ends); i++) {
		struct network_counters counters;

		if (!ends[i]->process)
			continue;
		if (!now_ns)
			now_ns = clock_now_ns();
		counters = count_for_end(flow, ends[i], more);
		process_add_network(ends[i]->process, &counters, now_ns);
	}
}

/* What was counted since the flow's last record goes over with the flow's end. */
static void hand_counters_over(const struct flow *flow, const struct flow_end *end,
			       struct process *from, struct process *to, uint64_t now_ns)
{
	struct flow_counters news = flow_count_news(flow);
	struct network_counters counters = count_for_end(flow, end, &news);

	counters.flows = 1;
	if (from)
		process_take_back_network(from, &counters, now_ns);
	if (to)
		process_add_network(to, &counters, now_ns);
}

static void take_owner(struct flow_owners *owners, const struct flow *flow, struct flow_end *end,
		       const struct ownership *owner, uint64_t now_ns)
{
	struct process *process = NULL;

	if (owner->process.pid > 0) {
		process = acquire(owners, owner, now_ns);
		/* The one that is known is better than one that is gone, but not where it only
		 * accepted the connection for it. */
		if (!process && end->process && end->method != OWNERSHIP_SOCK_DIAG)
			return;
	}
	end->method = owner->method;
	end->reason = owner->reason;
	end->is_provisional = owner->is_provisional;
	if (owner->process.pid > 0 && !process) {
		end->method = OWNERSHIP_NONE;
		end->reason = OWNERSHIP_REASON_EXITED;
	}
	if (process && process == end->process) { /* its base stays */
		process_table_release(owners->processes, process);
		return;
	}
	hand_counters_over(flow, end, end->process, process, now_ns);
	flow_owners_drop(owners, end);
	end->process = process;
	if (!process) {
		end->has_uid = owner->has_uid;
		end->uid = owner->uid;
		end->cgroup = cgroup_table_find_id(process_table_get_cgroups(owners->processes),
						   owner->cgroup_id);
		return;
	}
	process_reporter_note(owners->reporter, process);
	take_base(owners, flow, end, now_ns);
	if (flow->key.protocol != IPPROTO_TCP) /* its close is told when it happens */
		process_table_watch(owners->processes, process, now_ns);
}

uint64_t flow_owners_get_not_before(const struct flow *flow)
{
	uint64_t doubt_ns = (uint64_t)flow->start_doubt_us * 1000;

	return doubt_ns && doubt_ns < flow->start_ns ? flow->start_ns - doubt_ns : 0;
}

void flow_owners_ask(struct flow_owners *owners, struct flow *flow, struct flow_end *end,
		     bool has_ended, uint64_t now_ns)
{
	struct ownership_query query = {
		.socket = flow_owners_get_socket(flow, end == &flow->src),
		.when_ns = flow->start_ns,
		.not_before_ns = flow_owners_get_not_before(flow),
		.initiator = end == &flow->src,
		.has_ended = has_ended,
	};
	struct ownership current = {.method = end->method, .is_provisional = end->is_provisional};
	struct ownership answer;

	end->attempts++;
	attribution_find_owner(owners->attribution, &query, now_ns, &answer);
	if (!ownership_is_better(&answer, &current) || is_known_better(end, &answer))
		return;
	end->is_settled = answer.method == OWNERSHIP_SOCK_DIAG && is_same_process(end, &answer) &&
			  now_ns >= flow->start_ns + SETTLED_NS;
	if (end->attempts > 1)
		(*owners->improved)++;
	take_owner(owners, flow, end, &answer, now_ns);
}
