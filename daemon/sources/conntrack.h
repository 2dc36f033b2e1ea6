/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Flows as the kernel's connection tracking tells them (ctnetlink;
 * net/netfilter/nf_conntrack_netlink.c).
 *
 * Three channels: events, exact questions, and dumps read bit by bit. */

#include <stdbool.h>
#include <stdint.h>

#include "flow/flow_event.h"
#include "runtime/loop.h"

struct conntrack;

/* Why the table was listed. */
enum conntrack_listing {
	CONNTRACK_LISTING_START,  /* flows older than the daemon */
	CONNTRACK_LISTING_SWEEP,  /* counters of all flows, for interim records and idle ageing */
	CONNTRACK_LISTING_RESYNC, /* events were lost */
};

struct conntrack_handlers {
	void (*on_event)(void *userdata, const struct flow_event *event);
	/* A listing is complete: what was not told since it began was not in the table. "is_torn":
	 * the table changed so much meanwhile that entries may be missing from the listing. */
	void (*on_listed)(void *userdata, enum conntrack_listing listing, bool is_torn);
	void (*on_listing_begins)(void *userdata, enum conntrack_listing listing);
	void *userdata;
};

struct conntrack_options {
	uint64_t receive_buffer_bytes, receive_buffer_max_bytes;
	struct conntrack_handlers handlers;
};

struct conntrack_counters {
	uint64_t events_new, events_update, events_destroy;
	uint64_t overruns; /* ENOBUFS: the kernel dropped events */
	uint64_t resyncs;
	uint64_t listings, listed_entries, torn_listings;
	uint64_t failed_listings;	  /* an error ended them: torn, too */
	uint64_t queries, queries_missed; /* asked for an entry; it was gone */
	uint64_t malformed;		  /* messages that could not be read */
	uint64_t receive_errors;	  /* of the event channel, other than overruns */
	uint64_t filter_errors; /* 1: the kernel refused the filter; more wake-ups, nothing lost */
	uint64_t receive_buffer_bytes; /* as the kernel counts: twice what was asked for */
};

/* Opens the channels and joins the groups. Events flow from the loop on; where some were lost, the
 * receive buffer grows and a listing (RESYNC) follows by itself (resync.h). The first listing
 * (CONNTRACK_LISTING_START) is begun by this call. 0 or a negative errno (-EPERM: CAP_NET_ADMIN).
 */
int conntrack_new(struct loop *loop, const struct conntrack_options *options,
		  struct conntrack **ret);
void conntrack_free(struct conntrack *conntrack);

/* Begins a listing unless one is under way (then -EBUSY). Where events were lost since the last one began, a
 * sweep is a resync. */
int conntrack_list(struct conntrack *conntrack, enum conntrack_listing listing);
bool conntrack_is_listing(const struct conntrack *conntrack);
/* Whether events were lost since the last listing began. */
bool conntrack_needs_resync(const struct conntrack *conntrack);

/* Asks for one entry and tells it by on_event (FLOW_EVENT_LISTED) within the call. 0; -ENOENT where
 * there is none or another flow has its tuple (its id differs from a "conntrack_id" that is not 0).
 */
int conntrack_query(struct conntrack *conntrack, const struct flow_key *key, uint32_t conntrack_id);

const struct conntrack_counters *conntrack_get_counters(const struct conntrack *conntrack);
