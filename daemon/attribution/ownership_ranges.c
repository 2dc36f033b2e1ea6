/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/ownership_ranges.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "attribution/lost_spans.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "base/slab.h"

enum { MOST_READERS = 16 }; /* looked at */
#define PORTLESS_GAP_NS (10 * NS_PER_MS)

/* The local address is no part of it: an unbound UDP socket is recorded before it has one. */
struct key {
	struct ip_address remote;
	uint16_t local_port, remote_port;
	uint8_t family, protocol;
	uint8_t padding[2];
};
_Static_assert(sizeof(struct key) == 24, "hashed and compared as bytes: no holes");

struct range {
	struct list_node age;
	struct range *older, *newer; /* of the same key, by "first_ns" */
	struct key key;
	struct ip_address local; /* all 0: any */
	struct ownership_act act;
	uint64_t closed_ns; /* UINT64_MAX: not */
};

struct ownership_ranges {
	struct ownership_ranges_options options;
	struct hash_map newest; /* of each key */
	struct list_node ages;	/* by the last act as it came in, oldest first */
	struct slab slab;
	struct lost_spans lost;
	uint64_t seed;
	struct ownership_ranges_counters counters;
};

DEFINE_CLEANUP(struct ownership_ranges *, ownership_ranges_free);

int ownership_ranges_new(const struct ownership_ranges_options *options,
			 struct ownership_ranges **ret)
{
	cleanup(ownership_ranges_free_cleanup) struct ownership_ranges *ranges =
		calloc(1, sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	ranges->options = *options;
	hash_map_init(&ranges->newest);
	list_init(&ranges->ages);
	slab_init(&ranges->slab, sizeof(struct range));
	ranges->seed = hash_seed_new();
	*ret = steal_pointer(&ranges);
	return 0;
}

void ownership_ranges_free(struct ownership_ranges *ranges)
{
	if (!ranges)
		return;
	hash_map_fini(&ranges->newest);
	slab_fini(&ranges->slab);
	free(ranges);
}

static struct key key_from(const struct socket_tuple *socket)
{
	return (struct key){.remote = socket->remote,
			    .local_port = socket->local_port,
			    .remote_port = socket->remote_port,
			    .family = socket->family,
			    .protocol = socket->protocol};
}

static uint64_t hash_key(const struct ownership_ranges *ranges, const struct key *key)
{
	return hash_bytes(ranges->seed, key, sizeof(*key));
}

static bool match_key(const void *value, const void *key)
{
	const struct range *range = value;

	return memcmp(&range->key, key, sizeof(range->key)) == 0;
}

static bool match_range(const void *value, const void *range)
{
	return value == range;
}

static struct range *find_hashed(const struct ownership_ranges *ranges, const struct key *key,
				 uint64_t hash)
{
	return hash_map_find(&ranges->newest, hash, match_key, key);
}

static struct range *find_newest(const struct ownership_ranges *ranges, const struct key *key)
{
	return find_hashed(ranges, key, hash_key(ranges, key));
}

static bool fits_local(const struct ip_address *a, const struct ip_address *b)
{
	return ip_address_is_zero(a) || ip_address_is_zero(b) || ip_address_equal(a, b);
}

static void drop(struct ownership_ranges *ranges, struct range *range)
{
	if (range->newer) {
		range->newer->older = range->older;
	} else {
		uint64_t hash = hash_key(ranges, &range->key);

		hash_map_remove(&ranges->newest, hash, match_range, range);
		/* There is room: one was just taken out. */
		if (range->older)
			hash_map_add(&ranges->newest, hash, range->older);
	}
	if (range->older)
		range->older->newer = range->newer;
	list_remove(&range->age);
	slab_give(&ranges->slab, range);
	ranges->counters.ranges--;
}

/* Where the ranges of a key are: looked up once for each record. */
struct place {
	uint64_t hash;
	struct range *newest; /* NULL: there are none */
};

static struct place find_place(const struct ownership_ranges *ranges, const struct key *key)
{
	uint64_t hash = hash_key(ranges, key);

	return (struct place){.hash = hash, .newest = find_hashed(ranges, key, hash)};
}

/* Whether a range had to go, perhaps one of the key that is at work. */
static bool make_room(struct ownership_ranges *ranges)
{
	struct list_node *oldest = list_first(&ranges->ages);

	if (ranges->counters.ranges < ranges->options.max_ranges || !oldest)
		return false;
	drop(ranges, container_of(oldest, struct range, age));
	ranges->counters.evicted++;
	return true;
}

/* Puts "range" in behind "older" (NULL: nothing of the key is older). */
static int link_range(struct ownership_ranges *ranges, const struct place *place,
		      struct range *range, struct range *older)
{
	struct range *newest = place->newest;

	if (newest == older) {
		if (newest)
			hash_map_remove(&ranges->newest, place->hash, match_range, newest);
		if (hash_map_add(&ranges->newest, place->hash, range) < 0)
			return -ENOMEM;
		range->newer = NULL;
	} else if (older) {
		range->newer = older->newer;
	} else {
		range->newer = newest;
		while (range->newer->older)
			range->newer = range->newer->older;
	}
	range->older = older;
	if (range->newer)
		range->newer->older = range;
	if (older)
		older->newer = range;
	return 0;
}

static int add_range(struct ownership_ranges *ranges, struct place *place,
		     const struct range *value)
{
	struct range *range, *older;

	if (make_room(ranges))
		place->newest = find_hashed(ranges, &value->key, place->hash);
	range = slab_take(&ranges->slab);
	if (!range)
		return -ENOMEM;
	*range = *value;
	older = place->newest;
	while (older && older->act.first_ns > range->act.first_ns)
		older = older->older;
	if (link_range(ranges, place, range, older) < 0) {
		slab_give(&ranges->slab, range);
		return -ENOMEM;
	}
	if (!range->newer)
		place->newest = range;
	list_add_tail(&ranges->ages, &range->age);
	ranges->counters.ranges++;
	return 0;
}

static bool is_close(const struct socket_event *event)
{
	return event->tcp_state == TCP_FIN_WAIT1 || event->tcp_state == TCP_LAST_ACK ||
	       event->tcp_state == TCP_CLOSE;
}

static bool is_reading(const struct socket_event *event)
{
	return event->tcp_state == TCP_ESTABLISHED;
}

static void note_kind(struct ownership_act *act, const struct socket_event *event)
{
	if (is_close(event) && event->when_ns > act->closed_ns)
		act->closed_ns = event->when_ns;
	else if (is_reading(event) && event->when_ns > act->read_ns)
		act->read_ns = event->when_ns;
	else if (!is_close(event) && !is_reading(event))
		act->has_begun = true;
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* Without ports several processes act on one key at a time, and what lies between two acts of one of them
 * is not its own. */
static bool is_too_late(const struct range *range, const struct socket_event *event)
{
	return !has_ports(range->key.protocol) && event->when_ns > range->act.last_ns &&
	       event->when_ns - range->act.last_ns > PORTLESS_GAP_NS;
}

static bool is_same_owner(const struct range *range, const struct socket_event *event)
{
	return !is_too_late(range, event) && range->act.pid == event->pid &&
	       range->closed_ns >= event->when_ns &&
	       range->act.socket_address == event->socket_address;
}

static void extend(struct ownership_ranges *ranges, struct range *range,
		   const struct socket_event *event)
{
	if (event->when_ns > range->act.last_ns)
		range->act.last_ns = event->when_ns;
	if (event->when_ns < range->act.first_ns)
		range->act.first_ns = event->when_ns;
	note_kind(&range->act, event);
	/* connect(2) on UDP looks the route up before and after the source is chosen. */
	if (ip_address_is_zero(&range->local))
		range->local = event->socket.local;
	list_move_tail(&ranges->ages, &range->age);
	ranges->counters.extended++;
}

/* A record came late and falls between the acts of another owner: those after it are a range of
 * their own. What lay between the first and the last is not known one by one. */
static int split(struct ownership_ranges *ranges, struct place *place, struct range *range)
{
	struct range later = *range;

	later.act.first_ns = range->act.last_ns;
	range->act.last_ns = range->act.first_ns;
	return add_range(ranges, place, &later);
}

/* Two processes that read by turns make two ranges, not one for each turn. */
static struct range *find_same_owner(struct range *newest, const struct socket_event *event)
{
	struct range *range = newest;

	for (int i = 0; range && i < MOST_READERS; i++, range = range->older)
		if (is_same_owner(range, event) && fits_local(&range->local, &event->socket.local))
			return range;
	return NULL;
}

static int add_act(struct ownership_ranges *ranges, const struct socket_event *event)
{
	struct range value = {
		.key = key_from(&event->socket),
		.local = event->socket.local,
		.act = {.pid = event->pid,
			.first_ns = event->when_ns,
			.last_ns = event->when_ns,
			.socket_address = event->socket_address,
			.cgroup_id = event->cgroup_id},
		.closed_ns = UINT64_MAX,
	};
	struct place place = find_place(ranges, &value.key);
	struct range *newer = NULL, *at;

	note_kind(&value.act, event);
	at = value.act.has_begun ? NULL : find_same_owner(place.newest, event);
	if (at) {
		extend(ranges, at, event);
		return 0;
	}
	for (at = place.newest; at; at = at->older) {
		if (!fits_local(&at->local, &value.local))
			continue;
		if (at->act.first_ns <= event->when_ns)
			break;
		newer = at;
	}
	if (at && is_same_owner(at, event)) {
		extend(ranges, at, event);
		return 0;
	}
	if (at && at->act.last_ns > event->when_ns) {
		int r = split(ranges, &place, at);

		if (r < 0)
			return r;
	} else if (newer && newer->older == at && is_same_owner(newer, event)) {
		extend(ranges, newer, event);
		return 0;
	}
	ranges->counters.added++;
	return add_range(ranges, &place, &value);
}

static void end_range(struct ownership_ranges *ranges, const struct socket_event *event)
{
	struct key key = key_from(&event->socket);

	for (struct range *at = find_newest(ranges, &key); at; at = at->older) {
		if (at->act.first_ns > event->when_ns || at->closed_ns != UINT64_MAX ||
		    at->act.socket_address != event->socket_address ||
		    !ip_address_equal(&at->local, &event->socket.local))
			continue;
		at->closed_ns = event->when_ns;
		ranges->counters.closed++;
	}
}

static bool is_whole(const struct socket_event *event)
{
	const struct socket_tuple *socket = &event->socket;

	if (!event->is_proof || event->pid <= 0 || ip_address_is_zero(&socket->remote))
		return false;
	if (!has_ports(socket->protocol))
		return true;
	return socket->local_port != 0 && socket->remote_port != 0 &&
	       (socket->protocol == IPPROTO_UDP || !ip_address_is_zero(&socket->local));
}

int ownership_ranges_add(struct ownership_ranges *ranges, const struct socket_event *event)
{
	if (event->tcp_state == TCP_CLOSE && !event->is_proof) {
		end_range(ranges, event);
		return 0;
	}
	if (!is_whole(event)) {
		ranges->counters.ignored++;
		return 0;
	}
	return add_act(ranges, event);
}

void ownership_ranges_add_lost(struct ownership_ranges *ranges, uint64_t from_ns, uint64_t until_ns)
{
	lost_spans_add(&ranges->lost, from_ns, until_ns);
}

static bool fits(const struct range *range, const struct ownership_ranges_query *query)
{
	return fits_local(&range->local, &query->socket.local) &&
	       !(query->needs_local && ip_address_is_zero(&range->local)) &&
	       (!query->accept || query->accept(query->userdata, &range->act));
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

struct candidates {
	const struct range *before; /* the newest that began not after "earliest" */
	const struct range *within; /* the first that began after "earliest" and until "latest" */
	const struct range *after;  /* the first that began after "latest", within the tolerance */
};

static bool is_same_socket(const struct range *a, const struct range *b)
{
	return a->act.socket_address == b->act.socket_address && b->act.first_ns <= a->closed_ns &&
	       a->act.first_ns <= b->closed_ns;
}

static struct candidates find_candidates(const struct ownership_ranges *ranges,
					 const struct ownership_ranges_query *query)
{
	uint64_t end_ns = add_saturated(query->latest_ns, ranges->options.tolerance_ns);
	struct key key = key_from(&query->socket);
	struct candidates candidates = {0};

	for (const struct range *at = find_newest(ranges, &key); at; at = at->older) {
		if (at->act.first_ns > end_ns || !fits(at, query))
			continue;
		if (at->act.first_ns <= query->earliest_ns) {
			candidates.before = at;
			break;
		}
		if (at->act.first_ns <= query->latest_ns)
			candidates.within = at;
		else
			candidates.after = at;
	}
	return candidates;
}

static const struct range *choose(const struct ownership_ranges *ranges,
				  const struct ownership_ranges_query *query)
{
	struct candidates candidates = find_candidates(ranges, query);
	const struct range *before = candidates.before;

	/* It acted before and went on acting, and nobody else did between. */
	if (before && before->act.last_ns > query->earliest_ns)
		return before;
	if (candidates.within)
		return candidates.within;
	if (before &&
	    add_saturated(before->closed_ns, ranges->options.tolerance_ns) >= query->earliest_ns)
		return before;
	return candidates.after;
}

static struct ownership_range to_answer(const struct range *range)
{
	return (struct ownership_range){
		.ownership = {.method = OWNERSHIP_TRACE,
			      .process.pid = range->act.pid,
			      .cgroup_id = range->act.cgroup_id},
		.from_ns = range->act.first_ns,
		.until_ns = range->closed_ns,
		.last_ns = range->act.last_ns,
	};
}

int ownership_ranges_find(struct ownership_ranges *ranges,
			  const struct ownership_ranges_query *query, struct ownership_range *ret)
{
	const struct range *range = choose(ranges, query);
	uint64_t tolerance_ns = ranges->options.tolerance_ns;
	uint64_t quiet_ns =
		query->earliest_ns > tolerance_ns ? query->earliest_ns - tolerance_ns : 0;

	if (range)
		quiet_ns = range->act.last_ns;

	/* An act after the beginning speaks for itself; one from before stands for the beginning
	 * only as long as nothing was lost since; and where there is none, it may be what was. */
	if (quiet_ns <= query->earliest_ns &&
	    lost_spans_touch(&ranges->lost, quiet_ns, query->latest_ns)) {
		ranges->counters.lost++;
		return OWNERSHIP_RANGES_LOST;
	}
	if (!range) {
		ranges->counters.missed++;
		return -ENOENT;
	}
	ranges->counters.found++;
	*ret = to_answer(range);
	return 0;
}

int ownership_ranges_find_only(struct ownership_ranges *ranges,
			       const struct ownership_ranges_query *query,
			       struct ownership_range *ret)
{
	uint64_t tolerance_ns = ranges->options.tolerance_ns;
	uint64_t from_ns =
		query->earliest_ns > tolerance_ns ? query->earliest_ns - tolerance_ns : 0;
	uint64_t until_ns = add_saturated(query->latest_ns, tolerance_ns);
	struct key key = key_from(&query->socket);
	const struct range *only = NULL;

	if (lost_spans_touch(&ranges->lost, from_ns, until_ns)) {
		ranges->counters.lost++;
		return OWNERSHIP_RANGES_LOST;
	}
	for (const struct range *at = find_newest(ranges, &key); at; at = at->older) {
		if (at->act.last_ns < from_ns || at->act.first_ns > until_ns || !fits(at, query))
			continue;
		if (only && only->act.pid != at->act.pid)
			return OWNERSHIP_RANGES_SEVERAL;
		only = at;
	}
	if (!only) {
		ranges->counters.missed++;
		return -ENOENT;
	}
	ranges->counters.found++;
	*ret = to_answer(only);
	return 0;
}

int ownership_ranges_find_alone(struct ownership_ranges *ranges,
				const struct ownership_ranges_query *query,
				struct ownership_range *ret)
{
	uint64_t tolerance_ns = ranges->options.tolerance_ns;
	uint64_t from_ns =
		query->earliest_ns > tolerance_ns ? query->earliest_ns - tolerance_ns : 0;
	uint64_t until_ns = add_saturated(query->latest_ns, tolerance_ns);
	struct key key = key_from(&query->socket);
	const struct range *only = find_newest(ranges, &key);

	if (!only || only->older || only->act.first_ns > until_ns || !fits(only, query))
		return -ENOENT;
	/* A connection is begun once; a datagram may be the first of a flow though others went before. */
	if ((key.protocol == IPPROTO_TCP ? only->act.first_ns : only->act.last_ns) < from_ns)
		return -ENOENT;
	if (lost_spans_touch(&ranges->lost, from_ns, until_ns)) {
		ranges->counters.lost++;
		return OWNERSHIP_RANGES_LOST;
	}
	ranges->counters.found++;
	*ret = to_answer(only);
	return 0;
}

/* The first of the accepting end's acts since "earliest": that of its socket, unless a later connection
 * of the same tuple came so soon that it may have been meant. */
static const struct range *find_first_act(const struct ownership_ranges *ranges,
					  const struct ownership_ranges_query *query)
{
	struct key key = key_from(&query->socket);
	const struct range *first = NULL;
	bool is_only_socket = true;

	for (const struct range *at = find_newest(ranges, &key); at; at = at->older) {
		if (at->act.has_begun || at->act.last_ns < query->earliest_ns || !fits(at, query))
			continue;
		is_only_socket &= !first || is_same_socket(first, at);
		first = at;
	}
	return first && (is_only_socket || first->closed_ns > query->latest_ns) ? first : NULL;
}

static struct ownership_server collect_acts(const struct ownership_ranges *ranges,
					    const struct ownership_ranges_query *query,
					    const struct range *first)
{
	struct key key = key_from(&query->socket);
	struct ownership_server server = {0};

	for (const struct range *at = find_newest(ranges, &key); at; at = at->older) {
		if (at->act.has_begun || !is_same_socket(first, at) ||
		    at->act.last_ns < query->earliest_ns || !fits(at, query))
			continue;
		if (at->act.read_ns >= query->earliest_ns &&
		    at->act.read_ns > server.reader.read_ns)
			server.reader = at->act;
		if (at->act.closed_ns >= query->earliest_ns &&
		    at->act.closed_ns > server.closer.closed_ns)
			server.closer = at->act;
	}
	return server;
}

static bool is_certain(const struct ownership_server *server)
{
	return server->reader.pid && server->reader.pid == server->closer.pid;
}

int ownership_ranges_find_server(struct ownership_ranges *ranges,
				 const struct ownership_ranges_query *query,
				 struct ownership_server *ret)
{
	const struct range *first = find_first_act(ranges, query);
	struct ownership_server server = {0};

	if (first)
		server = collect_acts(ranges, query, first);
	if (!is_certain(&server) &&
	    lost_spans_touch(&ranges->lost, query->earliest_ns, UINT64_MAX)) {
		ranges->counters.lost++;
		return OWNERSHIP_RANGES_LOST;
	}
	if (!server.reader.pid && !server.closer.pid) {
		ranges->counters.missed++;
		return -ENOENT;
	}
	ranges->counters.found++;
	*ret = server;
	return 0;
}

void ownership_ranges_forget_port(struct ownership_ranges *ranges, uint8_t protocol, uint16_t port)
{
	list_for_each_safe (node, &ranges->ages) {
		struct range *range = container_of(node, struct range, age);

		if (range->key.protocol != protocol || range->key.local_port != port ||
		    (protocol == IPPROTO_TCP && range->act.has_begun))
			continue;
		drop(ranges, range);
		ranges->counters.forgotten++;
	}
}

void ownership_ranges_expire(struct ownership_ranges *ranges, uint64_t now_ns)
{
	uint64_t age_ns = ranges->options.max_age_ns;
	uint64_t before_ns = now_ns > age_ns ? now_ns - age_ns : 0;
	struct list_node *oldest;

	while ((oldest = list_first(&ranges->ages))) {
		struct range *range = container_of(oldest, struct range, age);

		if (range->act.last_ns >= before_ns)
			break;
		drop(ranges, range);
		ranges->counters.expired++;
	}
	lost_spans_expire(&ranges->lost, before_ns);
}

const struct ownership_ranges_counters *
ownership_ranges_get_counters(const struct ownership_ranges *ranges)
{
	return &ranges->counters;
}
