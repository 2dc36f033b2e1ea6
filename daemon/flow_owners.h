/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Who is behind the two ends of a flow: asks attribution, holds the process that is named and what it had
 * used by then, and gives the process what its flows sent and received. Between the flow table and the parts
 * that know of processes; pipeline.c says when. */

#include <stdbool.h>
#include <stdint.h>

#include "attribution/attribution.h"
#include "flow/flow.h"
#include "process/process_table.h"
#include "process_reporter.h"
#include "sources/trace.h"

struct flow_owners {
	struct attribution *attribution; /* all borrowed */
	struct process_table *processes;
	struct process_reporter *reporter;
	struct trace *trace; /* NULL: not to be had */
	uint64_t drained_ns; /* trace told all that happened before */
	uint64_t *improved;  /* counts answers to a later question that were better */
};

/* The socket as its owner sees it: before NAT for the initiator, after NAT for the responder. Pure. */
struct socket_tuple flow_owners_get_socket(const struct flow *flow, bool initiator);
/* Monotonic: the earliest time that the flow may have begun; 0: when it says. Pure. */
uint64_t flow_owners_get_not_before(const struct flow *flow);

/* Reads what trace has recorded of the time before "event_ns": whoever sent the first packet was recorded before
 * its event was made. */
void flow_owners_drain_trace(struct flow_owners *owners, uint64_t event_ns);

/* Asks for the owner of "end", one of the flow's; a better answer takes the place of the one that is there.
 * "has_ended": the connection is closed. */
void flow_owners_ask(struct flow_owners *owners, struct flow *flow, struct flow_end *end,
		     bool has_ended, uint64_t now_ns);
/* Before an end that has a process is told: one that executed another program after it was read, and is gone
 * or a zombie, has its executable by trace. */
void flow_owners_complete(struct flow_owners *owners, const struct flow_end *end, uint64_t now_ns);
/* Lets go of what the end holds. */
void flow_owners_drop(struct flow_owners *owners, struct flow_end *end);

/* For the flow table: what was counted since the last time goes to the processes at both ends. */
void flow_owners_on_counted(void *userdata, struct flow *flow, const struct flow_counters *more);
