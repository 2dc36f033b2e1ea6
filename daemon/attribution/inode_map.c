/* SPDX-License-Identifier: GPL-2.0-or-later */

/* An entry for each socket seen, with its holders: (process, descriptor number), the oldest process
 * first. A miss looks, in this order, at
 *   1. the few descriptors next to the last find in the processes that answered lately: a client or
 *      server with many connections opens the next one there (4 us instead of a directory with
 *      thousands of links, 1.2 us each);
 *   2. processes never looked at, newest first: the one that just started and connected;
 *   3. processes of the socket's user, the last scanned first;
 *   4. the rest.
 * A process that holds a socket may share it with its relatives by fork, under the same number; a
 * readlink each tells (0.9 us). That is repeated only when new processes came up since. */

#include "attribution/inode_map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attribution/process_list.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/slab.h"

enum {
	MOST_ENTRIES = 262144,
	MOST_RECENT = 6, /* processes that are probed in step 1 */
	PROBED_FDS = 4,	 /* ... and descriptors in each */
	MOST_RELATIVES = 128,
	MOST_ANCESTORS = 16,
	SCAN_COST_US = 8, /* of a directory, and 1 for each link in it */
	BUDGET_US_PER_MS = 100,
	MOST_BUDGET_US =
		200000, /* what an idle time may save up: a first reading of a large host */
};

#define NOBODY_FIRST_NS (100 * NS_PER_MS)
#define NOBODY_LAST_NS	(30 * NS_PER_SEC)

struct inode_entry {
	uint64_t inode;
	struct list_node holders; /* oldest process first */
	struct list_node used;	  /* all entries, least recently used first */
	uint64_t checked; /* generation of the process list at the look at the relatives + 1 */
	/* A search came to this outcome; not again before. */
	int nobody_outcome;
	uint64_t nobody_until_ns, nobody_ns;
};

struct socket_holder {
	struct inode_entry *entry;
	struct listed_process *process;
	int fd;
	uint64_t round; /* when it was last seen by a reading of the directory */
	struct list_node in_entry, in_process;
};

struct inode_map {
	struct process_list *processes;
	struct hash_map entries;
	uint64_t seed;
	struct slab entry_slab, holder_slab;
	struct list_node used, recent;
	uint64_t round;
	uint64_t budget_us, budget_at_ns;
	int proc_fd;
	struct inode_entry *wanted; /* being asked for: not removed when it loses its last holder */
	struct inode_map_counters counters;
};

DEFINE_CLEANUP(struct inode_map *, inode_map_free);
DEFINE_CLEANUP(DIR *, closedir);

static bool is_inode(const void *value, const void *key)
{
	return ((const struct inode_entry *)value)->inode == *(const uint64_t *)key;
}

static struct inode_entry *find_entry(const struct inode_map *map, uint64_t inode)
{
	return hash_map_find(&map->entries, hash_u64(map->seed, inode), is_inode, &inode);
}

static void remove_holder(struct inode_map *map, struct socket_holder *holder)
{
	list_remove(&holder->in_entry);
	list_remove(&holder->in_process);
	slab_give(&map->holder_slab, holder);
}

static void remove_entry(struct inode_map *map, struct inode_entry *entry)
{
	uint64_t inode = entry->inode;

	hash_map_remove(&map->entries, hash_u64(map->seed, inode), is_inode, &inode);
	list_for_each_safe (node, &entry->holders)
		remove_holder(map, container_of(node, struct socket_holder, in_entry));
	list_remove(&entry->used);
	slab_give(&map->entry_slab, entry);
}

static void remove_if_empty(struct inode_map *map, struct inode_entry *entry)
{
	if (list_is_empty(&entry->holders) && entry != map->wanted)
		remove_entry(map, entry);
}

static void evict_entry(struct inode_map *map)
{
	list_for_each (node, &map->used) {
		struct inode_entry *entry = container_of(node, struct inode_entry, used);

		if (entry != map->wanted) {
			remove_entry(map, entry);
			return;
		}
	}
}

static struct inode_entry *acquire_entry(struct inode_map *map, uint64_t inode)
{
	struct inode_entry *entry = find_entry(map, inode);

	if (entry) {
		list_move_tail(&map->used, &entry->used);
		return entry;
	}
	if (map->entries.used >= MOST_ENTRIES)
		evict_entry(map);
	entry = slab_take(&map->entry_slab);
	if (!entry)
		return NULL;
	*entry = (struct inode_entry){.inode = inode};
	list_init(&entry->holders);
	list_init(&entry->used);
	if (hash_map_add(&map->entries, hash_u64(map->seed, inode), entry) < 0) {
		slab_give(&map->entry_slab, entry);
		return NULL;
	}
	list_add_tail(&map->used, &entry->used);
	return entry;
}

static bool is_older(const struct listed_process *a, const struct listed_process *b)
{
	if (a->id.start_ticks != b->id.start_ticks)
		return a->id.start_ticks < b->id.start_ticks;
	/* Within one tick (10 ms) a parent is older than its child whatever the numbers are. */
	if (b->parent == a->id.pid || a->parent == b->id.pid)
		return b->parent == a->id.pid;
	return a->id.pid < b->id.pid;
}

static void insert_by_age(struct inode_entry *entry, struct socket_holder *holder)
{
	struct list_node *before = &entry->holders;

	list_for_each (node, &entry->holders) {
		struct socket_holder *other = container_of(node, struct socket_holder, in_entry);

		if (is_older(holder->process, other->process)) {
			before = node;
			break;
		}
	}
	list_add_tail(before, &holder->in_entry);
}

static void add_holder(struct inode_map *map, uint64_t inode, struct listed_process *process,
		       int fd)
{
	struct inode_entry *entry = acquire_entry(map, inode);
	struct socket_holder *holder;

	if (!entry)
		return;
	list_for_each (node, &entry->holders) {
		holder = container_of(node, struct socket_holder, in_entry);
		if (holder->process == process) {
			holder->fd = fd;
			holder->round = map->round;
			return;
		}
	}
	holder = slab_take(&map->holder_slab);
	if (!holder)
		return;
	*holder = (struct socket_holder){
		.entry = entry, .process = process, .fd = fd, .round = map->round};
	list_init(&holder->in_entry);
	list_init(&holder->in_process);
	list_add_tail(&process->holders, &holder->in_process);
	insert_by_age(entry, holder);
	entry->nobody_ns = 0;
	entry->nobody_until_ns = 0;
}

static void on_gone(struct listed_process *process, void *userdata)
{
	struct inode_map *map = userdata;

	list_for_each_safe (node, &process->holders) {
		struct socket_holder *holder = container_of(node, struct socket_holder, in_process);
		struct inode_entry *entry = holder->entry;

		remove_holder(map, holder);
		remove_if_empty(map, entry);
	}
}

/* The inode that a link "socket:[12345]" names, 0 where it is something else; negative errno. */
static int64_t read_socket_link(int directory, const char *name)
{
	static const char prefix[] = "socket:[";
	char text[32];
	ssize_t length = readlinkat(directory, name, text, sizeof(text) - 1);

	if (length < 0)
		return -errno;
	text[length] = '\0';
	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	return (int64_t)strtoull(text + sizeof(prefix) - 1, NULL, 10);
}

/* The socket behind one descriptor of a process: inode, or 0; negative errno, of which -ESRCH says
 * that "process" was forgotten. */
static int64_t read_descriptor(struct inode_map *map, struct listed_process *process, int fd)
{
	int directory = process_list_enter(map->processes, process);
	int64_t inode;
	char name[24];

	if (directory < 0)
		return directory;
	snprintf(name, sizeof(name), "fd/%d", fd);
	inode = read_socket_link(directory, name);
	return inode == -ESRCH ? -ENOENT : inode;
}

static void drop_unseen_holders(struct inode_map *map, struct listed_process *process)
{
	list_for_each_safe (node, &process->holders) {
		struct socket_holder *holder = container_of(node, struct socket_holder, in_process);
		struct inode_entry *entry = holder->entry;

		if (holder->round == map->round)
			continue;
		remove_holder(map, holder);
		remove_if_empty(map, entry);
	}
}

static void spend(struct inode_map *map, uint64_t cost)
{
	map->budget_us -= cost < map->budget_us ? cost : map->budget_us;
}

struct search {
	const struct inode_query *query;
	bool found, denied, refused;
};

static void read_links(struct inode_map *map, struct listed_process *process, DIR *directory,
		       struct search *search)
{
	struct dirent *entry;
	uint64_t cost = SCAN_COST_US;

	while ((entry = readdir(directory))) {
		int64_t inode;

		if (entry->d_name[0] == '.')
			continue;
		cost++;
		inode = read_socket_link(dirfd(directory), entry->d_name);
		if (inode <= 0)
			continue;
		add_holder(map, (uint64_t)inode, process, atoi(entry->d_name));
		if ((uint64_t)inode == search->query->inode) {
			search->found = true;
			process->last_fd = atoi(entry->d_name);
		}
	}
	spend(map, cost);
	drop_unseen_holders(map, process);
}

/* Reads all descriptors of a process and remembers the sockets. The process may be gone after. */
static void scan_process(struct inode_map *map, struct listed_process *process,
			 struct search *search)
{
	cleanup(closedir_cleanup) DIR *directory = NULL;
	int parent = process_list_enter(map->processes, process);
	int fd;

	if (parent < 0) {
		search->denied |= parent == -EACCES || parent == -EPERM;
		return;
	}
	process_list_mark_scanned(map->processes, process, map->round);
	map->counters.processes_scanned++;
	fd = openat(parent, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		search->denied |= errno == EACCES || errno == EPERM;
		if (errno == ENOENT || errno == ESRCH)
			process_list_remove(map->processes, process);
		return;
	}
	/* Of a process that has died open() may still succeed, and then fdopendir() does not: since
	 * kernel 6.2 its fstat() counts descriptors. */
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		process_list_remove(map->processes, process);
		return;
	}
	read_links(map, process, directory, search);
}

static bool probe_process(struct inode_map *map, struct listed_process *process,
			  struct search *search)
{
	int first = process->last_fd;

	for (int fd = first; fd < first + PROBED_FDS; fd++) {
		int64_t inode = read_descriptor(map, process, fd);

		if (inode == -ESRCH)
			return false; /* gone: "process" is no more */
		if (inode > 0 && (uint64_t)inode == search->query->inode) {
			add_holder(map, (uint64_t)inode, process, fd);
			process->last_fd = fd;
			search->found = true;
			return true;
		}
	}
	return false;
}

static bool is_of_user(const struct listed_process *process, const struct inode_query *query)
{
	return !query->has_uid || process->uid == query->uid;
}

static void probe_recent(struct inode_map *map, struct search *search)
{
	unsigned left = MOST_RECENT;

	list_for_each_safe (node, &map->recent) {
		struct listed_process *process = container_of(node, struct listed_process, recent);

		if (left-- == 0 || probe_process(map, process, search))
			return;
	}
}

static bool is_within_budget(struct inode_map *map, struct search *search)
{
	if (map->budget_us > 0)
		return true;
	search->refused = true;
	return false;
}

static void scan_unscanned(struct inode_map *map, struct search *search)
{
	struct list_node *head = process_list_get_unscanned(map->processes);

	for (struct list_node *node = head->next, *next; node != head && !search->found;
	     node = next) {
		next = node->next;
		if (!is_within_budget(map, search))
			return;
		scan_process(map, container_of(node, struct listed_process, node), search);
	}
}

/* A process that is scanned moves to the front, behind the walk, or vanishes: "next" stays good. */
static void scan_scanned(struct inode_map *map, struct search *search, bool of_user)
{
	struct list_node *head = process_list_get_scanned(map->processes);

	for (struct list_node *node = head->next, *next; node != head && !search->found;
	     node = next) {
		struct listed_process *process = container_of(node, struct listed_process, node);

		next = node->next;
		if (process->scan_round == map->round ||
		    is_of_user(process, search->query) != of_user)
			continue;
		if (!is_within_budget(map, search))
			return;
		scan_process(map, process, search);
	}
}

/* With hidepid=2 the processes of others are not even listed, pid 1 among them. */
static bool are_processes_hidden(const struct inode_map *map)
{
	return faccessat(map->proc_fd, "1", F_OK, 0) < 0;
}

static void earn(struct inode_map *map, uint64_t now_ns)
{
	uint64_t passed_ms = (now_ns - map->budget_at_ns) / NS_PER_MS;

	if (map->budget_at_ns == 0 || passed_ms >= MOST_BUDGET_US / BUDGET_US_PER_MS)
		map->budget_us = MOST_BUDGET_US;
	else
		map->budget_us += passed_ms * BUDGET_US_PER_MS;
	if (map->budget_us > MOST_BUDGET_US)
		map->budget_us = MOST_BUDGET_US;
	if (map->budget_at_ns == 0)
		map->budget_at_ns = now_ns;
	else
		map->budget_at_ns += passed_ms * NS_PER_MS;
}

static bool refresh_processes(struct inode_map *map, uint64_t now_ns)
{
	uint64_t cost = 0;
	bool is_complete = process_list_refresh(map->processes, now_ns, &cost);

	spend(map, cost);
	return is_complete;
}

static void search_processes(struct inode_map *map, struct search *search, uint64_t now_ns)
{
	map->round++;
	probe_recent(map, search);
	if (search->found)
		return;
	if (!refresh_processes(map, now_ns))
		search->refused = true;
	scan_unscanned(map, search);
	scan_scanned(map, search, true);
	scan_scanned(map, search, false);
	/* Who started meanwhile, or under the number of a process that turned out to be gone. */
	if (!search->found && !search->refused && !refresh_processes(map, now_ns))
		search->refused = true;
	scan_unscanned(map, search);
}

/* A holder, by value: the process itself may turn out to be gone while its relatives are looked at.
 */
struct kin {
	pid_t pid, parent;
	uid_t uid;
	int fd;
};

/* Whether two processes may have a socket in common by fork. Children of init have it as parent by
 * adoption mostly; of those only the same user's count. */
static bool is_related(const struct listed_process *process, const struct kin *kin)
{
	if (process->id.pid == kin->pid)
		return false;
	if (process->parent == kin->pid || kin->parent == process->id.pid)
		return true;
	return process->parent == kin->parent && (kin->parent > 1 || process->uid == kin->uid);
}

static void check_relative(struct inode_map *map, struct inode_entry *entry,
			   struct listed_process *relative, int fd)
{
	int64_t inode;

	list_for_each (node, &entry->holders)
		if (container_of(node, struct socket_holder, in_entry)->process == relative)
			return;
	inode = read_descriptor(map, relative, fd);
	if (inode == -ESRCH)
		return;
	/* inetd's way: the connection becomes the child's standard input. */
	if ((uint64_t)inode != entry->inode && fd != 0) {
		fd = 0;
		inode = read_descriptor(map, relative, fd);
	}
	if (inode > 0 && (uint64_t)inode == entry->inode)
		add_holder(map, entry->inode, relative, fd);
}

static void check_ancestors(struct inode_map *map, struct inode_entry *entry, const struct kin *kin)
{
	pid_t parent = kin->parent;

	for (int i = 0; i < MOST_ANCESTORS && parent > 0; i++) {
		struct listed_process *process = process_list_find(map->processes, parent);

		if (!process)
			return;
		parent = process->parent;
		check_relative(map, entry, process, kin->fd);
	}
}

static void check_kin(struct inode_map *map, struct inode_entry *entry, const struct kin *kin,
		      struct list_node *head)
{
	unsigned left = MOST_RELATIVES;

	list_for_each_safe (node, head) {
		struct listed_process *process = container_of(node, struct listed_process, node);

		if (!is_related(process, kin))
			continue;
		if (left-- == 0)
			return;
		check_relative(map, entry, process, kin->fd);
	}
}

static struct socket_holder *first_holder(const struct inode_entry *entry)
{
	struct list_node *node = list_first(&entry->holders);

	return node ? container_of(node, struct socket_holder, in_entry) : NULL;
}

/* Looks at the relatives of the one holder there is. False where nothing was done, because no
 * process started since the last time. */
static bool check_relatives(struct inode_map *map, struct inode_entry *entry, uint64_t now_ns)
{
	bool is_complete = refresh_processes(map, now_ns);
	uint64_t generation = process_list_get_generation(map->processes) + 1;
	struct socket_holder *holder = first_holder(entry);
	struct kin kin;

	if (!holder || entry->checked == generation)
		return !holder;
	kin = (struct kin){.pid = holder->process->id.pid,
			   .parent = holder->process->parent,
			   .uid = holder->process->uid,
			   .fd = holder->fd};
	check_ancestors(map, entry, &kin);
	check_kin(map, entry, &kin, process_list_get_unscanned(map->processes));
	check_kin(map, entry, &kin, process_list_get_scanned(map->processes));
	if (is_complete)
		entry->checked = generation;
	return true;
}

/* Drops holders that do not hold it any more until two good ones were seen; how many were. */
static unsigned verify_holders(struct inode_map *map, struct inode_entry *entry)
{
	unsigned good = 0;

	list_for_each_safe (node, &entry->holders) {
		struct socket_holder *holder = container_of(node, struct socket_holder, in_entry);
		int64_t inode;

		if (good == 2)
			break;
		inode = read_descriptor(map, holder->process, holder->fd);
		if (inode > 0 && (uint64_t)inode == entry->inode) {
			good++;
			continue;
		}
		map->counters.stale++;
		/* Of a process that is gone the list has dropped the holder already. */
		if (inode != -ESRCH)
			remove_holder(map, holder);
	}
	return good;
}

static void remember_recent(struct inode_map *map, struct listed_process *process)
{
	list_remove(&process->recent);
	list_add_tail(map->recent.next, &process->recent);
}

static int tell(struct inode_map *map, struct inode_entry *entry, uint64_t now_ns, unsigned good,
		struct inode_holder *ret)
{
	struct socket_holder *holder;

	if (good == 1 && check_relatives(map, entry, now_ns))
		good = verify_holders(map, entry);
	holder = first_holder(entry);
	if (good == 0 || !holder)
		return INODE_MAP_NOBODY;
	remember_recent(map, holder->process);
	ret->process = holder->process->id;
	ret->is_shared = good > 1;
	return INODE_MAP_FOUND;
}

/* A socket without a process (the kernel's own, for example) must not cost a whole reading for each
 * of its flows: the time until the next one doubles. */
static int remember_nobody(struct inode_entry *entry, int outcome, uint64_t now_ns)
{
	entry->nobody_ns = entry->nobody_ns ? entry->nobody_ns * 2 : NOBODY_FIRST_NS;
	if (entry->nobody_ns > NOBODY_LAST_NS)
		entry->nobody_ns = NOBODY_LAST_NS;
	entry->nobody_until_ns = now_ns + entry->nobody_ns;
	entry->nobody_outcome = outcome;
	return outcome;
}

static int search_entry(struct inode_map *map, struct inode_entry *entry,
			const struct inode_query *query, uint64_t now_ns, struct inode_holder *ret)
{
	struct search search = {.query = query};
	unsigned good;

	if (now_ns < entry->nobody_until_ns)
		return entry->nobody_outcome;
	ret->was_searched = true;
	search_processes(map, &search, now_ns);
	good = search.found ? verify_holders(map, entry) : 0;
	if (good > 0)
		return tell(map, entry, now_ns, good, ret);
	if (search.refused) {
		map->counters.scans_refused++;
		return INODE_MAP_REFUSED;
	}
	return remember_nobody(entry,
			       search.denied || are_processes_hidden(map) ? INODE_MAP_DENIED
									  : INODE_MAP_NOBODY,
			       now_ns);
}

int inode_map_find(struct inode_map *map, const struct inode_query *query, uint64_t now_ns,
		   struct inode_holder *ret)
{
	struct inode_entry *entry = acquire_entry(map, query->inode);
	struct inode_holder holder = {0};
	unsigned good;
	int r;

	if (!entry)
		return INODE_MAP_REFUSED;
	earn(map, now_ns);
	map->wanted = entry;
	good = verify_holders(map, entry);
	if (good > 0) {
		map->counters.hits++;
		r = tell(map, entry, now_ns, good, &holder);
	} else {
		r = search_entry(map, entry, query, now_ns, &holder);
	}
	map->wanted = NULL;
	if (list_is_empty(&entry->holders) && entry->nobody_ns == 0)
		remove_entry(map, entry);
	if (r == INODE_MAP_FOUND)
		*ret = holder;
	return r;
}

const struct inode_map_counters *inode_map_get_counters(const struct inode_map *map)
{
	return &map->counters;
}

int inode_map_new(int proc_fd, struct inode_map **ret)
{
	cleanup(inode_map_free_cleanup) struct inode_map *map = calloc(1, sizeof(*map));
	int r;

	if (!map)
		return -ENOMEM;
	map->proc_fd = proc_fd;
	map->seed = hash_seed_new();
	hash_map_init(&map->entries);
	slab_init(&map->entry_slab, sizeof(struct inode_entry));
	slab_init(&map->holder_slab, sizeof(struct socket_holder));
	list_init(&map->used);
	list_init(&map->recent);
	r = process_list_new(proc_fd, on_gone, map, &map->processes);
	if (r < 0)
		return r;
	*ret = steal_pointer(&map);
	return 0;
}

void inode_map_free(struct inode_map *map)
{
	if (!map)
		return;
	process_list_free(map->processes);
	hash_map_fini(&map->entries);
	slab_fini(&map->entry_slab);
	slab_fini(&map->holder_slab);
	free(map);
}
