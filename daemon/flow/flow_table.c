/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/slab.h"
#include "base/wall_steps.h"
#include "flow/retired_flows.h"

enum { MISSES_TO_VANISH = 2 };

/* The time of the last packet comes from whole seconds that an entry still has to live, rounded down:
 * it may be told a second too early. */
#define LAST_SEEN_RESOLUTION_NS NS_PER_SEC

struct flow_table {
	struct flow_table_options options;
	struct flow_table_counters counters;
	struct hash_map map;
	struct slab slab;
	struct list_node idlest_first;
	struct retired_flows retired;
	/* What ended while a listing that opens flows goes on: it may still show them. */
	struct retired_flows ended;
	uint64_t seed, next_id;
	uint64_t last_listing_ns;
	struct flow_listing listing; /* valid while is_listing */
	uint16_t listing_number;
	bool is_listing;
	bool had_first_listing;
};

int flow_table_new(const struct flow_table_options *options, struct flow_table **ret)
{
	struct flow_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->options = *options;
	table->seed = hash_seed_new();
	table->next_id = options->first_id;
	table->last_listing_ns = options->start_ns;
	hash_map_init(&table->map);
	slab_init(&table->slab, sizeof(struct flow));
	list_init(&table->idlest_first);
	retired_flows_init(&table->retired, options->max_flows);
	retired_flows_init(&table->ended, options->max_flows);
	*ret = table;
	return 0;
}

static struct flow *from_age(struct list_node *node)
{
	return container_of(node, struct flow, age);
}

static bool has_key(const void *value, const void *key)
{
	const struct flow *flow = value;

	return flow_key_equal(&flow->key, key);
}

/* Takes the flow out of the table and its memory back. */
static void remove_flow(struct flow_table *table, struct flow *flow)
{
	table->options.handlers.on_close(table->options.handlers.userdata, flow);
	hash_map_remove(&table->map, flow_key_hash(&flow->key, table->seed), has_key, &flow->key);
	list_remove(&flow->age);
	free(flow->reply);
	flow->id = 0; /* for whoever kept the pointer: see flow.h */
	slab_give(&table->slab, flow);
}

void flow_table_free(struct flow_table *table)
{
	struct list_node *node;

	if (!table)
		return;
	while ((node = list_first(&table->idlest_first)))
		remove_flow(table, from_age(node));
	hash_map_fini(&table->map);
	slab_fini(&table->slab);
	retired_flows_fini(&table->retired);
	retired_flows_fini(&table->ended);
	free(table);
}

void flow_table_set_timeouts(struct flow_table *table, uint64_t active_timeout_ns,
			     uint64_t idle_timeout_ns)
{
	table->options.active_timeout_ns = active_timeout_ns;
	table->options.idle_timeout_ns = idle_timeout_ns;
}

struct flow *flow_table_find(struct flow_table *table, const struct flow_key *key,
			     uint32_t conntrack_id)
{
	struct flow *flow =
		hash_map_find(&table->map, flow_key_hash(key, table->seed), has_key, key);

	if (flow && conntrack_id && flow->conntrack_id != conntrack_id)
		return NULL;
	return flow;
}

size_t flow_table_get_size(const struct flow_table *table)
{
	return table->map.used;
}

const struct flow_table_counters *flow_table_get_counters(const struct flow_table *table)
{
	return &table->counters;
}

bool flow_table_walk(const struct flow_table *table, struct flow_table_cursor *cursor,
		     struct flow **ret)
{
	struct flow *flow = slab_next(&table->slab, &cursor->slab);

	*ret = flow && flow->id ? flow : NULL;
	return flow != NULL;
}

struct flow *flow_table_next(struct flow_table *table, struct flow *flow)
{
	struct list_node *node = flow ? flow->age.next : table->idlest_first.next;

	return node == &table->idlest_first ? NULL : from_age(node);
}

static struct flow_told told_of(const struct flow_counters *totals)
{
	return (struct flow_told){
		.in_bytes = totals->in_bytes,
		.out_bytes = totals->out_bytes,
		.in_packets = (uint32_t)totals->in_packets,
		.out_packets = (uint32_t)totals->out_packets,
	};
}

static bool counters_are_below(const struct flow_counters *a, const struct flow_counters *b)
{
	return a->in_bytes < b->in_bytes || a->in_packets < b->in_packets ||
	       a->out_bytes < b->out_bytes || a->out_packets < b->out_packets;
}

static void report(struct flow_table *table, struct flow *flow, enum flow_end_reason reason,
		   uint64_t end_ns, bool is_last)
{
	struct flow_report out = {
		.reason = reason,
		.end_ns = end_ns > flow->start_ns ? end_ns : flow->start_ns,
		.counters = flow_count_news(flow),
		.is_last = is_last,
	};

	flow->records++;
	table->counters.reports[reason]++;
	table->options.handlers.on_report(table->options.handlers.userdata, flow, &out);
	flow->told = told_of(&flow->seen);
	flow->start_ns = out.end_ns;
}

/* Whether a record must tell the flow's end. One that was told of before and did nothing since has
 * nothing to add; without counters nobody knows, so it is told. */
static bool needs_report(const struct flow *flow)
{
	if (flow->is_older && flow->has_counters && !flow_has_news(flow))
		return false;
	return flow->records == 0 || !flow->has_counters || flow_has_news(flow);
}

/* The flow leaves our table while the kernel keeps it: what was reported is remembered. */
static void retire(struct flow_table *table, struct flow *flow, enum flow_end_reason reason,
		   uint64_t now_ns)
{
	struct retired_flow retired = {
		.hash = flow_key_hash(&flow->key, table->seed),
		.conntrack_id = flow->conntrack_id,
		.flow_id = flow->id,
		.retired_ns = now_ns,
	};

	if (needs_report(flow))
		report(table, flow, reason, flow->last_seen_ns, true);
	if (!flow->is_from_packets) {
		retired.reported = flow->seen;
		/* Not 0 where nothing was worth telling: who is revived is not new. */
		retired.records = flow->records > 0 ? flow->records : 1;
		retired_flows_add(&table->retired, &retired);
		table->counters.forgotten = table->retired.forgotten;
	}
	remove_flow(table, flow);
}

static void make_room(struct flow_table *table, uint64_t now_ns)
{
	struct list_node *idlest;

	if (table->map.used < table->options.max_flows)
		return;
	idlest = list_first(&table->idlest_first);
	if (!idlest)
		return;
	table->counters.evicted++;
	retire(table, from_age(idlest), FLOW_END_RESOURCES, now_ns);
}

static uint32_t start_doubt_us(const struct flow_event *event)
{
	uint64_t doubt_us;

	if (event->start_ns || event->not_before_ns == 0 || event->not_before_ns > event->when_ns)
		return 0;
	doubt_us = (event->when_ns - event->not_before_ns) / 1000 + 1;
	return doubt_us < UINT32_MAX ? (uint32_t)doubt_us : UINT32_MAX;
}

static struct flow *add_flow(struct flow_table *table, const struct flow_event *event)
{
	struct flow *flow;

	make_room(table, event->when_ns);
	flow = slab_take(&table->slab);
	if (!flow) {
		table->counters.dropped_no_memory++;
		return NULL;
	}
	*flow = (struct flow){
		.key = event->key,
		.id = table->next_id,
		.start_ns = event->start_ns ? event->start_ns : event->when_ns,
		.begin_ns = event->start_ns ? event->start_ns : event->when_ns,
		.last_seen_ns = event->last_packet_ns ? event->last_packet_ns : event->when_ns,
		.conntrack_id = event->conntrack_id,
		.start_doubt_us = start_doubt_us(event),
		.listing = table->listing_number,
		.tcp_state = event->tcp_state,
		.is_from_packets = event->is_from_packets,
	};
	if (event->is_translated && (flow->reply = malloc(sizeof(*flow->reply))))
		*flow->reply = event->reply;
	if (hash_map_add(&table->map, flow_key_hash(&flow->key, table->seed), flow) < 0) {
		table->counters.dropped_no_memory++;
		free(flow->reply);
		flow->id = 0;
		slab_give(&table->slab, flow);
		return NULL;
	}
	table->next_id++;
	list_add_tail(&table->idlest_first, &flow->age);
	return flow;
}

/* Before the machine's clock began is no time that could be told. */
static uint64_t known_begin(const struct flow_event *event)
{
	return event->start_ns > WALL_STEPS_BEFORE_CLOCK ? event->start_ns : 0;
}

static void open_flow(struct flow_table *table, struct flow *flow)
{
	table->counters.opened++;
	table->options.handlers.on_open(table->options.handlers.userdata, flow);
}

/* NEW carries no time before Linux 6.14, the kernel's table does. It counts in wall time, which may have
 * been set since, so it is believed only where it lies within what is possible. */
static void take_start(struct flow *flow, const struct flow_event *event)
{
	uint64_t doubt_ns = (uint64_t)flow->start_doubt_us * 1000;

	if (doubt_ns == 0 || flow->records > 0 || flow->is_older || event->start_ns == 0 ||
	    event->start_ns >= flow->start_ns || flow->start_ns - event->start_ns > doubt_ns)
		return;
	flow->start_ns = flow->begin_ns = event->start_ns;
	flow->start_doubt_us = 0;
}

static void tell_counted(struct flow_table *table, struct flow *flow,
			 const struct flow_counters *before)
{
	const struct flow_table_handlers *handlers = &table->options.handlers;
	struct flow_counters more = {
		.in_bytes = flow->seen.in_bytes - before->in_bytes,
		.in_packets = flow->seen.in_packets - before->in_packets,
		.out_bytes = flow->seen.out_bytes - before->out_bytes,
		.out_packets = flow->seen.out_packets - before->out_packets,
	};

	if (handlers->on_counted)
		handlers->on_counted(handlers->userdata, flow, &more);
}

static void take_last_seen(struct flow *flow, const struct flow_event *event)
{
	uint64_t last_ns = event->last_packet_ns ? event->last_packet_ns : event->when_ns;

	if (last_ns > flow->last_seen_ns)
		flow->last_seen_ns = last_ns;
}

/* A listing tells in whole seconds how much of its time an entry has left, DESTROY when exactly that was
 * over. */
#define LISTED_TOO_EARLY_NS (NS_PER_SEC + 20 * NS_PER_MS)

static void take_exact_end(struct flow *flow, const struct flow_event *event)
{
	if (event->type == FLOW_EVENT_DESTROY && !event->is_early &&
	    event->last_packet_ns > flow->last_seen_ns &&
	    event->last_packet_ns - flow->last_seen_ns <= LISTED_TOO_EARLY_NS)
		flow->last_seen_ns = event->last_packet_ns;
}

/* Takes over totals and the time of the last packet. */
static void take_counters(struct flow_table *table, struct flow *flow,
			  const struct flow_event *event)
{
	struct flow_counters before = flow->seen;

	take_start(flow, event);
	flow->is_offloaded = event->is_offloaded;
	if (event->tcp_state)
		flow->tcp_state = event->tcp_state;
	if (!event->has_counters) {
		if (event->last_packet_ns > flow->last_seen_ns)
			flow->last_seen_ns = event->last_packet_ns;
		return;
	}
	if (counters_are_below(&event->counters, &flow->seen)) {
		/* Somebody zeroed them (conntrack -L -z): what was seen until then is lost to us,
		 * what comes from here on is not. */
		table->counters.counters_backwards++;
		flow->told = (struct flow_told){0};
		before = (struct flow_counters){0};
	} else if (flow->has_counters &&
		   memcmp(&event->counters, &flow->seen, sizeof(flow->seen)) == 0) {
		take_exact_end(flow, event);
		return;
	}
	flow->seen = event->counters;
	flow->has_counters = true;
	tell_counted(table, flow, &before);
	take_last_seen(flow, event);
	list_move_tail(&table->idlest_first, &flow->age);
}

/* Another flow took the tuple over and nobody told us that the first one ended. */
static void replace_flow(struct flow_table *table, struct flow *flow, uint64_t now_ns)
{
	table->counters.vanished++;
	retire(table, flow, FLOW_END_DETECTED, now_ns);
}

/* It is tracked after all: its packets were faster than its event. From here on conntrack counts, from its
 * first packet. */
static void adopt(struct flow_table *table, struct flow *flow, const struct flow_event *event)
{
	flow->is_from_packets = false;
	flow->conntrack_id = event->conntrack_id;
	flow->listing = table->listing_number;
	if (event->is_translated && !flow->reply && (flow->reply = malloc(sizeof(*flow->reply))))
		*flow->reply = event->reply;
}

static void handle_new(struct flow_table *table, const struct flow_event *event)
{
	struct flow *flow = flow_table_find(table, &event->key, 0);

	if (flow && event->is_from_packets)
		return;
	if (flow && flow->is_from_packets && flow->records == 0) {
		adopt(table, flow, event);
		return;
	}
	if (flow && flow->conntrack_id == event->conntrack_id) {
		/* The listing was faster. Then it is not older than the daemon after all. */
		if (flow->is_older && flow->records == 0) {
			flow->is_older = false;
			flow->told = (struct flow_told){0};
			if (!flow->begin_ns)
				flow->begin_ns = event->start_ns ? event->start_ns : event->when_ns;
		}
		return;
	}
	if (flow)
		replace_flow(table, flow, event->when_ns);
	flow = add_flow(table, event);
	if (flow)
		open_flow(table, flow);
}

/* A flow that was retired has packets again. What it did since its last record began after the
 * listing before this one. */
static struct flow *revive(struct flow_table *table, struct retired_flow *retired,
			   const struct flow_event *event)
{
	struct retired_flow old = *retired;
	struct flow *flow;

	retired_flows_remove(&table->retired, retired);
	flow = add_flow(table, event);
	if (!flow)
		return NULL;
	table->counters.revived++;
	flow->id = old.flow_id;
	flow->start_ns =
		old.retired_ns > table->last_listing_ns ? old.retired_ns : table->last_listing_ns;
	flow->begin_ns = known_begin(event);
	flow->seen = old.reported;
	flow->told = told_of(&old.reported);
	flow->records = old.records;
	take_counters(table, flow, event);
	return flow;
}

/* Totals below those reported are news too: somebody zeroed them. */
static bool is_news(const struct retired_flow *retired, const struct flow_event *event)
{
	return event->has_counters &&
	       (event->counters.in_packets != retired->reported.in_packets ||
		event->counters.out_packets != retired->reported.out_packets);
}

static bool is_closed_tcp(const struct flow_key *key, uint8_t tcp_state)
{
	return key->protocol == IPPROTO_TCP &&
	       (tcp_state == TCP_CONNTRACK_TIME_WAIT || tcp_state == TCP_CONNTRACK_CLOSE);
}

static bool began_before_us(const struct flow_table *table, const struct flow_event *event)
{
	if (event->start_ns)
		return event->start_ns < table->options.start_ns;
	return table->listing.is_first;
}

/* Outside the first listing and a resync the NEW event of what is unknown is on its way. */
static bool is_opening(const struct flow_table *table)
{
	return table->is_listing && (table->listing.is_first || table->listing.is_resync);
}

static void note_ended(struct flow_table *table, const struct flow_event *event)
{
	struct retired_flow ended = {.hash = flow_key_hash(&event->key, table->seed),
				     .conntrack_id = event->conntrack_id,
				     .retired_ns = event->when_ns};
	uint64_t before = table->ended.forgotten;

	if (!is_opening(table))
		return;
	retired_flows_add(&table->ended, &ended);
	table->counters.ended_forgotten += table->ended.forgotten - before;
}

/* The listing was made before the end that was told of meanwhile. */
static bool has_ended(struct flow_table *table, const struct flow_event *event)
{
	return is_opening(table) &&
	       retired_flows_find(&table->ended, flow_key_hash(&event->key, table->seed),
				  event->conntrack_id);
}

static void handle_listed_unknown(struct flow_table *table, const struct flow_event *event)
{
	struct retired_flow *retired = retired_flows_find(
		&table->retired, flow_key_hash(&event->key, table->seed), event->conntrack_id);
	struct flow *flow;

	if (retired) {
		if (!is_news(retired, event))
			return;
		flow = revive(table, retired, event);
	} else {
		if (!is_opening(table))
			return;
		if (table->options.report_tcp_close &&
		    is_closed_tcp(&event->key, event->tcp_state) && began_before_us(table, event))
			return;
		flow = add_flow(table, event);
		if (!flow)
			return;
		take_counters(table, flow, event);
		/* What was reported of a flow that was forgotten nobody knows: start from here. */
		flow->is_older = began_before_us(table, event) ||
				 retired_flows_may_have_forgotten(&table->retired, event->start_ns);
		if (flow->is_older) {
			flow->told = told_of(&flow->seen);
			flow->start_ns = table->last_listing_ns;
			flow->begin_ns = known_begin(event);
		}
	}
	if (flow)
		open_flow(table, flow);
}

static void handle_listed(struct flow_table *table, const struct flow_event *event)
{
	struct flow *flow = flow_table_find(table, &event->key, 0);

	if (has_ended(table, event))
		return;
	if (flow && flow->conntrack_id != event->conntrack_id) {
		/* The events that tell of the change are on their way, unless they were lost. */
		if (!table->is_listing || !table->listing.is_resync)
			return;
		replace_flow(table, flow, event->when_ns);
		flow = NULL;
	}
	if (!flow) {
		handle_listed_unknown(table, event);
		return;
	}
	flow->listing = table->listing_number;
	flow->misses = 0;
	take_counters(table, flow, event);
	/* The event that told of it may have been lost. */
	if (table->options.report_tcp_close && is_closed_tcp(&flow->key, flow->tcp_state))
		retire(table, flow, FLOW_END_DETECTED, event->when_ns);
}

static void handle_closed(struct flow_table *table, const struct flow_event *event)
{
	struct flow *flow = flow_table_find(table, &event->key, event->conntrack_id);

	if (!flow || !table->options.report_tcp_close)
		return;
	flow->tcp_state = event->tcp_state;
	take_last_seen(flow, event);
	retire(table, flow, FLOW_END_DETECTED, event->when_ns);
}

/* Why conntrack gave the flow up: a connection that had closed is an end that was detected; an
 * entry that went before its time ran out was removed by somebody (conntrack -D, early drop); else
 * it was idle. */
static enum flow_end_reason destroy_reason(const struct flow *flow, const struct flow_event *event)
{
	uint8_t state = event->tcp_state ? event->tcp_state : flow->tcp_state;

	if (is_closed_tcp(&flow->key, state))
		return FLOW_END_DETECTED;
	return event->is_early ? FLOW_END_FORCED : FLOW_END_IDLE;
}

static void handle_destroy_known(struct flow_table *table, struct flow *flow,
				 const struct flow_event *event)
{
	take_counters(table, flow, event);
	if (needs_report(flow))
		report(table, flow, destroy_reason(flow, event), flow->last_seen_ns, true);
	remove_flow(table, flow);
}

/* Packets after the last record of a flow that was retired: they are told in one record more. */
static void handle_destroy_retired(struct flow_table *table, struct retired_flow *retired,
				   const struct flow_event *event)
{
	struct flow *flow;

	if (!is_news(retired, event)) {
		retired_flows_remove(&table->retired, retired);
		return;
	}
	flow = revive(table, retired, event);
	if (!flow)
		return;
	table->counters.late_reports++;
	open_flow(table, flow);
	handle_destroy_known(table, flow, event);
}

/* Its NEW was lost, or it is older than we and ended before the first listing showed it. */
static void handle_destroy_unknown(struct flow_table *table, const struct flow_event *event)
{
	struct retired_flow ghost = {
		.hash = flow_key_hash(&event->key, table->seed),
		.conntrack_id = event->conntrack_id,
		.retired_ns = event->when_ns,
		.reported = event->counters,
	};
	struct flow *flow;

	if (!table->had_first_listing &&
	    !(event->start_ns && event->start_ns >= table->options.start_ns)) {
		/* What it did before we watched is not ours to tell; the listing may still show it.
		 */
		retired_flows_add(&table->retired, &ghost);
		table->counters.forgotten = table->retired.forgotten;
		return;
	}
	if (retired_flows_may_have_forgotten(&table->retired, event->start_ns)) {
		table->counters.dropped_unknown++;
		return;
	}
	table->counters.unknown_destroys++;
	flow = add_flow(table, event);
	if (!flow)
		return;
	open_flow(table, flow);
	handle_destroy_known(table, flow, event);
}

static void handle_destroy(struct flow_table *table, const struct flow_event *event)
{
	struct flow *flow = flow_table_find(table, &event->key, event->conntrack_id);
	struct retired_flow *retired;

	note_ended(table, event);
	if (flow) {
		handle_destroy_known(table, flow, event);
		return;
	}
	retired = retired_flows_find(&table->retired, flow_key_hash(&event->key, table->seed),
				     event->conntrack_id);
	if (retired)
		handle_destroy_retired(table, retired, event);
	else
		handle_destroy_unknown(table, event);
}

void flow_table_handle_event(struct flow_table *table, const struct flow_event *event)
{
	switch (event->type) {
	case FLOW_EVENT_NEW:
		handle_new(table, event);
		break;
	case FLOW_EVENT_LISTED:
		handle_listed(table, event);
		break;
	case FLOW_EVENT_CLOSED:
		handle_closed(table, event);
		break;
	case FLOW_EVENT_DESTROY:
		handle_destroy(table, event);
		break;
	}
}

void flow_table_add_packets(struct flow_table *table, struct flow *flow,
			    const struct flow_counters *more, uint64_t when_ns)
{
	struct flow_counters before = flow->seen;

	flow->seen.in_bytes += more->in_bytes;
	flow->seen.in_packets += more->in_packets;
	flow->seen.out_bytes += more->out_bytes;
	flow->seen.out_packets += more->out_packets;
	flow->has_counters = true;
	tell_counted(table, flow, &before);
	if (when_ns > flow->last_seen_ns)
		flow->last_seen_ns = when_ns;
	list_move_tail(&table->idlest_first, &flow->age);
}

void flow_table_begin_listing(struct flow_table *table, const struct flow_listing *listing)
{
	table->listing = *listing;
	table->listing_number++;
	table->is_listing = true;
}

/* Flows that were there before the listing began and are not in it. */
static void count_misses(struct flow_table *table, uint64_t now_ns)
{
	list_for_each_safe (node, &table->idlest_first) {
		struct flow *flow = from_age(node);

		if (flow->listing == table->listing_number || flow->is_from_packets)
			continue;
		if (++flow->misses < MISSES_TO_VANISH)
			continue;
		table->counters.vanished++;
		retire(table, flow, FLOW_END_DETECTED, now_ns);
	}
}

void flow_table_end_listing(struct flow_table *table, const struct flow_listing *listing,
			    uint64_t now_ns)
{
	if (listing->is_complete)
		count_misses(table, now_ns);
	retired_flows_fini(&table->ended);
	table->is_listing = false;
	table->had_first_listing = true;
	table->last_listing_ns = now_ns;
}

static void run_timeouts_of(struct flow_table *table, struct flow *flow, uint64_t now_ns)
{
	if (flow->has_counters && !flow->is_offloaded &&
	    now_ns - flow->last_seen_ns >=
		    table->options.idle_timeout_ns + LAST_SEEN_RESOLUTION_NS) {
		retire(table, flow,
		       is_closed_tcp(&flow->key, flow->tcp_state) ? FLOW_END_DETECTED
								  : FLOW_END_IDLE,
		       now_ns);
		return;
	}
	if (now_ns - flow->start_ns < table->options.active_timeout_ns)
		return;
	/* A silent interval belongs to the next record: its processes may have worked all the time. */
	if (!flow->has_counters || flow_has_news(flow))
		report(table, flow, FLOW_END_ACTIVE, now_ns, false);
}

void flow_table_run_timeouts(struct flow_table *table, uint64_t now_ns)
{
	list_for_each_safe (node, &table->idlest_first)
		run_timeouts_of(table, from_age(node), now_ns);
}

void flow_table_flush(struct flow_table *table, uint64_t now_ns)
{
	struct list_node *node;

	while ((node = list_first(&table->idlest_first))) {
		struct flow *flow = from_age(node);

		retire(table, flow,
		       is_closed_tcp(&flow->key, flow->tcp_state) ? FLOW_END_DETECTED
								  : FLOW_END_FORCED,
		       now_ns);
	}
}
