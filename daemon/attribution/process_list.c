/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Reading the directory /proc costs about 0.3 us a process, so it is avoided: /proc/loadavg tells
 * the newest pid for 0.7 us, and what lies between it and the last one seen is looked at pid by
 * pid.
 *
 * A pid is given out (and told in loadavg) a little before its process can be seen in /proc, so
 * numbers that are not there yet are tried again for a while. Threads have numbers too, and
 * /proc/TID exists though it is not listed: they are told apart by Tgid.
 *
 * With a teller nothing is looked for: who is told of is looked at once, and who exits is forgotten.
 * The end of a leader is that of its process only where there never were other threads. */

#include "attribution/process_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attribution/newborns.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "procfs/stat.h"

enum {
	MOST_KEPT_DIRECTORIES = 256,
	MOST_STEPS = 32, /* pids looked at one by one; more are found by reading /proc */
	MOST_AWAITED = 64,
	MOST_NEWBORNS = 4096,
	LISTING_SHARE = 20, /* reading /proc takes one part in this many of the time */
	LISTED_PER_US = 3,  /* directory entries of /proc read in a microsecond */
	ADDING_COST_US = 6,
};

#define AWAIT_NS (5 * NS_PER_MS)

struct awaited_pid {
	pid_t pid;
	uint64_t since_ns;
};

struct process_list {
	int proc_fd, loadavg_fd;
	process_list_on_gone on_gone;
	void *userdata;
	struct hash_map processes;
	uint64_t seed;
	struct list_node unscanned, scanned, born, kept;
	size_t kept_count;
	uint64_t generation, listing;
	pid_t newest;		  /* of the last refresh, 0: never */
	uint64_t next_listing_ns; /* not before */
	struct awaited_pid awaited[MOST_AWAITED];
	size_t awaited_count;
	process_list_tell tell; /* NULL: nobody does */
	void *teller;
	struct newborns *newborns;
	bool must_list; /* what was told is not all */
};

DEFINE_CLEANUP(DIR *, closedir);
DEFINE_CLEANUP(struct process_list *, process_list_free);

int process_list_new(int proc_fd, process_list_on_gone on_gone, void *userdata,
		     struct process_list **ret)
{
	cleanup(process_list_free_cleanup) struct process_list *list = calloc(1, sizeof(*list));
	int r;

	if (!list)
		return -ENOMEM;
	list->loadavg_fd = -1;
	r = newborns_new(MOST_NEWBORNS, &list->newborns);
	if (r < 0)
		return r;
	list->proc_fd = proc_fd;
	list->on_gone = on_gone;
	list->userdata = userdata;
	list->seed = hash_seed_new();
	list_init(&list->unscanned);
	list_init(&list->scanned);
	list_init(&list->born);
	list_init(&list->kept);
	/* Where it is missing every refresh reads /proc. */
	list->loadavg_fd = openat(proc_fd, "loadavg", O_RDONLY | O_CLOEXEC);
	*ret = steal_pointer(&list);
	return 0;
}

static bool is_pid(const void *value, const void *key)
{
	return ((const struct listed_process *)value)->id.pid == *(const pid_t *)key;
}

static uint64_t hash_pid(const struct process_list *list, pid_t pid)
{
	return hash_u64(list->seed, (uint64_t)pid);
}

struct listed_process *process_list_find(const struct process_list *list, pid_t pid)
{
	return hash_map_find(&list->processes, hash_pid(list, pid), is_pid, &pid);
}

static void leave(struct process_list *list, struct listed_process *process)
{
	if (process->directory_fd < 0)
		return;
	close(process->directory_fd);
	process->directory_fd = -1;
	list_remove(&process->kept);
	list->kept_count--;
}

static void forget(struct process_list *list, struct listed_process *process)
{
	leave(list, process);
	list->on_gone(process, list->userdata);
	list_remove(&process->recent);
	list_remove(&process->by_age);
	list_remove(&process->node);
	free(process);
}

static void remove_process(struct process_list *list, struct listed_process *process)
{
	pid_t pid = process->id.pid;

	hash_map_remove(&list->processes, hash_pid(list, pid), is_pid, &pid);
	forget(list, process);
}

void process_list_free(struct process_list *list)
{
	size_t position = 0;
	struct listed_process *process;

	if (!list)
		return;
	while ((process = hash_map_next(&list->processes, &position)))
		forget(list, process);
	hash_map_fini(&list->processes);
	newborns_free(list->newborns);
	if (list->loadavg_fd >= 0)
		close(list->loadavg_fd);
	free(list);
}

/* Opens /proc/PID and reads who that is. The descriptor, or a negative errno. */
static int open_directory(int proc_fd, pid_t pid, struct procfs_stat *ret)
{
	cleanup_close int directory = -1, file = -1;
	char line[PROCFS_STAT_LINE_SIZE], name[16];
	int r;

	snprintf(name, sizeof(name), "%d", pid);
	directory = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	file = openat(directory, "stat", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	r = procfs_stat_read_fd(file, line, sizeof(line), ret);
	ret->name = (struct text){0};
	return r < 0 ? r : steal_fd(&directory);
}

/* The process that a thread belongs to; "threads" of its stat tells whether there is a doubt. */
static bool is_leader(int directory, pid_t pid)
{
	cleanup_close int file = openat(directory, "status", O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t length;
	const char *at;

	if (file < 0)
		return false;
	length = read(file, text, sizeof(text) - 1);
	if (length < 0)
		return false;
	text[length] = '\0';
	at = strstr(text, "\nTgid:");
	return at && strtol(at + 6, NULL, 10) == pid;
}

static void keep_directory(struct process_list *list, struct listed_process *process, int take)
{
	if (list->kept_count >= MOST_KEPT_DIRECTORIES)
		leave(list, container_of(list_first(&list->kept), struct listed_process, kept));
	process->directory_fd = take;
	list_add_tail(&list->kept, &process->kept);
	list->kept_count++;
}

/* How it is known that the number is a process's: a thread has one, too. */
enum source { FROM_NUMBER, FROM_LISTING, FROM_TELLER };

/* 0; -ENOENT or -ESRCH where there is nobody (yet); another negative errno. */
static int add_process(struct process_list *list, pid_t pid, enum source source)
{
	cleanup_close int directory = -1;
	struct procfs_stat stat;
	struct stat owner;
	struct listed_process *process;
	int r;

	directory = open_directory(list->proc_fd, pid, &stat);
	if (directory < 0)
		return directory;
	if (source == FROM_NUMBER && stat.threads > 1 && !is_leader(directory, pid))
		return 0;
	if (fstat(directory, &owner) < 0)
		return -errno;
	process = calloc(1, sizeof(*process));
	if (!process)
		return -ENOMEM;
	r = hash_map_add(&list->processes, hash_pid(list, pid), process);
	if (r < 0) {
		free(process);
		return r;
	}
	process->id = (struct process_id){.pid = pid, .start_ticks = stat.start_ticks};
	process->parent = stat.parent;
	process->uid = owner.st_uid;
	process->may_have_threads = stat.threads > 1;
	process->last_fd = -1;
	process->free_fd = -1;
	process->directory_fd = -1;
	process->seen = list->listing;
	list_init(&process->node);
	list_init(&process->recent);
	list_init(&process->holders);
	list_init(&process->kept);
	list_init(&process->by_age);
	list_add_tail(list->unscanned.next, &process->node);
	list_add_tail(list->born.next, &process->by_age);
	process->born = ++list->generation;
	if (source == FROM_TELLER)
		keep_directory(list, process, steal_fd(&directory));
	return 0;
}

static bool is_gone_error(int r)
{
	return r == -ENOENT || r == -ESRCH;
}

void process_list_replace(struct process_list *list, struct listed_process *process)
{
	pid_t pid = process->id.pid;

	remove_process(list, process);
	(void)add_process(list, pid, FROM_NUMBER);
}

int process_list_enter(struct process_list *list, struct listed_process *process)
{
	struct procfs_stat stat;
	int directory;

	if (process->directory_fd >= 0) {
		list_move_tail(&list->kept, &process->kept);
		return process->directory_fd;
	}
	directory = open_directory(list->proc_fd, process->id.pid, &stat);
	if (is_gone_error(directory) ||
	    (directory >= 0 && stat.start_ticks != process->id.start_ticks)) {
		if (directory >= 0)
			close(directory);
		process_list_replace(list, process);
		return -ESRCH;
	}
	if (directory < 0)
		return directory;
	keep_directory(list, process, directory);
	return directory;
}

/* The newest pid, or 0 where that is not told. */
static pid_t read_newest(const struct process_list *list)
{
	char text[128];
	ssize_t length;
	const char *last;

	if (list->loadavg_fd < 0)
		return 0;
	length = pread(list->loadavg_fd, text, sizeof(text) - 1, 0);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	last = strrchr(text, ' ');
	return last ? (pid_t)strtol(last, NULL, 10) : 0;
}

static void await(struct process_list *list, pid_t pid, uint64_t now_ns)
{
	if (list->awaited_count < MOST_AWAITED)
		list->awaited[list->awaited_count++] =
			(struct awaited_pid){.pid = pid, .since_ns = now_ns};
}

static void try_pid(struct process_list *list, pid_t pid, uint64_t now_ns, uint64_t since_ns)
{
	if (process_list_find(list, pid))
		return;
	if (is_gone_error(add_process(list, pid, FROM_NUMBER)) && now_ns - since_ns < AWAIT_NS)
		await(list, pid, since_ns);
}

static void try_awaited(struct process_list *list, uint64_t now_ns)
{
	size_t count = list->awaited_count;
	struct awaited_pid again[MOST_AWAITED];

	memcpy(again, list->awaited, count * sizeof(again[0]));
	list->awaited_count = 0;
	for (size_t i = 0; i < count; i++)
		try_pid(list, again[i].pid, now_ns, again[i].since_ns);
}

static void remove_unseen(struct process_list *list, struct list_node *head)
{
	list_for_each_safe (node, head) {
		struct listed_process *process = container_of(node, struct listed_process, node);

		if (process->seen != list->listing)
			remove_process(list, process);
	}
}

/* Reads all of /proc. False where that failed. What is new costs once and is not rationed, so it is
 * told apart. */
static bool list_all(struct process_list *list, uint64_t *cost, uint64_t *ret_listing_cost)
{
	cleanup(closedir_cleanup) DIR *directory = NULL;
	int fd = openat(list->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	uint64_t added = list->generation;
	uint64_t count = 0;

	if (fd < 0)
		return false;
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return false;
	}
	list->listing++;
	while ((entry = readdir(directory))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		struct listed_process *known;

		if (*end || pid <= 0 || pid > INT32_MAX)
			continue;
		count++;
		known = process_list_find(list, (pid_t)pid);
		if (known)
			known->seen = list->listing;
		else
			(void)add_process(list, (pid_t)pid, FROM_LISTING);
	}
	remove_unseen(list, &list->unscanned);
	remove_unseen(list, &list->scanned);
	*cost += (list->generation - added) * ADDING_COST_US;
	*ret_listing_cost = count / LISTED_PER_US;
	return true;
}

/* --- What is told --- */

void process_list_set_teller(struct process_list *list, process_list_tell tell, void *userdata)
{
	list->tell = tell;
	list->teller = userdata;
	list->awaited_count = 0;
	process_list_add_lost(list); /* who began earlier is not told of */
}

void process_list_add_lost(struct process_list *list)
{
	size_t position = 0;
	struct listed_process *process;

	list->must_list = true;
	while ((process = hash_map_next(&list->processes, &position)))
		process->may_have_threads = true;
}

void process_list_hear(struct process_list *list)
{
	if (list->tell)
		list->tell(list->teller);
}

struct list_node *process_list_get_newborns(struct process_list *list)
{
	return newborns_get_all(list->newborns);
}

static void add_newborn(struct process_list *list, struct newborn *newborn, pid_t parent)
{
	const struct listed_process *known = process_list_find(list, parent);
	const struct newborn *unread = newborns_find(list->newborns, parent);

	if (known || unread) {
		newborn->has_uid = known || unread->has_uid;
		newborn->uid = known ? known->uid : unread->uid;
	}
	if (newborns_add(list->newborns, newborn) != NEWBORNS_ADDED)
		process_list_add_lost(list);
}

static void note_threads(struct process_list *list, pid_t pid)
{
	struct listed_process *process = process_list_find(list, pid);
	struct newborn *newborn = newborns_find(list->newborns, pid);

	if (process)
		process->may_have_threads = true;
	if (newborn)
		newborn->has_threads = true;
}

static void on_fork(struct process_list *list, const struct process_event *event,
		    struct listed_process *previous)
{
	struct newborn newborn = {.pid = event->pid, .began_ns = event->when_ns};

	if (previous)
		remove_process(list, previous);
	add_newborn(list, &newborn, event->parent);
}

/* Its descriptors are others now, and its user may be. */
static void on_exec(struct process_list *list, pid_t pid, struct listed_process *process,
		    struct newborn *unread)
{
	struct newborn newborn = {.pid = pid};

	if (unread)
		newborn.began_ns = unread->began_ns;
	else if (process)
		newborn.began_ns = process->began_ns;
	if (process)
		remove_process(list, process);
	add_newborn(list, &newborn, 0);
}

void process_list_add_event(struct process_list *list, const struct process_event *event)
{
	struct listed_process *process = process_list_find(list, event->pid);
	struct newborn *newborn = newborns_find(list->newborns, event->pid);

	if (event->type == PROCESS_EVENT_FORK && event->thread != event->pid) {
		note_threads(list, event->pid);
		return;
	}
	if (event->type == PROCESS_EVENT_EXIT) {
		if (event->thread != event->pid)
			return;
		if (newborn && !newborn->has_threads)
			newborns_remove(list->newborns, newborn);
		if (process && !process->may_have_threads)
			remove_process(list, process);
		return;
	}
	if (event->type == PROCESS_EVENT_FORK)
		on_fork(list, event, process);
	else if (event->type == PROCESS_EVENT_EXEC)
		on_exec(list, event->pid, process, newborn);
}

struct listed_process *process_list_take_newborn(struct process_list *list, pid_t pid)
{
	struct newborn *newborn = newborns_find(list->newborns, pid);
	struct newborn told = newborn ? *newborn : (struct newborn){0};
	struct listed_process *process;

	if (newborn)
		newborns_remove(list->newborns, newborn);
	if (!process_list_find(list, pid))
		(void)add_process(list, pid, FROM_TELLER);
	process = process_list_find(list, pid);
	if (!process)
		return NULL;
	process->may_have_threads |= told.has_threads;
	process->began_ns = told.began_ns;
	return process;
}

static bool refresh_as_told(struct process_list *list, uint64_t now_ns, uint64_t *cost)
{
	uint64_t listing_cost = 0;

	process_list_hear(list);
	if (!list->must_list || now_ns < list->next_listing_ns) {
		/* The oldest first: later ones count as younger. */
		for (struct list_node *all = newborns_get_all(list->newborns);
		     !list_is_empty(all);) {
			pid_t pid = container_of(all->previous, struct newborn, node)->pid;

			process_list_take_newborn(list, pid);
			*cost += ADDING_COST_US;
		}
		return !list->must_list;
	}
	newborns_clear(list->newborns);
	if (!list_all(list, cost, &listing_cost))
		return false;
	*cost += listing_cost;
	list->next_listing_ns = now_ns + listing_cost * LISTING_SHARE * 1000;
	list->must_list = false;
	return true;
}

bool process_list_refresh(struct process_list *list, uint64_t now_ns, uint64_t *cost)
{
	uint64_t listing_cost = 0;
	pid_t newest;

	if (list->tell)
		return refresh_as_told(list, now_ns, cost);
	newest = read_newest(list);
	if (newest && list->newest && newest >= list->newest &&
	    newest - list->newest <= MOST_STEPS) {
		*cost += list->awaited_count + (uint64_t)(newest - list->newest) * ADDING_COST_US;
		try_awaited(list, now_ns);
		for (pid_t pid = list->newest + 1; pid <= newest; pid++)
			try_pid(list, pid, now_ns, now_ns);
		list->newest = newest;
		return true;
	}
	if (now_ns < list->next_listing_ns)
		return false;
	if (!list_all(list, cost, &listing_cost))
		return false;
	*cost += listing_cost;
	list->next_listing_ns = now_ns + listing_cost * LISTING_SHARE * 1000;
	list->newest = newest;
	for (pid_t pid = newest; pid > 0 && pid > newest - 8; pid--)
		if (!process_list_find(list, pid))
			await(list, pid, now_ns);
	return true;
}

uint64_t process_list_get_generation(const struct process_list *list)
{
	return list->generation;
}

size_t process_list_count(const struct process_list *list)
{
	return list->processes.used;
}

struct list_node *process_list_get_unscanned(struct process_list *list)
{
	return &list->unscanned;
}

struct list_node *process_list_get_scanned(struct process_list *list)
{
	return &list->scanned;
}

struct list_node *process_list_get_born(struct process_list *list)
{
	return &list->born;
}

void process_list_mark_scanned(struct process_list *list, struct listed_process *process,
			       uint64_t round)
{
	process->scan_round = round;
	list_remove(&process->node);
	list_add_tail(list->scanned.next, &process->node);
}
