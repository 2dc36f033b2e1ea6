/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "record_builder.h"

#include <netinet/in.h>

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
