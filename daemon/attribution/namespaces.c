/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A namespace is its nsfs inode, which the kernel gives to the next one as soon as it has ended. So
 * each is remembered with a witness, the path of a process or a mount that it was seen by, and when
 * the witness is gone it may be another: its sockets are closed and its addresses read anew. */

#include "attribution/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attribution/namespace_addresses.h"
#include "attribution/namespace_list.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"

/* The share of the time that looks may take, 1 in so many: regular ones, and those on demand, which
 * flows wait for; and sockets of how many namespaces are open, each a descriptor and a few pages. */
enum { LOOK_SHARE = 100, DEMAND_SHARE = 20, MOST_OPEN = 128, ASKED_SLOTS = 4096 };
#define LOOK_INTERVAL_NS  NS_PER_SEC
#define LOOK_SHORTEST_NS  (20 * NS_PER_MS)
#define YOUNG_NS	  (10 * NS_PER_SEC)
#define READ_INTERVAL_NS  (5 * NS_PER_SEC)
#define ASKED_INTERVAL_NS (10 * NS_PER_SEC)
#define KEEP_ENDED_NS	  (5 * NS_PER_SEC)
#define IDLE_NS		  (2 * NS_PER_SEC)

struct network_namespace {
	ino_t inode;
	pid_t pid;	  /* a process in it, or 0 */
	char *witness;	  /* below /proc */
	char *newcomer;	  /* seen in this look: the next witness */
	bool has_witness; /* ... was seen in this look */
	uint64_t look;	  /* the last one that saw it */
	uint64_t found_ns, read_ns, used_ns;
	uint64_t ended_ns; /* 0: it has not */
	struct list_node addresses;
	struct socket_space *sockets; /* NULL: closed */
	struct list_node open;
};

struct asked_address {
	uint64_t hash, when_ns;
};

struct namespaces {
	int proc_fd;
	ino_t own;
	uint64_t seed;
	struct hash_map known; /* by inode */
	struct namespace_addresses addresses;
	struct list_node open;		   /* with sockets, least recently used first */
	uint64_t look, looked_ns, cost_ns; /* the last one */
	struct asked_address asked[ASKED_SLOTS];
	struct namespaces_counters counters;
};

DEFINE_CLEANUP(struct namespaces *, namespaces_free);
DEFINE_CLEANUP(struct local_routes *, local_routes_close);

static bool is_inode(const void *value, const void *key)
{
	return ((const struct network_namespace *)value)->inode == *(const ino_t *)key;
}

static uint64_t hash_inode(const struct namespaces *namespaces, ino_t inode)
{
	return hash_u64(namespaces->seed, inode);
}

static void close_sockets(struct namespaces *namespaces, struct network_namespace *netns)
{
	if (!netns->sockets)
		return;
	socket_space_close(netns->sockets);
	netns->sockets = NULL;
	list_remove(&netns->open);
	namespaces->counters.open--;
}

static void free_namespace(struct namespaces *namespaces, struct network_namespace *netns)
{
	close_sockets(namespaces, netns);
	namespace_addresses_remove(&namespaces->addresses, &netns->addresses);
	free(netns->witness);
	free(netns->newcomer);
	free(netns);
	namespaces->counters.known--;
}

void namespaces_free(struct namespaces *namespaces)
{
	struct network_namespace *netns;
	size_t position = 0;

	if (!namespaces)
		return;
	while ((netns = hash_map_next(&namespaces->known, &position)))
		free_namespace(namespaces, netns);
	hash_map_fini(&namespaces->known);
	namespace_addresses_fini(&namespaces->addresses);
	free(namespaces);
}

static struct network_namespace *add_namespace(struct namespaces *namespaces,
					       const struct found_namespace *found)
{
	struct network_namespace *netns = calloc(1, sizeof(*netns));

	if (!netns)
		return NULL;
	netns->inode = found->inode;
	netns->found_ns = namespaces->looked_ns;
	list_init(&netns->addresses);
	list_init(&netns->open);
	netns->witness = strdup(found->path);
	if (!netns->witness ||
	    hash_map_add(&namespaces->known, hash_inode(namespaces, found->inode), netns) < 0) {
		free(netns->witness);
		free(netns);
		return NULL;
	}
	namespaces->counters.known++;
	return netns;
}

static void on_found(const struct found_namespace *found, void *userdata)
{
	struct namespaces *namespaces = userdata;
	struct network_namespace *netns;

	if (found->inode == namespaces->own)
		return;
	netns = hash_map_find(&namespaces->known, hash_inode(namespaces, found->inode), is_inode,
			      &found->inode);
	if (!netns)
		netns = add_namespace(namespaces, found);
	if (!netns)
		return;
	if (netns->look != namespaces->look) {
		netns->look = namespaces->look;
		netns->has_witness = false;
		netns->pid = found->pid;
	}
	if (netns->has_witness)
		return;
	if (strcmp(found->path, netns->witness) == 0)
		netns->has_witness = true;
	else if (!netns->newcomer)
		netns->newcomer = strdup(found->path);
}

/* The inode is seen again, but by others only, or after it was not seen: it may have been given out
 * anew. */
static void begin_anew(struct namespaces *namespaces, struct network_namespace *netns)
{
	close_sockets(namespaces, netns);
	if (netns->ended_ns) {
		namespace_addresses_remove(&namespaces->addresses, &netns->addresses);
		netns->found_ns = namespaces->looked_ns;
	}
	netns->ended_ns = 0;
	netns->read_ns = 0;
	if (netns->newcomer && !netns->has_witness) {
		free(netns->witness);
		netns->witness = steal_pointer(&netns->newcomer);
	}
}

/* Of a namespace that still is the one that it was. The descriptor, or a negative errno. */
static int enter(const struct namespaces *namespaces, const struct network_namespace *netns)
{
	cleanup_close int fd = openat(namespaces->proc_fd, netns->witness, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	return status.st_ino == netns->inode ? steal_fd(&fd) : -ESRCH;
}

/* On an error the old addresses stay: the next look decides. */
static void read_addresses(struct namespaces *namespaces, struct network_namespace *netns)
{
	cleanup(local_routes_close_cleanup) struct local_routes *routes = NULL;
	cleanup_close int fd = enter(namespaces, netns);
	const struct local_route *route;
	size_t position = 0;

	if (fd < 0 || local_routes_read_in(fd, &routes) < 0) {
		namespaces->counters.unentered++;
		return;
	}
	namespaces->counters.address_reads++;
	netns->read_ns = namespaces->looked_ns;
	namespace_addresses_remove(&namespaces->addresses, &netns->addresses);
	while ((route = local_routes_next(routes, &position)))
		(void)namespace_addresses_add(&namespaces->addresses, route, netns,
					      &netns->addresses);
}

/* Whether it is to be forgotten. */
static bool look_at(struct namespaces *namespaces, struct network_namespace *netns)
{
	uint64_t now_ns = namespaces->looked_ns;

	if (netns->look != namespaces->look) {
		close_sockets(namespaces, netns);
		if (!netns->ended_ns)
			netns->ended_ns = now_ns;
		return now_ns - netns->ended_ns >= KEEP_ENDED_NS;
	}
	if (netns->ended_ns || !netns->has_witness)
		begin_anew(namespaces, netns);
	free(steal_pointer(&netns->newcomer));
	if (now_ns - netns->used_ns >= IDLE_NS)
		close_sockets(namespaces, netns);
	if (netns->read_ns == 0 || now_ns - netns->found_ns < YOUNG_NS ||
	    now_ns - netns->read_ns >= READ_INTERVAL_NS)
		read_addresses(namespaces, netns);
	return false;
}

static void forget(struct namespaces *namespaces, struct network_namespace *netns)
{
	ino_t inode = netns->inode;

	hash_map_remove(&namespaces->known, hash_inode(namespaces, inode), is_inode, &inode);
	free_namespace(namespaces, netns);
}

/* 0 or a negative errno: what is known stays as it is. */
static int look(struct namespaces *namespaces, uint64_t now_ns)
{
	uint64_t begin_ns = clock_now_ns();
	struct network_namespace *netns, *ended[64];
	size_t position = 0, ended_count = 0;
	ssize_t count;

	namespaces->look++;
	namespaces->looked_ns = now_ns;
	namespaces->counters.looks++;
	count = namespace_list_read(namespaces->proc_fd, on_found, namespaces);
	if (count < 0)
		return (int)count;
	while ((netns = hash_map_next(&namespaces->known, &position)))
		if (look_at(namespaces, netns) && ended_count < array_length(ended))
			ended[ended_count++] = netns;
	/* What is left over is forgotten after the next look. */
	for (size_t i = 0; i < ended_count; i++)
		forget(namespaces, ended[i]);
	namespaces->cost_ns = clock_now_ns() - begin_ns;
	return 0;
}

/* Whether "interval_ns" and the share have passed since the last look. */
static bool is_due(const struct namespaces *namespaces, uint64_t now_ns, uint64_t interval_ns,
		   unsigned share)
{
	uint64_t pause_ns = namespaces->cost_ns * share;

	return now_ns >= namespaces->looked_ns + (pause_ns > interval_ns ? pause_ns : interval_ns);
}

/* Going into one's own namespace needs the same right as going into another. */
static int check_right(int proc_fd, ino_t *ret_own)
{
	cleanup_close int fd = openat(proc_fd, "thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || setns(fd, CLONE_NEWNET) < 0)
		return -errno;
	*ret_own = status.st_ino;
	return 0;
}

int namespaces_new(int proc_fd, uint64_t now_ns, struct namespaces **ret)
{
	cleanup(namespaces_free_cleanup) struct namespaces *namespaces =
		calloc(1, sizeof(*namespaces));
	int r;

	if (!namespaces)
		return -ENOMEM;
	namespaces->proc_fd = proc_fd;
	namespaces->seed = hash_seed_new();
	namespace_addresses_init(&namespaces->addresses);
	list_init(&namespaces->open);
	r = check_right(proc_fd, &namespaces->own);
	if (r < 0)
		return r;
	r = look(namespaces, now_ns);
	if (r < 0)
		return r;
	*ret = steal_pointer(&namespaces);
	return 0;
}

void namespaces_refresh(struct namespaces *namespaces, uint64_t now_ns)
{
	if (is_due(namespaces, now_ns, LOOK_INTERVAL_NS - LOOK_SHORTEST_NS, LOOK_SHARE))
		(void)look(namespaces, now_ns);
}

/* Addresses that containers are given: RFC 1918, RFC 6598, RFC 4193, link-local ones. */
static bool is_private(enum ip_family family, const struct ip_address *address)
{
	static const struct {
		uint8_t family, bits, bytes[2];
	} nets[] = {{IP_FAMILY_V4, 8, {10}},	     {IP_FAMILY_V4, 12, {172, 16}},
		    {IP_FAMILY_V4, 16, {192, 168}},  {IP_FAMILY_V4, 10, {100, 64}},
		    {IP_FAMILY_V4, 16, {169, 254}},  {IP_FAMILY_V6, 7, {0xfc}},
		    {IP_FAMILY_V6, 10, {0xfe, 0x80}}};

	for (size_t i = 0; i < array_length(nets); i++) {
		struct ip_address prefix = {{nets[i].bytes[0], nets[i].bytes[1]}};

		if (nets[i].family == family &&
		    ip_address_has_prefix(address, &prefix, nets[i].bits))
			return true;
	}
	return false;
}

/* Live ones, or where there is none, those that have ended. */
static ssize_t find_known(struct namespaces *namespaces, enum ip_family family,
			  const struct ip_address *address,
			  struct namespace_match out[NAMESPACES_MOST_MATCHES])
{
	const struct namespace_address *found[NAMESPACES_MOST_MATCHES];
	size_t total = namespace_addresses_find(&namespaces->addresses, family, address, found,
						array_length(found));
	size_t seen = total < array_length(found) ? total : array_length(found);
	size_t count = 0;

	for (int ended = 0; ended <= 1 && count == 0; ended++)
		for (size_t i = 0; i < seen; i++) {
			struct network_namespace *netns = found[i]->owner;

			if ((netns->ended_ns != 0) == ended)
				out[count++] = (struct namespace_match){.netns = netns,
									.route = &found[i]->route};
		}
	return (ssize_t)(count + total - seen);
}

ssize_t namespaces_find(struct namespaces *namespaces, const struct namespaces_question *question,
			struct namespace_match out[NAMESPACES_MOST_MATCHES])
{
	ssize_t count = find_known(namespaces, question->family, &question->address, out);
	struct asked_address *asked;
	uint64_t hash;

	if (count > 0 || question->when_ns <= namespaces->looked_ns ||
	    !is_private(question->family, &question->address))
		return count;
	hash = hash_bytes(namespaces->seed, &question->address, sizeof(question->address));
	asked = &namespaces->asked[hash % ASKED_SLOTS];
	if (asked->hash == hash && question->now_ns - asked->when_ns < ASKED_INTERVAL_NS)
		return 0;
	if (!is_due(namespaces, question->now_ns, LOOK_SHORTEST_NS, DEMAND_SHARE))
		return -EAGAIN;
	*asked = (struct asked_address){.hash = hash, .when_ns = question->now_ns};
	if (look(namespaces, question->now_ns) < 0)
		return 0;
	return find_known(namespaces, question->family, &question->address, out);
}

bool namespaces_may_lack(const struct namespaces *namespaces, uint64_t when_ns)
{
	return when_ns > namespaces->looked_ns;
}

ino_t network_namespace_get_inode(const struct network_namespace *netns)
{
	return netns->inode;
}

static void use_sockets(struct namespaces *namespaces, struct network_namespace *netns,
			uint64_t now_ns)
{
	netns->used_ns = now_ns;
	netns->sockets->pid = netns->pid;
	list_move_tail(&namespaces->open, &netns->open);
}

int namespaces_open_sockets(struct namespaces *namespaces, struct network_namespace *netns,
			    uint64_t now_ns, const struct socket_space **ret)
{
	cleanup_close int fd = -1;
	int r;

	if (netns->ended_ns)
		return -ESRCH;
	if (!netns->sockets) {
		fd = enter(namespaces, netns);
		r = fd < 0 ? fd
			   : socket_space_open(namespaces->proc_fd, fd, netns->inode,
					       &netns->sockets);
		if (r < 0) {
			namespaces->counters.unentered++;
			return r;
		}
		namespaces->counters.entered++;
		if (++namespaces->counters.open > MOST_OPEN)
			close_sockets(namespaces, container_of(list_first(&namespaces->open),
							       struct network_namespace, open));
	}
	use_sockets(namespaces, netns, now_ns);
	*ret = netns->sockets;
	return 0;
}

const struct namespaces_counters *namespaces_get_counters(const struct namespaces *namespaces)
{
	return &namespaces->counters;
}
