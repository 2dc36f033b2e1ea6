/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A miss looks, in this order, at
 *   0. where somebody tells who starts: the descriptors that a first socket gets in those that just
 *      did, those of the socket's user first, the last one first (1 us a descriptor): most have not
 *      long to live;
 *   1. the few descriptors next to the last find in the processes that answered lately: a client or
 *      server with many connections opens the next one there (1 us a descriptor, where a whole
 *      directory takes 1.2 us for each link in it);
 *   2. processes never looked at, newest first: the one that just started and connected, those
 *      of the socket's user before others where somebody tells;
 *   3. the lowest descriptor that was free in every process, those of the socket's user first:
 *      that is where the kernel puts a new one;
 *   4. all descriptors of the processes of the socket's user, the last read first;
 *   5. all descriptors of the rest;
 *   6. those of threads that do not share their leader's, or have none any more.
 *
 * A process may share its socket by fork, under the same number, with its relatives; one readlink
 * each tells. Where the process was read before and did not have the socket then, it opened it
 * later, and only processes that came after that can share it. */

#include "attribution/inode_map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attribution/newborns.h"
#include "attribution/process_list.h"
#include "attribution/socket_index.h"
#include "attribution/thread_descriptors.h"
#include "base/cleanup.h"
#include "base/clock.h"

enum {
	MOST_NEWBORNS = 32, /* that are probed in step 0 */
	FIRST_FD = 3,	    /* behind standard input, output and error */
	ASK_EVERY = 32,	    /* processes in steps 3 to 5: whether the socket is still there */
	MOST_RECENT = 6,    /* processes that are probed in step 1 */
	PROBED_FDS = 3,	    /* ... and descriptors in each, from the last find on */
	MOST_CHILDREN = 128,
	MOST_SIBLINGS = 16,
	MOST_ANCESTORS = 16,
	SCAN_COST_US = 8, /* of a directory, and 1 for each link in it */
	BUDGET_US_PER_MS = 100,
	MOST_BUDGET_US = 200000, /* what an idle time saves up: a first reading of a large host */
};

#define NOBODY_FIRST_NS (100 * NS_PER_MS)
#define NOBODY_LAST_NS	(30 * NS_PER_SEC)

struct inode_map {
	int proc_fd;
	struct process_list *processes;
	struct socket_index index;
	struct list_node recent; /* processes that answered, the last one first */
	int newborn_fd;		 /* where the last newborn had its socket */
	uint64_t round;
	uint64_t budget_us, budget_at_ns;
	struct inode_map_counters counters;
};

struct search {
	const struct inode_query *query;
	bool found, denied, refused;
	bool gone;	    /* the socket */
	unsigned looked_at; /* processes in steps 3 to 5 */
};

DEFINE_CLEANUP(struct inode_map *, inode_map_free);
DEFINE_CLEANUP(DIR *, closedir);

static void on_gone(struct listed_process *process, void *userdata)
{
	struct inode_map *map = userdata;

	socket_index_drop_process(&map->index, process, UINT64_MAX);
}

int inode_map_new(int proc_fd, struct inode_map **ret)
{
	cleanup(inode_map_free_cleanup) struct inode_map *map = calloc(1, sizeof(*map));
	int r;

	if (!map)
		return -ENOMEM;
	map->proc_fd = proc_fd;
	map->newborn_fd = FIRST_FD;
	list_init(&map->recent);
	socket_index_init(&map->index);
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
	socket_index_fini(&map->index);
	free(map);
}

const struct inode_map_counters *inode_map_get_counters(const struct inode_map *map)
{
	return &map->counters;
}

void inode_map_set_teller(struct inode_map *map, void (*tell)(void *userdata), void *userdata)
{
	process_list_set_teller(map->processes, tell, userdata);
}

void inode_map_add_process(struct inode_map *map, const struct process_event *event)
{
	process_list_add_event(map->processes, event);
}

void inode_map_add_lost(struct inode_map *map)
{
	process_list_add_lost(map->processes);
}

void inode_map_hear(struct inode_map *map)
{
	process_list_hear(map->processes);
}

/* --- The budget --- */

static void spend(struct inode_map *map, uint64_t cost_us)
{
	map->budget_us -= cost_us < map->budget_us ? cost_us : map->budget_us;
}

static void earn(struct inode_map *map, uint64_t now_ns)
{
	uint64_t passed_ms = (now_ns - map->budget_at_ns) / NS_PER_MS;

	if (map->budget_at_ns == 0 || passed_ms >= MOST_BUDGET_US / BUDGET_US_PER_MS) {
		map->budget_us = MOST_BUDGET_US;
		map->budget_at_ns = now_ns;
		return;
	}
	map->budget_at_ns += passed_ms * NS_PER_MS;
	map->budget_us += passed_ms * BUDGET_US_PER_MS;
	if (map->budget_us > MOST_BUDGET_US)
		map->budget_us = MOST_BUDGET_US;
}

static bool is_within_budget(const struct inode_map *map, struct search *search)
{
	if (map->budget_us == 0)
		search->refused = true;
	return map->budget_us > 0;
}

/* Most searches that come that far are for a process that has exited meanwhile, and would read all
 * others: 10 us for each, where the question takes 3. */
static bool is_worthwhile(const struct inode_map *map, struct search *search)
{
	const struct inode_query *query = search->query;

	if (query->is_there && search->looked_at++ % ASK_EVERY == 0)
		search->gone = !query->is_there(query->userdata);
	return !search->gone && is_within_budget(map, search);
}

static bool refresh_processes(struct inode_map *map, uint64_t now_ns)
{
	uint64_t cost_us = 0;
	bool is_complete = process_list_refresh(map->processes, now_ns, &cost_us);

	spend(map, cost_us);
	return is_complete;
}

/* --- Reading links --- */

/* The inode that a link "socket:[12345]" names, 0 where it is something else; negative errno. */
static int64_t read_link(int directory, const char *name)
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

/* Whether the process has "inode" there: of this very process (enters its directory), or of
 * whoever has its number now (quicker; to be verified). */
static bool has_socket(struct inode_map *map, const struct socket_holder *holder, uint64_t inode)
{
	int directory = process_list_enter(map->processes, holder->process);
	char name[40];

	if (directory < 0)
		return false;
	if (holder->thread)
		snprintf(name, sizeof(name), "task/%d/fd/%d", holder->thread, holder->fd);
	else
		snprintf(name, sizeof(name), "fd/%d", holder->fd);
	return read_link(directory, name) == (int64_t)inode;
}

static bool seems_to_have_socket(struct inode_map *map, pid_t pid, int fd, uint64_t inode)
{
	char name[40];

	snprintf(name, sizeof(name), "%d/fd/%d", pid, fd);
	spend(map, 1);
	return fd >= 0 && read_link(map->proc_fd, name) == (int64_t)inode;
}

static void note_holder(struct inode_map *map, struct listed_process *process, int fd,
			uint64_t inode)
{
	socket_index_add_holder(&map->index, inode, process, fd, map->round,
				process->scan_generation);
}

/* Steps 1 and 3. */
static bool probe(struct inode_map *map, struct listed_process *process, int fd,
		  struct search *search)
{
	if (!seems_to_have_socket(map, process->id.pid, fd, search->query->inode))
		return false;
	note_holder(map, process, fd, search->query->inode);
	process->last_fd = fd;
	if (process->free_fd == fd)
		process->free_fd++;
	search->found = true;
	return true;
}

static void read_links(struct inode_map *map, struct listed_process *process, DIR *directory,
		       struct search *search)
{
	struct dirent *entry;
	uint64_t cost_us = SCAN_COST_US;
	int free_fd = 0;

	while ((entry = readdir(directory))) {
		int fd = atoi(entry->d_name);
		int64_t inode;

		if (entry->d_name[0] == '.')
			continue;
		cost_us++;
		/* The kernel lists them in order. */
		free_fd += fd == free_fd;
		inode = read_link(dirfd(directory), entry->d_name);
		if (inode <= 0)
			continue;
		note_holder(map, process, fd, (uint64_t)inode);
		if ((uint64_t)inode == search->query->inode) {
			search->found = true;
			process->last_fd = fd;
		}
	}
	spend(map, cost_us);
	process->free_fd = free_fd;
}

static bool is_denial(int r)
{
	return r == -EACCES || r == -EPERM;
}

/* Steps 2, 4 and 5: all descriptors of a process. The process may be no more after that. */
static void scan_process(struct inode_map *map, struct listed_process *process,
			 struct search *search)
{
	cleanup(closedir_cleanup) DIR *directory = NULL;
	uint64_t generation = process_list_get_generation(map->processes);
	int parent = process_list_enter(map->processes, process);
	int fd;

	if (parent == -ESRCH)
		return;
	process_list_mark_scanned(map->processes, process, map->round);
	map->counters.processes_scanned++;
	fd = parent < 0 ? parent : openat(parent, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = parent < 0 ? parent : -errno;

		search->denied |= is_denial(r);
		if (parent >= 0 && (r == -ENOENT || r == -ESRCH))
			process_list_replace(map->processes, process);
		return;
	}
	/* Of a process that has died open() may still succeed, and then fdopendir() does not: since
	 * kernel 6.2 its fstat() counts descriptors. */
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return;
	}
	read_links(map, process, directory, search);
	socket_index_drop_process(&map->index, process, map->round);
	process->scan_generation = generation;
}

/* --- Searching --- */

static bool has_newborn(struct inode_map *map, pid_t pid, struct search *search)
{
	uint64_t inode = search->query->inode;
	int fd = map->newborn_fd;
	struct listed_process *process;

	if (!seems_to_have_socket(map, pid, fd, inode)) {
		if (fd == FIRST_FD || !seems_to_have_socket(map, pid, FIRST_FD, inode))
			return false;
		fd = FIRST_FD;
	}
	process = process_list_take_newborn(map->processes, pid);
	if (!process)
		return false;
	note_holder(map, process, fd, inode);
	process->last_fd = fd;
	map->newborn_fd = fd;
	map->counters.newborns++;
	search->found = true;
	return true;
}

static bool is_newborn_of_user(const struct newborn *newborn, const struct inode_query *query)
{
	return !query->has_uid || (newborn->has_uid && newborn->uid == query->uid);
}

static void probe_newborns(struct inode_map *map, struct search *search, bool of_user)
{
	unsigned left = MOST_NEWBORNS;

	list_for_each_safe (node, process_list_get_newborns(map->processes)) {
		struct newborn *newborn = container_of(node, struct newborn, node);

		if (is_newborn_of_user(newborn, search->query) != of_user)
			continue;
		if (left-- == 0 || has_newborn(map, newborn->pid, search))
			return;
	}
}

static void probe_recent(struct inode_map *map, struct search *search)
{
	unsigned left = MOST_RECENT;

	list_for_each (node, &map->recent) {
		struct listed_process *process = container_of(node, struct listed_process, recent);

		if (left-- == 0)
			return;
		for (int i = 0; i < PROBED_FDS && process->last_fd >= 0; i++)
			if (probe(map, process, process->last_fd + i, search))
				return;
		if (probe(map, process, process->free_fd, search))
			return;
	}
}

static bool is_of_user(const struct listed_process *process, const struct inode_query *query)
{
	return !query->has_uid || process->uid == query->uid;
}

static void scan_unscanned_of(struct inode_map *map, struct search *search, bool of_user)
{
	struct list_node *head = process_list_get_unscanned(map->processes);

	for (struct list_node *node = head->next, *next; node != head && !search->found;
	     node = next) {
		struct listed_process *process = container_of(node, struct listed_process, node);

		next = node->next;
		if (is_of_user(process, search->query) != of_user)
			continue;
		if (!is_within_budget(map, search))
			return;
		scan_process(map, process, search);
	}
}

static void scan_unscanned(struct inode_map *map, struct search *search)
{
	for (int of_user = 1; of_user >= 0 && !search->found; of_user--)
		scan_unscanned_of(map, search, of_user);
}

static void probe_free(struct inode_map *map, struct search *search, bool of_user)
{
	list_for_each (node, process_list_get_scanned(map->processes)) {
		struct listed_process *process = container_of(node, struct listed_process, node);

		if (process->scan_round == map->round ||
		    is_of_user(process, search->query) != of_user)
			continue;
		if (!is_worthwhile(map, search) || probe(map, process, process->free_fd, search))
			return;
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
		if (!is_worthwhile(map, search))
			return;
		scan_process(map, process, search);
	}
}

static void look_at_threads(struct inode_map *map, struct listed_process *process,
			    struct search *search)
{
	int directory = process_list_enter(map->processes, process), fd;
	struct socket_holder *holder;
	uint64_t cost_us = 0;
	pid_t thread;

	if (directory < 0)
		return;
	thread = thread_descriptors_find(directory, process->id.pid, search->query->inode, &fd,
					 &cost_us);
	spend(map, cost_us);
	if (thread <= 0)
		return;
	note_holder(map, process, fd, search->query->inode);
	holder = socket_index_first_holder(map->index.wanted);
	if (!holder)
		return;
	holder->thread = thread;
	search->found = true;
}

/* The last resort: no leader has it. */
static void scan_threads(struct inode_map *map, struct search *search)
{
	struct list_node *head = process_list_get_scanned(map->processes);

	for (struct list_node *node = head->next, *next; node != head && !search->found;
	     node = next) {
		struct listed_process *process = container_of(node, struct listed_process, node);

		next = node->next;
		if (!is_within_budget(map, search))
			return;
		spend(map, 2);
		if (thread_descriptors_may_exist(map->proc_fd, process->id.pid))
			look_at_threads(map, process, search);
	}
}

static void search_processes(struct inode_map *map, struct search *search, uint64_t now_ns)
{
	static void (*const steps[])(struct inode_map *, struct search *, bool) = {probe_free,
										   scan_scanned};

	map->round++;
	process_list_hear(map->processes);
	for (int of_user = 1; of_user >= 0 && !search->found; of_user--)
		probe_newborns(map, search, of_user);
	if (!search->found)
		probe_recent(map, search);
	if (search->found)
		return;
	search->refused = !refresh_processes(map, now_ns);
	scan_unscanned(map, search);
	for (size_t i = 0; i < array_length(steps); i++)
		for (int of_user = 1; of_user >= 0 && !search->found && !search->gone; of_user--)
			steps[i](map, search, of_user);
	if (search->found || search->refused || search->gone)
		return;
	/* Who started meanwhile, or has the number of a process that turned out to be gone. */
	search->refused = !refresh_processes(map, now_ns);
	scan_unscanned(map, search);
	if (!search->found && !search->refused && !search->gone)
		scan_threads(map, search);
}

/* --- Relatives --- */

/* A holder, by value: the process itself may turn out to be gone while its relatives are looked at.
 */
struct kin {
	pid_t pid, parent;
	uid_t uid;
	int fd;
};

static void check_relative(struct inode_map *map, struct inode_entry *entry,
			   struct listed_process *relative, int fd)
{
	if (seems_to_have_socket(map, relative->id.pid, fd, entry->inode))
		note_holder(map, relative, fd, entry->inode);
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

/* Children of init have it as parent by adoption mostly; of those only the same user's count. */
static bool are_siblings(const struct listed_process *process, const struct kin *kin)
{
	return process->parent == kin->parent && process->id.pid != kin->pid &&
	       (kin->parent > 1 || process->uid == kin->uid);
}

static void check_born_after(struct inode_map *map, struct inode_entry *entry,
			     const struct kin *kin)
{
	unsigned children = MOST_CHILDREN, siblings = MOST_SIBLINGS;

	list_for_each (node, process_list_get_born(map->processes)) {
		struct listed_process *process = container_of(node, struct listed_process, by_age);

		if (process->born <= entry->checked || (children == 0 && siblings == 0))
			return;
		if (process->parent == kin->pid && children > 0)
			children--;
		else if (are_siblings(process, kin) && siblings > 0)
			siblings--;
		else
			continue;
		check_relative(map, entry, process, kin->fd);
		/* inetd's way: the connection becomes the child's standard input. */
		if (process->parent == kin->pid && kin->fd != 0)
			check_relative(map, entry, process, 0);
	}
}

/* Looks at the relatives of the one holder there is. False where none can have come to share the
 * socket since the last time. */
static bool check_relatives(struct inode_map *map, struct inode_entry *entry, uint64_t now_ns)
{
	struct socket_holder *holder;
	struct kin kin;

	refresh_processes(map, now_ns);
	holder = socket_index_first_holder(entry);
	if (!holder || entry->checked == process_list_get_generation(map->processes))
		return !holder;
	kin = (struct kin){.pid = holder->process->id.pid,
			   .parent = holder->process->parent,
			   .uid = holder->process->uid,
			   .fd = holder->fd};
	if (entry->checked == 0)
		check_ancestors(map, entry, &kin);
	check_born_after(map, entry, &kin);
	entry->checked = process_list_get_generation(map->processes);
	return true;
}

/* --- Answers --- */

/* Drops holders that do not hold it any more until two good ones were seen; how many were. */
static unsigned verify_holders(struct inode_map *map, struct inode_entry *entry)
{
	struct list_node *node = entry->holders.next;
	unsigned good = 0;

	while (node != &entry->holders && good < 2) {
		struct socket_holder *holder = container_of(node, struct socket_holder, in_entry);
		struct list_node *next = node->next;

		if (has_socket(map, holder, entry->inode)) {
			good++;
		} else {
			map->counters.stale++;
			/* With a process that is gone its holder went already. */
			if (next->previous == node)
				socket_index_remove_holder(&map->index, holder);
		}
		node = next;
	}
	return good;
}

/* The one holder that was seen may exit while its relatives are looked at: it is the holder all the
 * same. */
static int tell(struct inode_map *map, struct inode_entry *entry, uint64_t now_ns, unsigned good,
		struct inode_holder *ret)
{
	struct socket_holder *holder = socket_index_first_holder(entry);

	if (!holder)
		return INODE_MAP_NOBODY;
	ret->process = holder->process->id;
	ret->began_ns = holder->process->began_ns;
	if (good == 1 && check_relatives(map, entry, now_ns))
		good = verify_holders(map, entry);
	holder = socket_index_first_holder(entry);
	if (good == 0 || !holder)
		return INODE_MAP_FOUND;
	list_remove(&holder->process->recent);
	list_add_tail(map->recent.next, &holder->process->recent);
	ret->process = holder->process->id;
	ret->began_ns = holder->process->began_ns;
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

/* With hidepid=1 nothing can be read below the directories of others, pid 1 among them; with
 * hidepid=2 they are not even listed. */
static bool are_processes_hidden(const struct inode_map *map)
{
	return faccessat(map->proc_fd, "1/stat", F_OK, 0) < 0;
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
	if (search.gone)
		return INODE_MAP_NOBODY;
	if (search.refused) {
		map->counters.scans_refused++;
		return INODE_MAP_REFUSED;
	}
	if (search.denied || are_processes_hidden(map))
		return remember_nobody(entry, INODE_MAP_DENIED, now_ns);
	return remember_nobody(entry, INODE_MAP_NOBODY, now_ns);
}

int inode_map_find(struct inode_map *map, const struct inode_query *query, uint64_t now_ns,
		   struct inode_holder *ret)
{
	struct inode_holder holder = {0};
	struct inode_entry *entry;
	unsigned good;
	int r;

	/* Of a socket without a file; links to no socket look the same. */
	if (query->inode == 0)
		return INODE_MAP_NOBODY;
	entry = socket_index_acquire(&map->index, query->inode);
	if (!entry)
		return INODE_MAP_REFUSED;
	earn(map, now_ns);
	map->index.wanted = entry;
	good = verify_holders(map, entry);
	if (good > 0) {
		map->counters.hits++;
		r = tell(map, entry, now_ns, good, &holder);
	} else {
		r = search_entry(map, entry, query, now_ns, &holder);
	}
	map->index.wanted = NULL;
	if (entry->holder_count == 0 && entry->nobody_ns == 0)
		socket_index_remove(&map->index, entry);
	if (r == INODE_MAP_FOUND)
		*ret = holder;
	return r;
}
