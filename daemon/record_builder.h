/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A due flow, its ends' processes and what those used since the last record, as one record; or a
 * process. Pure. */

#include "flow/flow_record.h"
#include "flow/flow_table.h"
#include "flow/tcp_quality.h"
#include "process/network_use.h"
#include "process/process_table.h"
#include "process/totals.h"

/* What is known of one end's process at the time of the record. */
struct record_process {
	const struct process_identity *identity; /* NULL: nobody is named */
	const struct cgroup *cgroup; /* of the process, or of the socket; NULL: not known */
	const char *package, *parent_package; /* NULL: none, or not known */
	bool has_usage;
	struct process_usage usage; /* at the end of the span */
	bool has_quality;	    /* its TCP socket has ended */
	struct tcp_quality quality;
	uint64_t peak_memory_bytes; /* within the span; 0: not known */
	char socket_user_name
		[USER_NAME_SIZE]; /* where nobody is named, but the socket has a user */
};

/* "wall_offset_ns": wall time - monotonic time. The record borrows from the flow and the
 * identities. */
void record_builder_build(const struct flow *flow, const struct flow_report *report,
			  const struct record_process *src, const struct record_process *dst,
			  int64_t wall_offset_ns, struct flow_record *ret);

/* What is used from "usage" on counts for the end. */
void record_builder_set_base(struct flow_end *end, const struct process_usage *usage);

enum record_event { RECORD_EVENT_START, RECORD_EVENT_INTERIM, RECORD_EVENT_END };

/* A process in the interval of its record. */
struct record_interval {
	uint64_t id;	 /* of the process, the same in all its records */
	uint32_t number; /* of this record, from 1 */
	enum record_event event;
	enum flow_end_reason reason;
	struct flow_end base; /* what it had used when the interval began, at base_ns */
	uint64_t end_ns;
	uint64_t start_ms; /* of the process, epoch */
	struct process_totals base_totals, totals;
	struct network_counters base_network, network;
};

/* The usage of "process" is that at "end_ns". */
void record_builder_build_process(const struct record_interval *interval,
				  const struct record_process *process, int64_t wall_offset_ns,
				  struct flow_record *ret);
