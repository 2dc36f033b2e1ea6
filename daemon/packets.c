/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "packets.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/slab.h"
#include "flow/packet_details.h"
#include "flow/packet_fragments.h"
#include "packet_prefixes.h"
#include "record_packets.h"
#include "sources/nflog_rules.h"

#define LOG_MODULE "nflog"
#include "runtime/log.h"

/* The event of a flow follows its first packet within the kernel: so long until conntrack is asked. */
#define EVENT_NS (20 * NS_PER_MS)
/* What has no flow is kept so long, so that its next packets are known again; and a closed connection of
 * packets alone, so that its last ones begin no other. */
#define FOREIGN_NS (5 * NS_PER_SEC)
/* A connection of packets alone that was silent for idle_timeout: who began it is kept so long. */
#define SILENT_NS (2 * 3600 * NS_PER_SEC)
#define TELL_NS	  (10 * NS_PER_SEC)

/* Details without a flow, at the most. */
enum { MOST_WAITING = 65536 };

enum stage {
	STAGE_LINKED,
	STAGE_NEW,     /* its event may be on its way */
	STAGE_FOREIGN, /* tracked, and none of our flows */
	STAGE_CLOSED,  /* was a flow of packets alone */
	STAGE_SILENT,  /* was one, and may be again */
	STAGE_COUNT,
};

struct packets {
	struct packets_options options;
	struct packets_counters counters;
	struct nflog *nflog;
	struct nft_table *rules;
	struct loop_source *timer;
	struct hash_map map; /* of struct packet_details, by key */
	struct slab slab;
	struct list_node stages[STAGE_COUNT]; /* by due_ns */
	size_t waiting;
	uint64_t seed;
	struct packet_prefixes prefixes;
	struct packet_fragments fragments;
	uint64_t lost_told, told_ns;
	uint64_t drained_ns; /* what was handed over before was read */
};

DEFINE_CLEANUP(struct packets *, packets_free);

static struct packet_details *from_waiting(struct list_node *node)
{
	return container_of(node, struct packet_details, waiting);
}

static bool has_key(const void *value, const void *key)
{
	const struct packet_details *details = value;

	return flow_key_equal(&details->key, key);
}

static struct packet_details *find_details(const struct packets *packets,
					   const struct flow_key *key)
{
	return hash_map_find(&packets->map, flow_key_hash(key, packets->seed), has_key, key);
}

static void stop_waiting(struct packets *packets, struct packet_details *details)
{
	if (details->stage == STAGE_LINKED)
		return;
	list_remove(&details->waiting);
	packets->waiting--;
	details->stage = STAGE_LINKED;
}

static void wait_in(struct packets *packets, struct packet_details *details, enum stage stage,
		    uint64_t now_ns)
{
	static const uint64_t durations[STAGE_COUNT] = {[STAGE_NEW] = EVENT_NS,
							[STAGE_FOREIGN] = FOREIGN_NS,
							[STAGE_CLOSED] = FOREIGN_NS,
							[STAGE_SILENT] = SILENT_NS};

	stop_waiting(packets, details);
	details->stage = (uint8_t)stage;
	details->due_ns = now_ns + durations[stage];
	list_add_tail(&packets->stages[stage], &details->waiting);
	packets->waiting++;
}

static struct packet_details *add_details(struct packets *packets, const struct flow_key *key)
{
	struct packet_details *details = slab_take(&packets->slab);

	if (!details)
		return NULL;
	*details = (struct packet_details){.key = *key, .stage = STAGE_LINKED};
	list_init(&details->waiting);
	if (hash_map_add(&packets->map, flow_key_hash(key, packets->seed), details) < 0) {
		slab_give(&packets->slab, details);
		return NULL;
	}
	return details;
}

static void remove_details(struct packets *packets, struct packet_details *details)
{
	stop_waiting(packets, details);
	hash_map_remove(&packets->map, flow_key_hash(&details->key, packets->seed), has_key,
			&details->key);
	slab_give(&packets->slab, details);
}

/* The roles are the flow's from here on. What was measured by others is not. */
static void link_flow(struct packets *packets, struct packet_details *details, struct flow *flow,
		      enum packet_side initiator)
{
	stop_waiting(packets, details);
	if (details->initiator != initiator) {
		details->initiator = (uint8_t)initiator;
		details->client.is_known = details->server.is_known = false;
		details->application.is_known = false;
	}
	details->flow = flow;
	details->flow_id = flow->id;
}

static struct flow *get_flow(const struct packet_details *details)
{
	return details->flow && details->flow->id == details->flow_id ? details->flow : NULL;
}

/* The details under a flow's key, or NULL. */
static struct packet_details *find_of_flow(const struct packets *packets, const struct flow *flow,
					   struct flow_key *ret_key, int *ret_side)
{
	struct flow_key key = packet_key_of_flow(&flow->key, flow->reply);

	key.zone = 0;
	*ret_side = packet_key_make(&key, ret_key);
	return *ret_side == PACKET_KEY_NO_FLOW ? NULL : find_details(packets, ret_key);
}

/* Packets of a translated flow do not have its key, and none has its zone's number on it: it could not be found
 * by them later. */
void packets_on_open(struct packets *packets, struct flow *flow)
{
	struct packet_details *details;
	struct flow_key key;
	int side;

	if (!packets)
		return;
	details = find_of_flow(packets, flow, &key, &side);
	if (side == PACKET_KEY_NO_FLOW)
		return;
	if (!details && (flow->reply || flow->key.zone))
		details = add_details(packets, &key);
	if (!details)
		return;
	/* One tuple in two zones, or of two translations: no packet says whose it is. */
	if (get_flow(details) && details->flow != flow)
		details->is_ambiguous = true;
	else if (!get_flow(details))
		link_flow(packets, details, flow, (enum packet_side)side);
}

void packets_on_close(struct packets *packets, struct flow *flow)
{
	struct packet_details *details;
	struct flow_key key;
	int side;

	if (!packets)
		return;
	details = find_of_flow(packets, flow, &key, &side);
	if (!details || details->flow != flow)
		return;
	details->flow = NULL;
	if (flow->is_from_packets && packet_details_is_closed(details)) {
		wait_in(packets, details, STAGE_CLOSED, clock_now_ns());
	} else if (flow->is_from_packets && flow->key.protocol == IPPROTO_TCP) {
		packet_details_start_over(details);
		wait_in(packets, details, STAGE_SILENT, clock_now_ns());
	} else {
		remove_details(packets, details);
	}
}

static struct flow_counters count_one(const struct packet_details *details, enum packet_side side,
				      uint64_t bytes)
{
	struct flow_counters counters = {0};

	if (side == details->initiator) {
		counters.in_bytes = bytes;
		counters.in_packets = 1;
	} else {
		counters.out_bytes = bytes;
		counters.out_packets = 1;
	}
	return counters;
}

static void send_event(struct packets *packets, const struct flow_event *event)
{
	struct conntrack_handlers handlers =
		pipeline_get_conntrack_handlers(packets->options.pipeline);

	handlers.on_event(handlers.userdata, event);
}

static void close_flow(struct packets *packets, const struct packet_details *details,
		       struct flow *flow, uint64_t now_ns)
{
	struct flow_event event = {.type = FLOW_EVENT_CLOSED,
				   .key = flow->key,
				   .tcp_state = details->tcp_state,
				   .when_ns = now_ns,
				   .is_from_packets = true};

	send_event(packets, &event);
}

static struct flow_table *get_table(struct packets *packets)
{
	return pipeline_get_flow_table(packets->options.pipeline);
}

/* A flow of packets alone begins. Where it is not wanted (flows.include) it stays without one. */
static void open_flow(struct packets *packets, struct packet_details *details, uint64_t now_ns)
{
	struct flow_event event = {
		.type = FLOW_EVENT_NEW,
		.key = packet_key_orient(&details->key, details->initiator),
		.when_ns = details->first_ns,
		.tcp_state = details->tcp_state,
		.is_from_packets = true,
	};
	struct flow_counters counters = packet_details_get_counters(details);
	struct flow *flow;

	/* A short connection may be over when its first packet is read. */
	if (details->first_clock != PACKET_CLOCK_STAMPED)
		event.not_before_ns = details->first_ns - NFLOG_BATCH_NS;
	send_event(packets, &event);
	flow = get_flow(details);
	if (!flow) {
		wait_in(packets, details, STAGE_FOREIGN, now_ns);
		return;
	}
	packets->counters.flows++;
	packets->counters.of_own_flows += counters.in_packets + counters.out_packets;
	flow_table_add_packets(get_table(packets), flow, &counters, details->first_ns);
	if (packet_details_is_closed(details))
		close_flow(packets, details, flow, now_ns);
}

/* Whether conntrack has an entry for it. */
static bool is_tracked(struct packets *packets, const struct packet_details *details)
{
	struct flow_key key = packet_key_orient(&details->key, details->initiator);

	if (details->tracking != PACKET_TRACKING_UNKNOWN)
		return details->tracking == PACKET_IS_TRACKED;
	return conntrack_query(packets->options.conntrack, &key, 0) != -ENOENT;
}

/* Nobody told of it. Answers alone are no flow: their question was not seen. */
static void settle(struct packets *packets, struct packet_details *details, uint64_t now_ns)
{
	const struct flow_key key = details->key;
	bool has_entry = is_tracked(packets, details);

	/* The answer is an event, too: by now they may have their flow, or have gone with it. */
	if (find_details(packets, &key) != details || get_flow(details))
		return;
	if (has_entry) {
		wait_in(packets, details, STAGE_FOREIGN, now_ns);
		return;
	}
	open_flow(packets, details, now_ns);
}

static void run_waiting(struct packets *packets, uint64_t now_ns)
{
	struct list_node *node;

	while ((node = list_first(&packets->stages[STAGE_NEW])) &&
	       from_waiting(node)->due_ns <= now_ns)
		settle(packets, from_waiting(node), now_ns);
	for (int stage = STAGE_FOREIGN; stage < STAGE_COUNT; stage++)
		while ((node = list_first(&packets->stages[stage])) &&
		       from_waiting(node)->due_ns <= now_ns)
			remove_details(packets, from_waiting(node));
}

static void arm_timer(struct packets *packets)
{
	uint64_t due_ns = UINT64_MAX;

	for (int stage = STAGE_NEW; stage < STAGE_COUNT; stage++) {
		struct list_node *node = list_first(&packets->stages[stage]);

		if (node && from_waiting(node)->due_ns < due_ns)
			due_ns = from_waiting(node)->due_ns;
	}
	if (due_ns != UINT64_MAX)
		loop_source_set_time(packets->timer, due_ns);
}

static void tell_losses(struct packets *packets, uint64_t now_ns)
{
	const struct nflog_counters *counters = nflog_get_counters(packets->nflog);

	if (counters->lost == packets->lost_told ||
	    (packets->told_ns && now_ns - packets->told_ns < TELL_NS))
		return;
	log_warning("%" PRIu64 " logged packets were lost so far: flows of packets alone count too "
		    "little",
		    counters->lost);
	packets->lost_told = counters->lost;
	packets->told_ns = now_ns;
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	struct packets *packets = userdata;

	run_waiting(packets, now_ns);
	arm_timer(packets);
}

static void on_batch_end(void *userdata, uint64_t now_ns)
{
	struct packets *packets = userdata;

	run_waiting(packets, now_ns);
	tell_losses(packets, now_ns);
	arm_timer(packets);
}

/* The flow that a packet belongs to, by its own key, in either direction. */
static struct flow *find_flow(struct packets *packets, const struct packet_event *event,
			      const struct flow_key *key, enum packet_side *ret_initiator)
{
	struct flow_key own;
	struct flow *flow;

	if (event->has_conntrack) {
		flow = flow_table_find(get_table(packets), &event->conntrack_key,
				       event->conntrack_id);
		if (flow) {
			struct flow_key seen = packet_key_of_flow(&flow->key, flow->reply);
			int side = packet_key_make(&seen, &own);

			*ret_initiator =
				side == PACKET_SIDE_HIGH ? PACKET_SIDE_HIGH : PACKET_SIDE_LOW;
			return flow;
		}
	}
	for (int side = PACKET_SIDE_LOW; side <= PACKET_SIDE_HIGH; side++) {
		own = packet_key_orient(key, (enum packet_side)side);
		flow = flow_table_find(get_table(packets), &own, 0);
		if (flow && !flow->reply) {
			*ret_initiator = (enum packet_side)side;
			return flow;
		}
	}
	return NULL;
}

/* The one that has been silent for longest makes room. */
static void drop_silent(struct packets *packets)
{
	struct list_node *node = list_first(&packets->stages[STAGE_SILENT]);

	if (node)
		remove_details(packets, from_waiting(node));
}

/* New details for a packet of "key", linked to their flow where it is there; NULL: no room. */
static struct packet_details *
begin_details(struct packets *packets, const struct packet_event *event, const struct flow_key *key)
{
	struct packet_details *details = NULL;
	enum packet_side initiator;
	struct flow *flow = find_flow(packets, event, key, &initiator);

	if (!flow && packets->waiting >= MOST_WAITING)
		drop_silent(packets);
	if (flow || packets->waiting < MOST_WAITING)
		details = add_details(packets, key);
	if (!details) {
		packets->counters.dropped++;
		return NULL;
	}
	details->prefix = packet_prefixes_add(&packets->prefixes, event->prefix);
	if (flow)
		link_flow(packets, details, flow, initiator);
	return details;
}

/* Whether a packet may stand at the beginning of a flow of packets alone. */
static bool begins_flow(const struct packet_event *event)
{
	return !packet_key_is_answer(&event->packet.key);
}

static void add_to_flow(struct packets *packets, struct packet_details *details,
			enum packet_side side, const struct packet_event *event)
{
	struct flow *flow = get_flow(details);
	bool was_closed = packet_details_is_closed(details);
	uint64_t bytes = packet_details_add(details, side, event);
	struct flow_counters counters;

	if (!flow->is_from_packets) {
		packets->counters.matched++;
		return;
	}
	packets->counters.of_own_flows++;
	counters = count_one(details, side, bytes);
	flow_table_add_packets(get_table(packets), flow, &counters, event->when_ns);
	flow->tcp_state = details->tcp_state;
	if (!was_closed && packet_details_is_closed(details))
		close_flow(packets, details, flow, clock_now_ns());
}

static void add_without_flow(struct packets *packets, struct packet_details *details,
			     enum packet_side side, const struct packet_event *event)
{
	bool is_first = details->first_ns == 0;

	packet_details_add(details, side, event);
	if (!is_first) {
		if (details->stage == STAGE_FOREIGN)
			packets->counters.foreign++;
		return;
	}
	if (event->tracking == PACKET_IS_UNTRACKED && begins_flow(event))
		open_flow(packets, details, event->when_ns);
	else if (begins_flow(event))
		wait_in(packets, details, STAGE_NEW, clock_now_ns());
	else
		wait_in(packets, details, STAGE_FOREIGN, clock_now_ns());
}

/* The end of a flow is read before its packets where both are there: events go first. */
void packets_drain(struct packets *packets, uint64_t event_ns)
{
	if (!packets || packets->drained_ns >= event_ns)
		return;
	packets->drained_ns = clock_now_ns();
	nflog_read(packets->nflog);
}

/* What is left of a closed connection of packets alone: its last packets, or another one begins. */
static bool is_late(struct packets *packets, struct packet_details **details,
		    const struct packet_event *event)
{
	if (!*details || (*details)->stage != STAGE_CLOSED)
		return false;
	if (!packet_details_begins_anew(event)) {
		packets->counters.late++;
		return true;
	}
	remove_details(packets, *details);
	*details = NULL;
	return false;
}

static void handle_packet(struct packets *packets, const struct packet_event *event)
{
	struct packet_details *details;
	struct flow_key key;
	int side = packet_key_make(&event->packet.key, &key);

	if (side == PACKET_KEY_NO_FLOW) {
		packets->counters.other_icmp++;
		return;
	}
	details = find_details(packets, &key);
	if (is_late(packets, &details, event))
		return;
	if (!details)
		details = begin_details(packets, event, &key);
	if (!details)
		return;
	if (get_flow(details))
		add_to_flow(packets, details, (enum packet_side)side, event);
	else
		add_without_flow(packets, details, (enum packet_side)side, event);
}

static void on_packet(void *userdata, const struct packet_event *event)
{
	struct packets *packets = userdata;
	struct packet_event whole = *event;

	if (event->packet.is_icmp_error) {
		packets->counters.icmp_errors++;
		return;
	}
	if (!packet_fragments_complete(&packets->fragments, &whole.packet, event->when_ns)) {
		packets->counters.stray_fragments++;
		return;
	}
	handle_packet(packets, &whole);
}

void packets_tell_users(struct packets *packets, struct flow *flow)
{
	struct packet_details *details;
	struct flow_key key;
	struct flow_end *ends[2];
	int side;

	if (!packets)
		return;
	details = find_of_flow(packets, flow, &key, &side);
	if (!details || details->flow != flow || details->is_ambiguous)
		return;
	ends[details->initiator] = &flow->src;
	ends[!details->initiator] = &flow->dst;
	for (int i = 0; i < 2; i++) {
		if (!details->ends[i].has_uid || ends[i]->has_uid || ends[i]->process)
			continue;
		ends[i]->uid = details->ends[i].uid;
		ends[i]->has_uid = true;
	}
}

void packets_describe(struct packets *packets, const struct flow *flow, struct flow_record *record)
{
	struct packet_details *details;
	struct flow_key key;
	int side;

	if (!packets)
		return;
	details = find_of_flow(packets, flow, &key, &side);
	if (!details || details->flow != flow || details->is_ambiguous)
		return;
	/* Later records begin where the one before ended; without a doubt the kernel told the start. */
	packet_details_take_start(details, flow->conntrack_id && flow->records == 1 &&
							   flow->start_doubt_us == 0
						   ? flow->start_ns
						   : 0);
	record_packets_add(details, packet_prefixes_get(&packets->prefixes, details->prefix),
			   record);
}

static void tell_refused(const struct config_nflog *config, int r)
{
	if (r == -EBUSY)
		log_error("group %u: another program listens to it; choose another nflog.group",
			  config->group);
	else
		log_error("group %u cannot be listened to: %s%s", config->group, strerror(-r),
			  r == -EPERM				  ? " (CAP_NET_ADMIN is needed)"
			  : r == -EINVAL || r == -EPROTONOSUPPORT ? " (modprobe nfnetlink_log)"
								  : "");
}

static void make_rules(struct packets *packets)
{
	const struct config_nflog *config = &packets->options.config->nflog;
	struct nflog_rules_options options = {.group = (uint16_t)config->group,
					      .packets = config->packets,
					      .uses_conntrack = packets->options.may_track};
	struct buffer reason;
	int r;

	if (config->rules != CONFIG_NFLOG_MANAGED)
		return;
	buffer_init(&reason);
	r = nflog_rules_new(&options, &packets->rules, &reason);
	if (r == 0 && !options.uses_conntrack && config->packets)
		log_notice("nothing tracks connections here: every packet is read, not the first "
			   "%u of each flow",
			   config->packets);
	else if (r == NFT_TABLE_TAKEN)
		log_error("no packets are logged: there is an nft table \"inet procflow_nflog\" "
			  "already, of another procflowd or left by hand");
	else if (r != 0)
		log_error("no packets are logged: no nft table could be made: %.*s; see "
			  "nflog.rules: external",
			  r == -EIO ? (int)reason.length : 256,
			  r == -EOPNOTSUPP ? "built without libnftables"
			  : r == -EIO	   ? (const char *)reason.bytes
					   : strerror(-r));
	buffer_fini(&reason);
}

int packets_new(const struct packets_options *options, struct packets **ret)
{
	cleanup(packets_free_cleanup) struct packets *packets = NULL;
	struct nflog_options nflog = {
		.group = (uint16_t)options->config->nflog.group,
		.receive_buffer_bytes = options->config->conntrack.receive_buffer_bytes,
		.handlers = {.on_packet = on_packet, .on_batch_end = on_batch_end}};
	int r;

	*ret = NULL;
	/* Before others are looked at: with external rules packets would come twice. */
	nflog_rules_remove_left();
	if (!options->config->nflog.enable)
		return 0;
	packets = calloc(1, sizeof(*packets));
	if (!packets)
		return -ENOMEM;
	packets->options = *options;
	packets->seed = hash_seed_new();
	hash_map_init(&packets->map);
	slab_init(&packets->slab, sizeof(struct packet_details));
	for (int stage = 0; stage < STAGE_COUNT; stage++)
		list_init(&packets->stages[stage]);
	packet_fragments_init(&packets->fragments);
	r = loop_add_timer(options->loop, UINT64_MAX, on_timer, packets, &packets->timer);
	if (r < 0)
		return r;
	nflog.handlers.userdata = packets;
	r = nflog_new(options->loop, &nflog, &packets->nflog);
	if (r < 0) {
		tell_refused(&options->config->nflog, r);
		return r == -ENOMEM ? r : 0;
	}
	make_rules(packets);
	*ret = steal_pointer(&packets);
	return 0;
}

void packets_finish(struct packets *packets)
{
	if (!packets)
		return;
	nft_table_free(packets->rules);
	packets->rules = NULL;
	nflog_finish(packets->nflog);
	run_waiting(packets, clock_now_ns() + EVENT_NS);
}

void packets_free(struct packets *packets)
{
	if (!packets)
		return;
	nft_table_free(packets->rules);
	nflog_free(packets->nflog);
	loop_source_free(packets->timer);
	hash_map_fini(&packets->map);
	slab_fini(&packets->slab);
	free(packets);
}

const struct packets_counters *packets_get_counters(const struct packets *packets)
{
	return packets ? &packets->counters : NULL;
}

const struct nflog_counters *packets_get_nflog_counters(const struct packets *packets)
{
	return packets ? nflog_get_counters(packets->nflog) : NULL;
}
