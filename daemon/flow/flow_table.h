/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* All flows that are open, and when each is reported.
 *
 * A record tells what a flow did since its last record. One is due when the flow ends (DESTROY, or
 * the close of a TCP connection), every active_timeout, after idle_timeout without a packet, when
 * room is needed, and at the end of the program. Counters come with DESTROY and with listings, as
 * totals; a record tells the difference to what was told before, so nothing is counted twice
 * whatever is told twice. A flow that was reported for good while the kernel still has it is kept
 * as a struct retired_flow for the same reason.
 *
 * Flows that the kernel no longer lists (their DESTROY was lost) end after two complete listings
 * without them. Those that nothing tracks (is_from_packets) end by their timeouts, or closed. */

#include <stdbool.h>
#include <stdint.h>

#include "base/slab.h"
#include "flow/flow.h"
#include "flow/flow_event.h"
#include "flow/flow_record.h"

struct flow_table;

struct flow_report {
	enum flow_end_reason reason;
	uint64_t end_ns;	       /* monotonic: what the record covers ends here */
	struct flow_counters counters; /* since the last record */
	bool is_last;		       /* the flow leaves the table with it */
};

struct flow_table_handlers {
	/* A flow is there: time to find out whose it is. */
	void (*on_open)(void *userdata, struct flow *flow);
	/* A record is due. */
	void (*on_report)(void *userdata, struct flow *flow, const struct flow_report *report);
	/* The flow leaves: give back what its ends hold. */
	void (*on_close)(void *userdata, struct flow *flow);
	void *userdata;
	/* Its counters rose by "more"; told before on_open() too. May be NULL. */
	void (*on_counted)(void *userdata, struct flow *flow, const struct flow_counters *more);
};

struct flow_table_options {
	uint32_t max_flows;
	uint64_t active_timeout_ns, idle_timeout_ns;
	bool report_tcp_close; /* at the close of a connection, not when conntrack forgets it */
	uint64_t start_ns;     /* monotonic: when the daemon began to watch */
	uint64_t first_id;     /* of the flow ids */
	struct flow_table_handlers handlers;
};

struct flow_table_counters {
	uint64_t opened, revived;
	uint64_t reports[FLOW_END_RESOURCES + 1]; /* by reason */
	uint64_t evicted;			  /* to make room: reported with reason 5 */
	uint64_t vanished;			  /* ended without a DESTROY that reached us */
	uint64_t late_reports;	   /* packets after the last record: one more record */
	uint64_t unknown_destroys; /* first heard of at their end: reported whole */
	uint64_t dropped_unknown;  /* the same, but what was reported before had been forgotten */
	uint64_t dropped_no_memory;
	uint64_t forgotten;	     /* retired flows that had to make room */
	uint64_t ended_forgotten;    /* ended during a listing, which may open them again */
	uint64_t counters_backwards; /* totals below what was known before */
};

int flow_table_new(const struct flow_table_options *options, struct flow_table **ret);
/* Does not report; flow_table_flush() does. Accepts NULL. */
void flow_table_free(struct flow_table *table);

void flow_table_set_timeouts(struct flow_table *table, uint64_t active_timeout_ns,
			     uint64_t idle_timeout_ns);

void flow_table_handle_event(struct flow_table *table, const struct flow_event *event);

/* Packets of a flow that is known by its packets alone (is_from_packets). */
void flow_table_add_packets(struct flow_table *table, struct flow *flow,
			    const struct flow_counters *more, uint64_t when_ns);

/* Around a listing of the kernel's table; FLOW_EVENT_LISTED for each entry comes between.
 * "is_complete": no entry can have been missed (the listing was not torn). "is_first": the one at
 * the daemon's start. "is_resync": events were lost before. */
struct flow_listing {
	bool is_first, is_resync, is_complete;
};
void flow_table_begin_listing(struct flow_table *table, const struct flow_listing *listing);
void flow_table_end_listing(struct flow_table *table, const struct flow_listing *listing,
			    uint64_t now_ns);

/* Reports what is due by the active and the idle timeout. Right after a listing: counters are
 * fresh. */
void flow_table_run_timeouts(struct flow_table *table, uint64_t now_ns);

/* Reports every flow that has something to tell with FLOW_END_FORCED, and empties the table. */
void flow_table_flush(struct flow_table *table, uint64_t now_ns);

/* Borrowed; NULL where there is none. "conntrack_id" 0: any. */
struct flow *flow_table_find(struct flow_table *table, const struct flow_key *key,
			     uint32_t conntrack_id);
size_t flow_table_get_size(const struct flow_table *table);
const struct flow_table_counters *flow_table_get_counters(const struct flow_table *table);
/* Walks over all flows, bit by bit, while the table changes: each that was open when the walk began and
 * is still there is met once. Starts with a cursor of 0. False: the end; else *ret is a flow, borrowed
 * until the table changes, or NULL where this step met none. */
struct flow_table_cursor {
	struct slab_cursor slab;
};
bool flow_table_walk(const struct flow_table *table, struct flow_table_cursor *cursor,
		     struct flow **ret);
/* The next flow of all, the idlest first; NULL starts and ends. The table must not change
 * meanwhile. */
struct flow *flow_table_next(struct flow_table *table, struct flow *flow);
