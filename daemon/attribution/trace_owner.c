/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/trace_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* A flow is asked for when it begins; what stays open longer is asked for again only when it is found
 * anew, and then sock_diag serves. 65,536 ranges are 10 MiB: a minute at a thousand senders a second. */
enum { MAX_RANGES = 65536, MAX_PROCESSES = 16384, MOST_ANCESTORS = 8 };
#define RANGE_AGE_NS   (180 * NS_PER_SEC)
#define PROCESS_AGE_NS (60 * NS_PER_SEC)
/* Conntrack's time of a flow's beginning is wall time turned back into monotonic time. */
#define TOLERANCE_NS (1 * NS_PER_MS)

struct trace_owner {
	struct ownership_ranges *ranges;
	struct trace_processes *processes;
	int proc_fd;
	ino_t netns; /* ours */
};

DEFINE_CLEANUP(struct trace_owner *, trace_owner_free);

/* The inode of the namespace that "path" (PID/ns/net) is in; 0 where the process is gone. */
static ino_t read_netns(int proc_fd, const char *path)
{
	struct stat status;

	return fstatat(proc_fd, path, &status, 0) < 0 ? 0 : status.st_ino;
}

int trace_owner_new(int proc_fd, struct trace_owner **ret)
{
	cleanup(trace_owner_free_cleanup) struct trace_owner *owner = calloc(1, sizeof(*owner));
	const struct ownership_ranges_options ranges = {
		.max_ranges = MAX_RANGES, .max_age_ns = RANGE_AGE_NS, .tolerance_ns = TOLERANCE_NS};
	const struct trace_processes_options processes = {.max_processes = MAX_PROCESSES,
							  .keep_ns = PROCESS_AGE_NS};
	int r;

	if (!owner)
		return -ENOMEM;
	owner->proc_fd = proc_fd;
	owner->netns = read_netns(proc_fd, "thread-self/ns/net");
	r = ownership_ranges_new(&ranges, &owner->ranges);
	if (r < 0)
		return r;
	r = trace_processes_new(&processes, &owner->processes);
	if (r < 0)
		return r;
	*ret = steal_pointer(&owner);
	return 0;
}

void trace_owner_free(struct trace_owner *owner)
{
	if (!owner)
		return;
	ownership_ranges_free(owner->ranges);
	trace_processes_free(owner->processes);
	free(owner);
}

void trace_owner_add_socket(struct trace_owner *owner, const struct socket_event *event)
{
	ownership_ranges_add(owner->ranges, event);
}

void trace_owner_add_process(struct trace_owner *owner, const struct process_event *event)
{
	trace_processes_add(owner->processes, event);
}

void trace_owner_add_lost(struct trace_owner *owner, uint64_t from_ns, uint64_t until_ns)
{
	ownership_ranges_add_lost(owner->ranges, from_ns, until_ns);
	trace_processes_add_lost(owner->processes, from_ns, until_ns);
}

void trace_owner_forget_port(struct trace_owner *owner, uint16_t port)
{
	ownership_ranges_forget_port(owner->ranges, port);
}

void trace_owner_expire(struct trace_owner *owner, uint64_t now_ns)
{
	ownership_ranges_expire(owner->ranges, now_ns);
	trace_processes_expire(owner->processes, now_ns);
}

struct acceptance {
	const struct trace_owner *owner;
	const struct trace_owner_query *query;
	ino_t netns; /* that is asked about */
};

/* "is_itself": of the process, not of an ancestor. */
static bool is_right_namespace(const struct acceptance *acceptance, ino_t netns, bool is_itself)
{
	if (netns == acceptance->netns)
		return true;
	return !is_itself && netns == acceptance->owner->netns && acceptance->query->is_only_owner;
}

static bool is_in_namespace(void *userdata, const struct ownership_act *act)
{
	const struct acceptance *acceptance = userdata;
	const struct trace_owner *owner = acceptance->owner;
	pid_t pid = act->pid;

	for (int i = 0; i < MOST_ANCESTORS && pid > 0; i++) {
		const struct trace_process *process;
		char path[32];
		ino_t netns;

		snprintf(path, sizeof(path), "%d/ns/net", pid);
		netns = read_netns(owner->proc_fd, path);
		if (netns)
			return is_right_namespace(acceptance, netns, i == 0);
		process = trace_processes_find(owner->processes, pid, act->first_ns);
		if (!process)
			break;
		pid = process->parent;
	}
	/* The whole family is gone: the tuple and the time are what is left to go by. */
	return acceptance->netns == owner->netns || acceptance->query->is_only_owner;
}

int trace_owner_find(struct trace_owner *owner, const struct trace_owner_query *query,
		     struct ownership *ret)
{
	struct acceptance acceptance = {.owner = owner,
					.query = query,
					.netns = query->netns ? query->netns : owner->netns};
	struct ownership_ranges_query question = {
		.socket = query->query->socket,
		.earliest_ns = query->query->not_before_ns ? query->query->not_before_ns
							   : query->query->when_ns,
		.latest_ns = query->query->initiator ? query->query->when_ns : query->now_ns,
		.accept = is_in_namespace,
		.userdata = &acceptance,
	};
	struct ownership_range range;
	int r = ownership_ranges_find(owner->ranges, &question, &range);

	if (r == OWNERSHIP_RANGES_LOST)
		return TRACE_OWNER_LOST;
	if (r < 0)
		return TRACE_OWNER_NOBODY;
	*ret = range.ownership;
	ret->acted_ns = range.from_ns;
	return TRACE_OWNER_FOUND;
}

const struct ownership_ranges_counters *trace_owner_get_counters(const struct trace_owner *owner)
{
	return ownership_ranges_get_counters(owner->ranges);
}
