/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The way of a logged packet through the daemon (NFLOG). A packet of a flow in the table adds to what its
 * records tell: interfaces, MACs, TOS, TTL, flags, latencies. One of a flow that nothing tracks is all that
 * there is of it: from such packets flows are made, counted and closed here.
 *
 * A packet may be read before the event of its own flow. What it tells is kept for its flow's coming; a
 * flow of packets alone begins at once where the packet is known to be untracked, and else when no entry
 * came for it and conntrack, asked for it, has none. */

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "flow/flow_record.h"
#include "flow/flow_table.h"
#include "pipeline.h"
#include "runtime/loop.h"
#include "sources/conntrack.h"
#include "sources/nflog.h"

struct packets;

struct packets_options {
	const struct config *config; /* its section nflog */
	struct loop *loop;
	struct pipeline *pipeline;
	struct conntrack *conntrack;
	/* Rules may look at connection tracking: it is on, or may be switched on. */
	bool may_track;
};

struct packets_counters {
	uint64_t matched;	  /* belonged to a flow that conntrack tells */
	uint64_t of_own_flows;	  /* ... or to one of packets alone */
	uint64_t flows;		  /* begun from packets alone */
	uint64_t icmp_errors;	  /* about a packet of some flow: no flow of their own */
	uint64_t other_icmp;	  /* neither asks nor answers: neighbours, routers, listeners */
	uint64_t stray_fragments; /* without their first one */
	uint64_t late;		  /* after the end of their connection */
	uint64_t foreign;	  /* tracked, but not (or no longer) in the flow table */
	uint64_t dropped;	  /* no room to keep them until their flow is known */
};

/* Makes the rules where they are ours, and listens. What is not to be had is logged, and the daemon goes on
 * without it: *ret is NULL then. 0, or -ENOMEM. */
int packets_new(const struct packets_options *options, struct packets **ret);
/* Removes the rules, and works in what was logged until now. */
void packets_finish(struct packets *packets);
/* Accepts NULL. */
void packets_free(struct packets *packets);

/* From the pipeline. Each accepts NULL. */
/* Before a flow ends: what was logged before "event_ns" belongs to it. Not from within the flow table. */
void packets_drain(struct packets *packets, uint64_t event_ns);
void packets_on_open(struct packets *packets, struct flow *flow);
void packets_on_close(struct packets *packets, struct flow *flow);
/* Before a record: an end without a process gets the user whose socket sent. */
void packets_tell_users(struct packets *packets, struct flow *flow);
/* Adds to the record what packets told of the flow. */
void packets_describe(struct packets *packets, const struct flow *flow, struct flow_record *record);

/* NULL where "packets" is. */
const struct packets_counters *packets_get_counters(const struct packets *packets);
const struct nflog_counters *packets_get_nflog_counters(const struct packets *packets);
