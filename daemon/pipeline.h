/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The way of a flow through the daemon: the kernel's event goes into the flow table; when a flow
 * opens its ends are given their owners and what those had used by then is noted; when a record is
 * due, the difference to that goes with it to the exporters.
 *
 * An owner that is only provisional (nobody has accepted the connection yet) is asked for again
 * after 2, 20 and 200 ms and 2 s, and a last time before the flow's record goes out. */

#include <stdint.h>

#include "attribution/attribution.h"
#include "config/config.h"
#include "export/exporter_set.h"
#include "flow/ended_sockets.h"
#include "flow/flow_table.h"
#include "process/process_table.h"
#include "process_reporter.h"
#include "record_builder.h"
#include "runtime/loop.h"
#include "sources/conntrack.h"
#include "sources/socket_end.h"
#include "sources/trace.h"

struct packets;
struct pipeline;

struct pipeline_parts {
	struct loop *loop;
	struct attribution *attribution;
	struct process_table *processes;
	struct trace *trace;		      /* NULL: not to be had */
	struct process_reporter *reporter;    /* NULL: processes have no records of their own */
	const struct exporter_set *exporters; /* all borrowed */
	struct ignored_counters *ignored;     /* counted here; for the exporters */
};

struct pipeline_counters {
	uint64_t records;	   /* handed to the exporters */
	uint64_t records_filtered; /* flows.only_local */
	uint64_t flows_filtered;   /* flows.include, flows.exclude */
	/* Ends of flows in records, by the method and the reason. */
	uint64_t ends[OWNERSHIP_METHOD_COUNT], ends_unknown[OWNERSHIP_REASON_COUNT];
	uint64_t records_held; /* closed, but a socket was not told to have ended: they waited */
	uint64_t retries, retries_better;
	uint64_t retries_dropped; /* no memory to remember them */
};

int pipeline_new(const struct config *config, const struct pipeline_parts *parts,
		 struct pipeline **ret);
/* Does not report what is open; pipeline_flush() does. Accepts NULL. */
void pipeline_free(struct pipeline *pipeline);

/* The handlers to give to conntrack_new(); the pipeline asks "conntrack" about single flows once it
 * is set. */
struct conntrack_handlers pipeline_get_conntrack_handlers(struct pipeline *pipeline);
void pipeline_set_conntrack(struct pipeline *pipeline, struct conntrack *conntrack);

/* What socket_end_new() tells goes here; "socket_end" is read before records of closed connections
 * are made, once it is set. */
void pipeline_on_socket_end(void *pipeline, const struct socket_end_event *event);
void pipeline_set_socket_end(struct pipeline *pipeline, struct socket_end *socket_end);
/* What packets tell goes into the records from then on; NULL: nothing. */
void pipeline_set_packets(struct pipeline *pipeline, struct packets *packets);

/* Called when a listing has been worked in; NULL: nobody. */
void pipeline_set_on_listed(struct pipeline *pipeline, void (*on_listed)(void *userdata),
			    void *userdata);

/* Reports all that is open (end reason 4), at the end of the program. */
void pipeline_flush(struct pipeline *pipeline);

/* An open flow as a record that is not due: totals since it began, and what its processes used since
 * its last record, as far as they were sampled. Nothing is asked of the kernel; below 1 us. Borrowed
 * until the flow or its processes change, and from "ret". */
struct pipeline_description {
	struct flow_record record;
	struct record_process src, dst; /* what the record borrows from */
};
void pipeline_describe_flow(struct pipeline *pipeline, const struct flow *flow, uint64_t now_ns,
			    struct pipeline_description *ret);

struct flow_table *pipeline_get_flow_table(struct pipeline *pipeline);
const struct flow_table *pipeline_get_flows(const struct pipeline *pipeline);
const struct ended_sockets_counters *pipeline_get_socket_counters(const struct pipeline *pipeline);
const struct pipeline_counters *pipeline_get_counters(const struct pipeline *pipeline);
