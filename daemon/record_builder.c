/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "record_builder.h"

#include <netinet/in.h>
#include <sys/wait.h>

#include "base/clock.h"

static uint64_t to_epoch_ms(uint64_t ns, int64_t wall_offset_ns)
{
	int64_t wall_ns = (int64_t)ns + wall_offset_ns;

	return wall_ns > 0 ? (uint64_t)wall_ns / NS_PER_MS : 0;
}

static uint64_t share_pct100(uint64_t part_ns, uint64_t whole_ns)
{
	return (uint64_t)((__uint128_t)part_ns * 10000 / whole_ns);
}

static uint64_t difference(uint64_t now, uint64_t base)
{
	return now > base ? now - base : 0;
}

/* Of counters that are kept modulo 2^bits. */
static uint64_t difference_of_bits(uint64_t now, uint64_t base, unsigned bits)
{
	uint64_t risen = (now - base) & ((1ull << bits) - 1);

	return risen < 1ull << (bits - 1) ? risen : 0;
}

static void add_parent(struct record_end *out, const struct process_identity *identity,
		       unsigned side, uint64_t *parts)
{
	if (!identity->has_parent)
		return;
	out->parent_pid = (uint32_t)identity->parent_pid;
	*parts |= RECORD_END(side, END_PARENT);
	if (identity->parent_name) {
		out->parent_name = text_from(identity->parent_name);
		*parts |= RECORD_END(side, END_PARENT_NAME);
	}
	if (identity->parent_user_name) {
		out->parent_uid = identity->parent_uid;
		out->parent_user_name = text_from(identity->parent_user_name);
		*parts |= RECORD_END(side, END_PARENT_USER);
	}
}

static void add_identity(struct record_end *out, const struct process_identity *identity,
			 unsigned side, int64_t wall_offset_ns, uint64_t *parts)
{
	out->pid = (uint32_t)identity->id.pid;
	out->name = text_from(identity->name);
	out->start_ms = to_epoch_ms(identity->start_ns, wall_offset_ns);
	*parts |= RECORD_END(side, END_PROCESS);
	if (identity->user_name) {
		out->uid = identity->uid;
		out->user_name = text_from(identity->user_name);
		*parts |= RECORD_END(side, END_USER);
	}
	if (identity->has_executable) {
		out->executable = text_from(identity->executable);
		*parts |= RECORD_END(side, END_EXECUTABLE);
	}
	if (identity->command_line) {
		out->command_line = text_from(identity->command_line);
		*parts |= RECORD_END(side, END_COMMAND_LINE);
	}
	add_parent(out, identity, side, parts);
}

static void add_cgroup(struct record_end *out, const struct cgroup *cgroup, unsigned side,
		       uint64_t *parts)
{
	if (!cgroup)
		return;
	out->cgroup = text_from(cgroup->path);
	*parts |= RECORD_END(side, END_CGROUP);
	if (cgroup->unit) {
		out->unit = text_from(cgroup->unit);
		*parts |= RECORD_END(side, END_UNIT);
	}
	if (cgroup->container) {
		out->container = text_from(cgroup->container);
		*parts |= RECORD_END(side, END_CONTAINER);
	}
}

static void add_packages(struct record_end *out, const struct record_process *process,
			 unsigned side, uint64_t *parts)
{
	if (process->package) {
		out->package = text_from(process->package);
		*parts |= RECORD_END(side, END_PACKAGE);
	}
	if (process->parent_package) {
		out->parent_package = text_from(process->parent_package);
		*parts |= RECORD_END(side, END_PARENT_PACKAGE);
	}
}

static void add_memory(struct record_end *out, const struct record_process *process, unsigned side,
		       uint64_t *parts)
{
	if (!process->usage.has_memory)
		return;
	out->memory_bytes = process->usage.memory_bytes;
	out->peak_memory_bytes = process->peak_memory_bytes > out->memory_bytes
					 ? process->peak_memory_bytes
					 : out->memory_bytes;
	*parts |= RECORD_END(side, END_MEMORY);
}

/* Loads are told over the time between base and end, which is what was measured: the flow's own
 * span, but for the time it took to notice its begin. */
static void add_usage(struct record_end *out, const struct flow_end *end,
		      const struct record_process *process, unsigned side, uint64_t *parts)
{
	const struct process_usage *usage = &process->usage;
	uint64_t span_ns;

	if (!end->base_ns || usage->taken_ns <= end->base_ns)
		return;
	span_ns = usage->taken_ns - end->base_ns;
	out->cpu_load_pct100 = share_pct100(difference(usage->cpu_ns, end->base_cpu_ns), span_ns);
	*parts |= RECORD_END(side, END_USAGE);
	if (usage->has_faults) {
		out->minor_faults = (uint32_t)difference_of_bits(
			usage->minor_faults, end->base_minor_faults, FLOW_MINOR_FAULTS_BITS);
		out->major_faults = (uint32_t)difference_of_bits(
			usage->major_faults, end->base_major_faults, FLOW_MAJOR_FAULTS_BITS);
		out->page_faults = out->minor_faults + out->major_faults;
		*parts |= RECORD_END(side, END_FAULTS);
	}
	if (usage->has_iowait) {
		uint64_t waited_us = difference_of_bits(usage->iowait_ns / NS_PER_US,
							end->base_iowait_us, FLOW_IOWAIT_BITS);

		out->iowait_pct100 = share_pct100(waited_us * NS_PER_US, span_ns);
		*parts |= RECORD_END(side, END_IOWAIT);
	}
}

static void add_quality(struct record_end *out, const struct record_process *process, unsigned side,
			uint64_t *parts)
{
	const struct tcp_quality *quality = &process->quality;

	if (!process->has_quality)
		return;
	if (quality->has_counters) {
		out->retransmissions = quality->retransmissions;
		out->delivered_bytes = tcp_quality_get_delivered(quality, side == RECORD_SRC);
		*parts |= RECORD_END(side, END_TCP_SOCKET);
	}
	if (quality->rtt_us && quality->min_rtt_us) {
		out->rtt_us = quality->rtt_us;
		out->min_rtt_us = quality->min_rtt_us;
		*parts |= RECORD_END(side, END_ROUND_TRIP);
	}
}

static void add_end(struct record_end *out, const struct flow_end *end,
		    const struct record_process *process, unsigned side, int64_t wall_offset_ns,
		    uint64_t *parts)
{
	out->method = end->method;
	out->reason = end->reason;
	if (end->method == OWNERSHIP_NONE)
		*parts |= RECORD_END(side, END_REASON);
	add_quality(out, process, side, parts);
	add_cgroup(out, process->cgroup, side, parts);
	if (process->identity) {
		add_identity(out, process->identity, side, wall_offset_ns, parts);
		add_packages(out, process, side, parts);
		if (process->has_usage) {
			add_memory(out, process, side, parts);
			add_usage(out, end, process, side, parts);
		}
	} else if (end->has_uid) {
		out->uid = end->uid;
		out->user_name = text_from(process->socket_user_name);
		*parts |= RECORD_END(side, END_USER);
	}
}

/* After NAT the initiator is known to the responder as the reply's destination, and the responder
 * is the reply's source. */
static void add_translation(const struct flow *flow, struct flow_record *record)
{
	if (!flow->reply)
		return;
	record->translated = (struct flow_tuple){
		.src = flow->reply->dst,
		.dst = flow->reply->src,
		.src_port = flow->reply->dst_port,
		.dst_port = flow->reply->src_port,
	};
	record->parts |= flow->key.family == IP_FAMILY_V4 ? RECORD_NAT_IPV4 : RECORD_NAT_IPV6;
	if (!(record->parts & RECORD_ICMP))
		record->parts |= RECORD_NAT_PORTS;
}

void record_builder_set_base(struct flow_end *end, const struct process_usage *usage)
{
	end->base_ns = usage->taken_ns;
	end->base_cpu_ns = usage->cpu_ns;
	end->base_minor_faults = (uint32_t)usage->minor_faults;
	end->base_major_faults = usage->major_faults & ((1u << FLOW_MAJOR_FAULTS_BITS) - 1);
	end->base_iowait_us = usage->iowait_ns / NS_PER_US & ((1ull << FLOW_IOWAIT_BITS) - 1);
}

void record_builder_build(const struct flow *flow, const struct flow_report *report,
			  const struct record_process *src, const struct record_process *dst,
			  int64_t wall_offset_ns, struct flow_record *ret)
{
	*ret = (struct flow_record){
		.parts = flow->key.family == IP_FAMILY_V4 ? RECORD_IPV4 : RECORD_IPV6,
		.flow_id = flow->id,
		.start_ns = flow->start_ns,
		.end_ns = report->end_ns,
		.start_ms = to_epoch_ms(flow->start_ns, wall_offset_ns),
		.end_ms = to_epoch_ms(report->end_ns, wall_offset_ns),
		.key = flow->key,
		.counters = report->counters,
		.number = flow->records,
		.end_reason = (uint8_t)report->reason,
		.ip_version = flow->key.family,
		.direction = 1,
	};
	if (flow->has_counters)
		ret->parts |= RECORD_COUNTERS;
	if (flow->key.protocol == IPPROTO_ICMP || flow->key.protocol == IPPROTO_ICMPV6) {
		ret->icmp_type = (uint8_t)(flow->key.tuple.dst_port >> 8);
		ret->icmp_code = (uint8_t)flow->key.tuple.dst_port;
		ret->parts |= RECORD_ICMP;
	}
	add_translation(flow, ret);
	add_end(&ret->src, &flow->src, src, RECORD_SRC, wall_offset_ns, &ret->parts);
	add_end(&ret->dst, &flow->dst, dst, RECORD_DST, wall_offset_ns, &ret->parts);
}

static void add_exit(struct flow_record *out, const struct process_totals *totals)
{
	if (!totals->has_wait_status)
		return;
	if (WIFSIGNALED(totals->wait_status)) {
		out->life.exit_signal = (uint32_t)WTERMSIG(totals->wait_status);
		out->parts |= RECORD_LIFE(LIFE_EXIT_SIGNAL);
	} else {
		out->life.exit_code = (uint32_t)WEXITSTATUS(totals->wait_status);
		out->parts |= RECORD_LIFE(LIFE_EXIT_CODE);
	}
}

/* Ticks tell how CPU time parts, not how much it is: as cputime_adjust() of the kernel does it. */
static uint64_t find_user_ns(uint64_t cpu_ns, const struct process_totals *totals)
{
	uint64_t parts = totals->user_parts + totals->system_parts;

	return parts ? (uint64_t)((__uint128_t)cpu_ns * totals->user_parts / parts) : 0;
}

static void add_cpu(struct flow_record *out, const struct record_interval *interval,
		    const struct process_usage *usage)
{
	uint64_t cpu_ns = difference(usage->cpu_ns, interval->base.base_cpu_ns);
	uint64_t user_ns;

	out->life.cpu_us = cpu_ns / 1000;
	out->parts |= RECORD_LIFE(LIFE_CPU);
	if (interval->totals.user_parts + interval->totals.system_parts == 0)
		return;
	user_ns = difference(find_user_ns(usage->cpu_ns, &interval->totals),
			     find_user_ns(interval->base.base_cpu_ns, &interval->base_totals));
	if (user_ns > cpu_ns)
		user_ns = cpu_ns;
	out->life.user_us = user_ns / 1000;
	out->life.system_us = out->life.cpu_us - out->life.user_us;
	out->parts |= RECORD_LIFE(LIFE_CPU_SPLIT);
}

static void add_totals(struct flow_record *out, const struct record_interval *interval)
{
	const struct process_totals *now = &interval->totals, *base = &interval->base_totals;
	struct record_life *life = &out->life;

	if (now->has_io && base->has_io) {
		life->read_bytes = difference(now->read_bytes, base->read_bytes);
		life->written_bytes = difference(now->written_bytes, base->written_bytes);
		out->parts |= RECORD_LIFE(LIFE_IO);
	}
	if (now->has_switches && base->has_switches &&
	    now->switches_since_ns <= interval->base.base_ns) {
		life->voluntary_switches =
			difference(now->voluntary_switches, base->voluntary_switches);
		life->involuntary_switches =
			difference(now->involuntary_switches, base->involuntary_switches);
		out->parts |= RECORD_LIFE(LIFE_SWITCHES);
	}
}

/* Flows without a byte: the kernel does not count them. */
static void add_network(struct flow_record *out, const struct record_interval *interval)
{
	const struct network_counters *now = &interval->network, *base = &interval->base_network;
	struct record_life *life = &out->life;

	life->flows = difference(now->flows, base->flows);
	out->parts |= RECORD_LIFE(LIFE_FLOWS);
	if (now->flows && now->sent_bytes + now->received_bytes == 0)
		return;
	life->sent_bytes = difference(now->sent_bytes, base->sent_bytes);
	life->received_bytes = difference(now->received_bytes, base->received_bytes);
	out->parts |= RECORD_LIFE(LIFE_TRAFFIC);
}

static void add_peak(struct flow_record *out, const struct record_process *process)
{
	if (process->peak_memory_bytes > out->src.peak_memory_bytes)
		out->src.peak_memory_bytes = process->peak_memory_bytes;
	if (out->src.peak_memory_bytes)
		out->parts |= RECORD_LIFE(LIFE_PEAK);
}

static void add_interval(struct flow_record *out, const struct record_interval *interval,
			 const struct record_process *process)
{
	add_memory(&out->src, process, RECORD_SRC, &out->parts);
	add_usage(&out->src, &interval->base, process, RECORD_SRC, &out->parts);
	add_peak(out, process);
	add_cpu(out, interval, &process->usage);
	add_totals(out, interval);
	add_network(out, interval);
}

void record_builder_build_process(const struct record_interval *interval,
				  const struct record_process *process, int64_t wall_offset_ns,
				  struct flow_record *ret)
{
	static const char *const events[] = {
		[RECORD_EVENT_START] = "start",
		[RECORD_EVENT_INTERIM] = "interim",
		[RECORD_EVENT_END] = "end",
	};

	*ret = (struct flow_record){
		.parts = RECORD_PROCESS,
		.flow_id = interval->id,
		.number = interval->number,
		.start_ns = interval->base.base_ns,
		.end_ns = interval->end_ns,
		.start_ms = to_epoch_ms(interval->base.base_ns, wall_offset_ns),
		.end_ms = to_epoch_ms(interval->end_ns, wall_offset_ns),
		.end_reason = (uint8_t)interval->reason,
		.life.event = text_from(events[interval->event]),
	};
	add_identity(&ret->src, process->identity, RECORD_SRC, wall_offset_ns, &ret->parts);
	ret->src.start_ms = interval->start_ms;
	add_cgroup(&ret->src, process->cgroup, RECORD_SRC, &ret->parts);
	add_packages(&ret->src, process, RECORD_SRC, &ret->parts);
	if (process->has_usage)
		add_interval(ret, interval, process);
	if (interval->event == RECORD_EVENT_END)
		add_exit(ret, &interval->totals);
}
