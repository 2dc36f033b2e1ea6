/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A flow in the table. Plain; owned by the flow table. 256 bytes, and up to 24 for its place in
 * the map: below the 300 that a flow may cost. */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "flow/flow_event.h"
#include "flow/flow_key.h"
#include "flow/ownership.h"

struct cgroup;
struct process;

/* One end: whose it is, and what its process had used when the unreported span began. */
enum { FLOW_IOWAIT_BITS = 40, FLOW_MAJOR_FAULTS_BITS = 24, FLOW_MINOR_FAULTS_BITS = 32 };

struct flow_end {
	struct process *process; /* a reference held by whoever filled it in, or NULL */
	uint64_t base_ns;	 /* when the base was taken; 0: there is none */
	union {
		uint64_t base_cpu_ns;
		struct cgroup *cgroup; /* without a process: its socket's, held too, or NULL */
	};
	/* Modulo what they hold: only the difference within one record counts. */
	uint64_t base_iowait_us : FLOW_IOWAIT_BITS;
	uint64_t base_major_faults : FLOW_MAJOR_FAULTS_BITS;
	union {
		uint32_t base_minor_faults;
		uid_t uid; /* without a process, and where has_uid says so: its socket's */
	};
	uint8_t method, reason; /* enum ownership_method, enum ownership_reason */
	bool is_provisional : 1;
	bool has_uid : 1;
	bool is_settled : 1; /* by sock_diag, and the same at a later look */
	uint8_t attempts;    /* questions asked so far */
};

/* Totals as the last record left them. Packets modulo 2^32, because only differences count. */
struct flow_told {
	uint64_t in_bytes, out_bytes;
	uint32_t in_packets, out_packets;
};

struct flow {
	struct flow_key key;
	uint64_t id; /* 0: this one has left. Its memory stays readable as long as the table lives,
		      * so a kept pointer is checked by comparing a kept id. */
	uint64_t start_ns;     /* begin of what is not reported yet */
	uint64_t begin_ns;     /* begin of all of it; 0: not known */
	uint64_t last_seen_ns; /* last packet, as far as known */
	struct flow_counters seen;
	struct flow_told told;
	struct flow_tuple *reply; /* only when translated; the flow's */
	struct list_node age;	  /* by last_seen_ns: the idlest first */
	struct flow_end src, dst;
	uint32_t conntrack_id;
	uint32_t start_doubt_us; /* it may have begun that much earlier than the first start_ns */
	uint32_t records;	 /* so many are out */
	uint16_t listing;	 /* number of the last listing that showed it */
	uint8_t tcp_state;
	uint8_t misses : 2; /* complete listings since then without it */
	bool has_counters : 1;
	bool is_older : 1;	  /* began before the daemon, or was forgotten */
	bool is_offloaded : 1;	  /* standing counters do not tell that it is idle */
	bool is_from_packets : 1; /* nothing tracks it: packets that were logged are all there is */
};
_Static_assert(sizeof(struct flow) <= 256, "a flow and its place in the map stay below 300 bytes");

/* What was seen that no record has told yet. */
static inline struct flow_counters flow_count_news(const struct flow *flow)
{
	return (struct flow_counters){
		.in_bytes = flow->seen.in_bytes - flow->told.in_bytes,
		.in_packets = (uint32_t)flow->seen.in_packets - flow->told.in_packets,
		.out_bytes = flow->seen.out_bytes - flow->told.out_bytes,
		.out_packets = (uint32_t)flow->seen.out_packets - flow->told.out_packets,
	};
}

/* Whether packets were seen that no record has told yet, as far as is known. */
static inline bool flow_has_news(const struct flow *flow)
{
	return (uint32_t)flow->seen.in_packets != flow->told.in_packets ||
	       (uint32_t)flow->seen.out_packets != flow->told.out_packets;
}
