/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_connect.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "base/slab.h"

struct entry {
	struct list_node age;
	struct trace_connecting connecting;
	bool is_by_thread; /* the newest IPv4 connect of its thread */
};

struct trace_connect {
	struct hash_map by_socket, by_thread;
	struct slab slab;
	struct list_node ages; /* oldest first */
	size_t max_pending;
	uint64_t seed;
	struct trace_connect_counters counters;
};

DEFINE_CLEANUP(struct trace_connect *, trace_connect_free);

int trace_connect_new(size_t max_pending, struct trace_connect **ret)
{
	cleanup(trace_connect_free_cleanup) struct trace_connect *connect =
		calloc(1, sizeof(*connect));

	if (!connect)
		return -ENOMEM;
	hash_map_init(&connect->by_socket);
	hash_map_init(&connect->by_thread);
	slab_init(&connect->slab, sizeof(struct entry));
	list_init(&connect->ages);
	connect->max_pending = max_pending;
	connect->seed = hash_seed_new();
	*ret = steal_pointer(&connect);
	return 0;
}

void trace_connect_free(struct trace_connect *connect)
{
	if (!connect)
		return;
	hash_map_fini(&connect->by_socket);
	hash_map_fini(&connect->by_thread);
	slab_fini(&connect->slab);
	free(connect);
}

static bool match_socket(const void *value, const void *key)
{
	const struct entry *entry = value;

	return entry->connecting.socket_address == *(const uint64_t *)key;
}

static bool match_thread(const void *value, const void *key)
{
	const struct entry *entry = value;

	return entry->connecting.thread == *(const pid_t *)key;
}

static uint64_t hash_thread(const struct trace_connect *connect, pid_t thread)
{
	return hash_u64(connect->seed, (uint32_t)thread);
}

static void remove_from_thread(struct trace_connect *connect, struct entry *entry)
{
	if (!entry->is_by_thread)
		return;
	hash_map_remove(&connect->by_thread, hash_thread(connect, entry->connecting.thread),
			match_thread, &entry->connecting.thread);
	entry->is_by_thread = false;
}

static void drop(struct trace_connect *connect, struct entry *entry)
{
	remove_from_thread(connect, entry);
	hash_map_remove(&connect->by_socket,
			hash_u64(connect->seed, entry->connecting.socket_address), match_socket,
			&entry->connecting.socket_address);
	list_remove(&entry->age);
	slab_give(&connect->slab, entry);
	connect->counters.pending--;
}

static struct entry *find_by_socket(const struct trace_connect *connect, uint64_t address)
{
	return hash_map_find(&connect->by_socket, hash_u64(connect->seed, address), match_socket,
			     &address);
}

static struct entry *find_by_thread(const struct trace_connect *connect, pid_t thread)
{
	return hash_map_find(&connect->by_thread, hash_thread(connect, thread), match_thread,
			     &thread);
}

static void make_room(struct trace_connect *connect)
{
	struct list_node *oldest = list_first(&connect->ages);

	if (connect->counters.pending < connect->max_pending || !oldest)
		return;
	drop(connect, container_of(oldest, struct entry, age));
	connect->counters.dropped++;
}

static int add_by_thread(struct trace_connect *connect, struct entry *entry)
{
	pid_t thread = entry->connecting.thread;
	struct entry *former = find_by_thread(connect, thread);

	if (former)
		remove_from_thread(connect, former);
	if (hash_map_add(&connect->by_thread, hash_thread(connect, thread), entry) < 0)
		return -ENOMEM;
	entry->is_by_thread = true;
	return 0;
}

int trace_connect_add(struct trace_connect *connect, const struct trace_connecting *connecting)
{
	struct entry *entry = find_by_socket(connect, connecting->socket_address);

	if (entry) {
		drop(connect, entry);
		connect->counters.forgotten++;
	}
	make_room(connect);
	entry = slab_take(&connect->slab);
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){.connecting = *connecting};
	if (hash_map_add(&connect->by_socket, hash_u64(connect->seed, connecting->socket_address),
			 entry) < 0) {
		slab_give(&connect->slab, entry);
		return -ENOMEM;
	}
	list_add_tail(&connect->ages, &entry->age);
	connect->counters.pending++;
	return connecting->socket.family == IP_FAMILY_V4 ? add_by_thread(connect, entry) : 0;
}

static bool is_same_remote(const struct socket_tuple *a, const struct socket_tuple *b)
{
	return a->family == b->family && a->protocol == b->protocol &&
	       a->remote_port == b->remote_port && ip_address_equal(&a->remote, &b->remote);
}

static void join(struct trace_connect *connect, struct entry *entry,
		 const struct socket_tuple *socket, struct trace_connecting *ret)
{
	*ret = entry->connecting;
	ret->socket = *socket;
	drop(connect, entry);
	connect->counters.joined++;
}

bool trace_connect_join_lookup(struct trace_connect *connect, pid_t thread,
			       const struct socket_tuple *socket, struct trace_connecting *ret)
{
	struct entry *entry = find_by_thread(connect, thread);

	if (!entry || socket->local_port == 0 || !is_same_remote(&entry->connecting.socket, socket))
		return false;
	if (!ip_address_equal(&entry->connecting.socket.local, &socket->local))
		return false;
	join(connect, entry, socket, ret);
	return true;
}

bool trace_connect_join_state(struct trace_connect *connect, uint64_t socket_address,
			      const struct socket_tuple *socket, struct trace_connecting *ret)
{
	struct entry *entry = find_by_socket(connect, socket_address);

	if (!entry)
		return false;
	if (socket->local_port == 0 || !is_same_remote(&entry->connecting.socket, socket)) {
		drop(connect, entry);
		connect->counters.forgotten++;
		return false;
	}
	join(connect, entry, socket, ret);
	return true;
}

const struct trace_connect_counters *trace_connect_get_counters(const struct trace_connect *connect)
{
	return &connect->counters;
}
