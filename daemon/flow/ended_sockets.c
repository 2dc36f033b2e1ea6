/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/ended_sockets.h"

#include <string.h>

#include "base/hash.h"
#include "base/macros.h"

/* "netns" of the key: which of the two places. A flow does not tell in which of the other namespaces
 * its end is. */
enum { OWN = 0, ELSEWHERE = 1 };

struct ended_socket {
	struct socket_tuple key;
	int32_t namespace;
	uint64_t when_ns;
	struct list_node age;
	struct tcp_quality quality;
	bool is_ambiguous;
};
_Static_assert(sizeof(struct socket_tuple) == 44,
	       "the key is hashed and compared as bytes: no holes");
_Static_assert(sizeof(struct ended_socket) <= 112, "the header tells what one costs");

void ended_sockets_init(struct ended_sockets *sockets, size_t bound, uint64_t keep_ns)
{
	*sockets = (struct ended_sockets){
		.seed = hash_seed_new(), .keep_ns = keep_ns, .bound = bound ? bound : 1};
	hash_map_init(&sockets->map);
	slab_init(&sockets->slab, sizeof(struct ended_socket));
	list_init(&sockets->oldest_first);
}

void ended_sockets_fini(struct ended_sockets *sockets)
{
	hash_map_fini(&sockets->map);
	slab_fini(&sockets->slab);
	list_init(&sockets->oldest_first);
}

static bool has_key(const void *value, const void *key)
{
	return memcmp(&((const struct ended_socket *)value)->key, key,
		      sizeof(struct socket_tuple)) == 0;
}

static uint64_t hash_key(const struct ended_sockets *sockets, const struct socket_tuple *key)
{
	return hash_bytes(sockets->seed, key, sizeof(*key));
}

static struct ended_socket *find(const struct ended_sockets *sockets,
				 const struct socket_tuple *socket, bool is_elsewhere)
{
	struct socket_tuple key = *socket;

	if (ended_sockets_is_empty(sockets))
		return NULL;
	key.netns = is_elsewhere ? ELSEWHERE : OWN;
	return hash_map_find(&sockets->map, hash_key(sockets, &key), has_key, &key);
}

static void remove_socket(struct ended_sockets *sockets, struct ended_socket *ended)
{
	hash_map_remove(&sockets->map, hash_key(sockets, &ended->key), has_key, &ended->key);
	list_remove(&ended->age);
	slab_give(&sockets->slab, ended);
}

static struct ended_socket *get_oldest(const struct ended_sockets *sockets)
{
	struct list_node *node = list_first(&sockets->oldest_first);

	return node ? container_of(node, struct ended_socket, age) : NULL;
}

static void make_room(struct ended_sockets *sockets, uint64_t now_ns)
{
	struct ended_socket *oldest;

	while ((oldest = get_oldest(sockets)) && oldest->when_ns + sockets->keep_ns <= now_ns) {
		sockets->counters.expired++;
		remove_socket(sockets, oldest);
	}
	if (oldest && sockets->map.used >= sockets->bound) {
		sockets->counters.forgotten++;
		remove_socket(sockets, oldest);
	}
}

static struct ended_socket *add_place(struct ended_sockets *sockets,
				      const struct socket_end_event *event)
{
	struct ended_socket *ended;

	make_room(sockets, event->when_ns);
	ended = slab_take(&sockets->slab);
	if (!ended)
		return NULL;
	*ended = (struct ended_socket){.key = event->socket};
	ended->key.netns = event->is_elsewhere ? ELSEWHERE : OWN;
	if (hash_map_add(&sockets->map, hash_key(sockets, &ended->key), ended) < 0) {
		slab_give(&sockets->slab, ended);
		return NULL;
	}
	list_add_tail(&sockets->oldest_first, &ended->age);
	return ended;
}

void ended_sockets_add(struct ended_sockets *sockets, const struct socket_end_event *event)
{
	struct ended_socket *ended = find(sockets, &event->socket, event->is_elsewhere);

	sockets->counters.added++;
	if (ended) {
		ended->is_ambiguous |= event->is_elsewhere && ended->namespace != event->namespace;
		list_move_tail(&sockets->oldest_first, &ended->age);
	} else {
		ended = add_place(sockets, event);
	}
	if (!ended) {
		sockets->counters.forgotten++;
		return;
	}
	ended->namespace = event->namespace;
	ended->when_ns = event->when_ns;
	ended->quality = event->quality;
}

void ended_sockets_forget(struct ended_sockets *sockets, const struct socket_tuple *socket,
			  bool is_elsewhere, uint64_t before_ns)
{
	struct ended_socket *ended = find(sockets, socket, is_elsewhere);

	if (!ended || ended->when_ns >= before_ns)
		return;
	sockets->counters.stale++;
	remove_socket(sockets, ended);
}

bool ended_sockets_has(const struct ended_sockets *sockets, const struct socket_tuple *socket,
		       bool is_elsewhere)
{
	return find(sockets, socket, is_elsewhere) != NULL;
}

bool ended_sockets_take(struct ended_sockets *sockets, const struct socket_tuple *socket,
			bool is_elsewhere, struct tcp_quality *ret)
{
	struct ended_socket *ended = find(sockets, socket, is_elsewhere);

	if (!ended)
		return false;
	if (ended->is_ambiguous) {
		sockets->counters.ambiguous++;
		remove_socket(sockets, ended);
		return false;
	}
	sockets->counters.joined++;
	*ret = ended->quality;
	remove_socket(sockets, ended);
	return true;
}
