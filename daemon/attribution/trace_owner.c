/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/trace_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "procfs/stat.h"

/* A flow is asked for when it begins; what stays open longer is asked for again only when it is found
 * anew, and then sock_diag serves. 65,536 ranges are 10 MiB: a minute at a thousand senders a second. */
enum { MAX_RANGES = 65536, MAX_PROCESSES = 32768, MOST_ANCESTORS = 8, KNOWN_NETNS = 64 };
/* With report_tcp_end: destroy a connection is asked for when conntrack lets go of it, 120 s after it was
 * closed (TIME_WAIT): until then both its acts and whoever did them have to be known. */
#define RANGE_AGE_NS   (180 * NS_PER_SEC)
#define PROCESS_AGE_NS (180 * NS_PER_SEC)
/* Conntrack's time of a flow's beginning is wall time turned back into monotonic time. */
#define TOLERANCE_NS (1 * NS_PER_MS)
/* A flow that begins so long after the last record of its sender was not begun by what was recorded. */
#define STALE_NS (1 * NS_PER_SEC)

/* The parent of all kernel threads has this number, but in a pid namespace that is not the first. */
enum { KTHREADD = 2 };

/* What was read of a process's namespace, by pid: it serves for all that was done before it was read,
 * where a reading now would be later still. */
struct known_netns {
	pid_t pid;
	ino_t netns;
	uint64_t read_ns; /* not before that */
};

struct trace_owner {
	struct ownership_ranges *ranges;
	struct trace_processes *processes;
	int proc_fd;
	ino_t netns; /* ours */
	bool has_kthreadd;
	pid_t own_pid;
	struct known_netns known[KNOWN_NETNS];
};

DEFINE_CLEANUP(struct trace_owner *, trace_owner_free);

/* The inode of the namespace that "path" (PID/ns/net) is in; 0 where the process is gone. The link's
 * text: stat(2) would have the kernel make the file. */
static ino_t read_netns(int proc_fd, const char *path)
{
	static const char prefix[] = "net:[";
	char text[32];
	ssize_t length = readlinkat(proc_fd, path, text, sizeof(text) - 1);

	if (length < 0)
		return 0;
	text[length] = '\0';
	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	return (ino_t)strtoull(text + sizeof(prefix) - 1, NULL, 10);
}

/* A name is no proof, any process can give itself one: kernel threads have no executable. */
static bool find_kthreadd(int proc_fd)
{
	char line[PROCFS_STAT_LINE_SIZE], target[2];
	struct procfs_stat stat;

	return procfs_stat_read(proc_fd, KTHREADD, line, sizeof(line), &stat) == 0 &&
	       stat.parent == 0 && readlinkat(proc_fd, "2/exe", target, sizeof(target)) < 0 &&
	       errno == ENOENT;
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
	owner->own_pid = getpid();
	owner->has_kthreadd = find_kthreadd(proc_fd);
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

/* The executable of a process that runs; false where it has none, or it may not be looked at. */
static bool read_executable(int proc_fd, pid_t pid, char *path, size_t size)
{
	static const char deleted[] = " (deleted)";
	const size_t cut = sizeof(deleted) - 1;
	char link[32];
	ssize_t length;

	snprintf(link, sizeof(link), "%d/exe", pid);
	length = readlinkat(proc_fd, link, path, size - 1);
	if (length <= 0)
		return false;
	if ((size_t)length > cut && memcmp(path + length - cut, deleted, cut) == 0)
		length -= (ssize_t)cut;
	path[length] = '\0';
	return true;
}

static int learn(struct trace_owner *owner, pid_t pid, uint64_t now_ns)
{
	char line[PROCFS_STAT_LINE_SIZE], executable[PATH_MAX];
	struct trace_process found = {.pid = pid};
	struct procfs_stat stat;

	if (procfs_stat_read(owner->proc_fd, pid, line, sizeof(line), &stat) < 0)
		return 0;
	found.parent = stat.parent;
	snprintf(found.name, sizeof(found.name), "%.*s", (int)stat.name.length, stat.name.at);
	if (read_executable(owner->proc_fd, pid, executable, sizeof(executable)))
		found.executable = executable;
	return trace_processes_learn(owner->processes, &found, now_ns);
}

int trace_owner_learn(struct trace_owner *owner, uint64_t now_ns)
{
	int fd = openat(owner->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!directory) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(directory))) {
		int pid = atoi(entry->d_name);

		if (pid > 0)
			r = learn(owner, pid, now_ns);
	}
	closedir(directory);
	return r;
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

void trace_owner_forget_port(struct trace_owner *owner, uint8_t protocol, uint16_t port)
{
	ownership_ranges_forget_port(owner->ranges, protocol, port);
}

void trace_owner_expire(struct trace_owner *owner, uint64_t now_ns)
{
	ownership_ranges_expire(owner->ranges, now_ns);
	trace_processes_expire(owner->processes, now_ns);
}

struct acceptance {
	struct trace_owner *owner;
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

/* A leader that ended before its other threads is in no namespace any more; they are. */
static ino_t read_netns_of_threads(const struct trace_owner *owner, pid_t pid)
{
	char path[64];
	DIR *directory;
	const struct dirent *entry;
	ino_t netns = 0;
	int fd;

	snprintf(path, sizeof(path), "%d/task", pid);
	fd = openat(owner->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (netns == 0 && (entry = readdir(directory))) {
		int thread = atoi(entry->d_name);

		snprintf(path, sizeof(path), "%d/task/%d/ns/net", pid, thread);
		if (thread > 0)
			netns = read_netns(owner->proc_fd, path);
	}
	closedir(directory);
	return netns;
}

static ino_t read_netns_of(struct trace_owner *owner, pid_t pid, uint64_t acted_ns)
{
	struct known_netns *known = &owner->known[(unsigned)pid % KNOWN_NETNS];
	uint64_t now_ns;
	char path[32];
	ino_t netns;

	if (known->pid == pid && known->read_ns >= acted_ns)
		return known->netns;
	now_ns = clock_now_ns();
	snprintf(path, sizeof(path), "%d/ns/net", pid);
	netns = read_netns(owner->proc_fd, path);
	if (!netns)
		netns = read_netns_of_threads(owner, pid);
	if (netns)
		*known = (struct known_netns){.pid = pid, .netns = netns, .read_ns = now_ns};
	return netns;
}

/* All of its threads have ended: nothing is left of it below /proc, or what has its number is another. */
static bool has_ended(const struct trace_process *process)
{
	return process && process->start_ns && process->exit_ns != UINT64_MAX;
}

/* "process": what is known of the one that acted, or NULL. */
static bool is_in_namespace(const struct acceptance *acceptance, const struct ownership_act *act,
			    const struct trace_process *process)
{
	const struct trace_owner *owner = acceptance->owner;
	pid_t pid = act->pid;

	for (int i = 0; i < MOST_ANCESTORS && pid > 0; i++) {
		ino_t netns = has_ended(process)
				      ? 0
				      : read_netns_of(acceptance->owner, pid, act->first_ns);

		if (netns)
			return is_right_namespace(acceptance, netns, i == 0);
		if (!process)
			break;
		pid = process->parent;
		process = trace_processes_find(owner->processes, pid, act->first_ns);
	}
	/* The whole family is gone: the tuple and the time are what is left to go by. */
	return acceptance->netns == owner->netns || acceptance->query->is_only_owner;
}

/* kworkers, NAPI threads and the like send on behalf of others: what they do proves nothing. */
static bool is_kernel_thread(const struct trace_owner *owner, const struct ownership_act *act,
			     const struct trace_process *process)
{
	return owner->has_kthreadd &&
	       (act->pid == KTHREADD ||
		(process && process->parent == KTHREADD && process->exec_ns == 0));
}

static bool may_be_owner(void *userdata, const struct ownership_act *act)
{
	const struct acceptance *acceptance = userdata;
	const struct trace_process *process;
	bool is_close = act->closed_ns && !act->read_ns && !act->has_begun;

	/* Who read from a connection or closed it need not be who opened it. */
	if (acceptance->query->query->initiator && !act->has_begun)
		return false;
	/* Reading a link of /proc/PID/fd holds the file for a moment: where its process closes it just
	 * then, the close is ours (proc_fd_link() in fs/proc/fd.c). */
	if (is_close && act->pid == acceptance->owner->own_pid)
		return false;
	process = trace_processes_find(acceptance->owner->processes, act->pid, act->first_ns);
	return !is_kernel_thread(acceptance->owner, act, process) &&
	       (acceptance->query->is_unplaced || is_in_namespace(acceptance, act, process));
}

/* Whoever begins a flow leaves a record of it, so the only one who acted at that time on this tuple, in
 * whatever namespace, is the one: nothing has to be read of it, which is most of what a question costs
 * (docs/measured.md). Not where several namespaces have the address: each of them would claim it. */
static bool may_have_begun(void *userdata, const struct ownership_act *act)
{
	const struct acceptance *acceptance = userdata;
	const struct trace_owner *owner = acceptance->owner;

	return act->has_begun &&
	       !is_kernel_thread(owner, act,
				 trace_processes_find(owner->processes, act->pid, act->first_ns));
}

static const struct trace_process *find_process(const struct trace_owner *owner,
						const struct ownership_range *range)
{
	return trace_processes_find(owner->processes, range->ownership.process.pid, range->from_ns);
}

const struct trace_process *trace_owner_find_life(const struct trace_owner *owner, pid_t pid,
						  uint64_t when_ns)
{
	return trace_processes_find(owner->processes, pid, when_ns);
}

static bool is_doubtful(const struct trace_owner *owner, const struct ownership_query *query,
			const struct ownership_range *range)
{
	const struct trace_process *process;

	/* The next connection of this tuple may be on its way, without a record yet. */
	if (query->socket.protocol == IPPROTO_TCP)
		return query->initiator && query->socket.family == IP_FAMILY_V6 &&
		       range->until_ns < query->when_ns - TOLERANCE_NS;
	if (query->socket.protocol != IPPROTO_UDP || range->last_ns >= query->when_ns)
		return false;
	process = find_process(owner, range);
	return query->when_ns - range->last_ns > STALE_NS ||
	       (process && process->fork_ns >= range->from_ns);
}

static void tell_server(const struct ownership_query *query, const struct ownership_server *server,
			struct ownership *ret)
{
	const struct ownership_act *reader = &server->reader, *closer = &server->closer;
	bool is_shared = !reader->pid || (closer->pid && closer->pid != reader->pid);

	*ret = (struct ownership){
		.method = is_shared ? OWNERSHIP_SHARED : OWNERSHIP_TRACE,
		.process.pid = reader->pid ? reader->pid : closer->pid,
		.acted_ns = reader->pid ? reader->read_ns : closer->closed_ns,
		.cgroup_id = reader->pid ? reader->cgroup_id : closer->cgroup_id,
		.is_provisional = !query->has_ended,
	};
}

static int find_server(struct trace_owner *owner, struct acceptance *acceptance,
		       struct ownership *ret)
{
	const struct ownership_query *query = acceptance->query->query;
	struct ownership_ranges_query question = {
		.socket = query->socket,
		.earliest_ns = query->not_before_ns ? query->not_before_ns : query->when_ns,
		.latest_ns = query->when_ns,
		.needs_local = acceptance->query->is_unplaced,
		.accept = may_be_owner,
		.userdata = acceptance,
	};
	struct ownership_server server;
	int r = ownership_ranges_find_server(owner->ranges, &question, &server);

	if (r == OWNERSHIP_RANGES_LOST)
		return TRACE_OWNER_LOST;
	if (r < 0)
		return TRACE_OWNER_NOBODY;
	tell_server(query, &server, ret);
	return TRACE_OWNER_FOUND;
}

/* What is answered without a port is answered by the kernel. */
static int find_portless(struct trace_owner *owner, const struct trace_owner_query *query,
			 struct acceptance *acceptance, struct ownership *ret)
{
	const struct ownership_query *flow = query->query;
	struct ownership_ranges_query question = {
		.socket = flow->socket,
		.earliest_ns = flow->not_before_ns ? flow->not_before_ns : flow->when_ns,
		.latest_ns = flow->when_ns,
		.needs_local = query->is_unplaced,
		.accept = may_be_owner,
		.userdata = acceptance,
	};
	struct ownership_range range;
	int r;

	if (!flow->initiator)
		return TRACE_OWNER_NOBODY;
	question.socket.local_port = question.socket.remote_port = 0;
	if (query->is_own_header)
		question.socket.protocol = IPPROTO_RAW;
	r = ownership_ranges_find_only(owner->ranges, &question, &range);
	if (r == OWNERSHIP_RANGES_LOST)
		return TRACE_OWNER_LOST;
	if (r != 0)
		return TRACE_OWNER_NOBODY;
	*ret = range.ownership;
	ret->acted_ns = range.last_ns;
	return TRACE_OWNER_FOUND;
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
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
		.needs_local = query->is_unplaced,
		.accept = may_have_begun,
		.userdata = &acceptance,
	};
	struct ownership_range range;
	int r = -ENOENT;

	if (query->is_own_header || !has_ports(query->query->socket.protocol))
		return find_portless(owner, query, &acceptance, ret);
	if (!query->query->initiator && query->query->socket.protocol == IPPROTO_TCP)
		return find_server(owner, &acceptance, ret);
	if (query->is_only_question && query->query->initiator)
		r = ownership_ranges_find_alone(owner->ranges, &question, &range);
	question.accept = may_be_owner;
	if (r == -ENOENT)
		r = ownership_ranges_find(owner->ranges, &question, &range);
	if (r == OWNERSHIP_RANGES_LOST)
		return TRACE_OWNER_LOST;
	if (r < 0)
		return TRACE_OWNER_NOBODY;
	*ret = range.ownership;
	ret->acted_ns = range.from_ns;
	return is_doubtful(owner, query->query, &range) ? TRACE_OWNER_DOUBTFUL : TRACE_OWNER_FOUND;
}

bool trace_owner_find_process(const struct trace_owner *owner, pid_t pid, uint64_t when_ns,
			      struct process_trace *ret)
{
	const struct trace_process *process = trace_processes_find(owner->processes, pid, when_ns);
	const char *name;

	/* An act is recorded before the end; the last ones, of exit(2) itself, just after. */
	if (!process || process->start_ns == 0 || process->exit_ns == UINT64_MAX ||
	    process->exit_ns + TOLERANCE_NS < when_ns)
		return false;
	name = trace_process_get_name(process, when_ns);
	if (name[0] == '\0')
		return false;
	*ret = (struct process_trace){
		.pid = pid,
		.parent = process->parent,
		.start_ns = process->start_ns,
		.exit_ns = process->exit_ns,
		.executable = when_ns < process->exec_ns ? NULL : process->executable};
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return true;
}

const struct ownership_ranges_counters *trace_owner_get_counters(const struct trace_owner *owner)
{
	return ownership_ranges_get_counters(owner->ranges);
}
