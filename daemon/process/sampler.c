/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/sampler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "process/taskstats.h"
#include "process/users.h"

enum {
	SMALLEST_LIMIT = 16,
	LARGEST_LIMIT = 65536,
	ROOM = 8,
	/* Memory can be taken from a process while it sleeps: so often at least it is read. */
	MOST_IDLE = 8,
	MOST_CLOCK_READINGS = 8,
};

/* Pids mean the same to us and to this /proc only if "self" there is us. */
static bool is_own_proc(int proc_fd)
{
	struct statfs info;
	char self[16];
	ssize_t length = readlinkat(proc_fd, "self", self, sizeof(self) - 1);

	if (length <= 0 || fstatfs(proc_fd, &info) < 0 || info.f_type != PROC_SUPER_MAGIC)
		return false;
	self[length] = '\0';
	return strtol(self, NULL, 10) == getpid();
}

static size_t find_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 < SMALLEST_LIMIT)
		return SMALLEST_LIMIT;
	return limit.rlim_cur / 2 < LARGEST_LIMIT ? (size_t)limit.rlim_cur / 2 : LARGEST_LIMIT;
}

void sampler_init(struct sampler *sampler, int proc_fd, size_t open_limit,
		  struct process_table_counters *counters)
{
	*sampler = (struct sampler){
		.proc_fd = proc_fd,
		.proc_is_ours = is_own_proc(proc_fd),
		.open_limit = open_limit ? open_limit : find_limit(),
		.tick_ns = NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK),
		.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
		.counters = counters,
	};
	list_init(&sampler->open);
	/* Without rights, or in a container, everything but I/O wait and exit records is there. */
	if (sampler->proc_is_ours && taskstats_open(&sampler->taskstats) < 0)
		sampler->taskstats = NULL;
}

void sampler_fini(struct sampler *sampler)
{
	taskstats_close(sampler->taskstats);
	sampler->taskstats = NULL;
}

void sampler_forget(struct sampler *sampler, struct process *process)
{
	if (process->stat_fd < 0)
		return;
	close(process->stat_fd);
	process->stat_fd = -1;
	list_remove(&process->open);
	sampler->open_count--;
}

static bool forget_oldest(struct sampler *sampler)
{
	struct list_node *node = list_first(&sampler->open);

	if (!node)
		return false;
	sampler_forget(sampler, container_of(node, struct process, open));
	sampler->counters->descriptors_closed++;
	return true;
}

void sampler_keep(struct sampler *sampler, struct process *process, int stat_fd)
{
	while (sampler->open_count >= sampler->open_limit && forget_oldest(sampler))
		;
	process->stat_fd = stat_fd;
	list_add_tail(&sampler->open, &process->open);
	sampler->open_count++;
}

bool sampler_make_room(struct sampler *sampler)
{
	if (sampler->open_count == 0)
		return false;
	sampler->open_limit = sampler->open_count > 2 * ROOM ? sampler->open_count - ROOM
							     : sampler->open_count / 2 + 1;
	for (int i = 0; i < ROOM && forget_oldest(sampler); i++)
		;
	return true;
}

int sampler_open_file(struct sampler *sampler, int directory_fd, const char *path, int flags)
{
	int fd;

	do
		fd = openat(directory_fd, path, flags | O_CLOEXEC);
	while (fd < 0 && (errno == EMFILE || errno == ENFILE) && sampler_make_room(sampler));
	return fd < 0 ? -errno : fd;
}

/* How far the clock that counts suspensions is ahead. Others may run between two readings, which must
 * not pass for a suspension: so it is told short by that time at most, never long. */
static uint64_t read_asleep_ns(void)
{
	uint64_t before_ns, boot_ns, after_ns;
	struct timespec boot;

	for (unsigned i = 0; i < MOST_CLOCK_READINGS; i++) {
		before_ns = clock_now_ns();
		clock_gettime(CLOCK_BOOTTIME, &boot);
		after_ns = clock_now_ns();
		if (after_ns - before_ns < NS_PER_MS)
			break;
	}
	boot_ns = (uint64_t)boot.tv_sec * NS_PER_SEC + (uint64_t)boot.tv_nsec;
	return boot_ns > after_ns ? boot_ns - after_ns : 0;
}

/* Ticks count the time that the machine was suspended, the monotonic clock does not.
 * Of a process older than a suspension this comes out too early, which is the safe side. */
uint64_t sampler_start_ns(const struct sampler *sampler, uint64_t start_ticks)
{
	uint64_t start_ns = start_ticks * sampler->tick_ns, asleep_ns = read_asleep_ns();

	return start_ns > asleep_ns ? start_ns - asleep_ns : 0;
}

uint64_t sampler_latest_start_ns(const struct sampler *sampler, uint64_t start_ticks)
{
	return (start_ticks + 1) * sampler->tick_ns;
}

uint64_t sampler_start_ticks(const struct sampler *sampler, uint64_t start_ns)
{
	return (start_ns + read_asleep_ns()) / sampler->tick_ns;
}

void sampler_read_start(struct sampler *sampler, struct process *process)
{
	uint64_t before_ns = clock_now_ns(), age_ns;
	struct task_figures figures;

	if (!sampler->taskstats ||
	    taskstats_query_task(sampler->taskstats, process->identity.id.pid, &figures) < 0)
		return;
	age_ns = (figures.elapsed_us + 1) * 1000; /* the kernel cuts the rest off */
	if (age_ns <= before_ns)
		process->identity.start_ns = before_ns - age_ns;
	process->counts_delays |= figures.delay_count > 0;
}

/* The clock's name is made of the pid alone and kept: to ask for it is a system call, as long as a reading.
 * Whether the process is there, each reading tells. */
static bool read_cpu_clock(struct process *process, uint64_t *ret)
{
	struct timespec used;

	if (!process->has_cpu_clock)
		process->has_cpu_clock =
			clock_getcpuclockid(process->identity.id.pid, &process->cpu_clock) == 0;
	if (!process->has_cpu_clock || clock_gettime(process->cpu_clock, &used) < 0)
		return false;
	*ret = (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
	return true;
}

/* Delays of all threads; the first time they are seen proven by the leader's own (the group's sum
 * may come from younger threads alone, where the older ones are not counted). */
static void read_delays(struct sampler *sampler, struct process *process, uint64_t *iowait_ns)
{
	struct task_figures figures;
	pid_t pid = process->identity.id.pid;

	if (!sampler->taskstats || !sampler->delay_accounting || process->lost_delays)
		return;
	if (!process->counts_delays && sampler->delays_since_ns)
		process->counts_delays = process->identity.start_ns >= sampler->delays_since_ns;
	/* A process that has had no delay yet is asked again ever more rarely. */
	if (!process->counts_delays && (process->samples & (process->samples - 1)) == 0 &&
	    taskstats_query_task(sampler->taskstats, pid, &figures) == 0)
		process->counts_delays = figures.delay_count > 0;
	if (process->counts_delays && taskstats_query_group(sampler->taskstats, pid, &figures) == 0)
		*iowait_ns = figures.io_delay_ns;
}

static int read_stat(struct sampler *sampler, struct process *process, char *line, size_t size,
		     struct procfs_stat *ret)
{
	char path[32];
	int r;

	if (process->stat_fd < 0) {
		snprintf(path, sizeof(path), "%d/stat", process->identity.id.pid);
		r = sampler_open_file(sampler, sampler->proc_fd, path, O_RDONLY);
		if (r < 0)
			return r;
		sampler_keep(sampler, process, r);
	}
	list_move_tail(&sampler->open, &process->open);
	r = procfs_stat_read_fd(process->stat_fd, line, size, ret);
	if (r == 0 && ret->start_ticks != process->identity.id.start_ticks)
		return -ESRCH;
	return r;
}

/* The whole group has ended, and only its parent has not asked yet. A leader that ended before its
 * other threads is a zombie as well, but not alone. */
static bool is_finished(const struct procfs_stat *stat)
{
	return (stat->state == 'Z' || stat->state == 'X') && stat->threads <= 1;
}

static void take_cgroup(struct sampler *sampler, struct process *process, struct cgroup *cgroup)
{
	if (!cgroup)
		return;
	cgroup_table_release(sampler->cgroups, process->older_cgroup);
	process->older_cgroup = process->cgroup;
	process->cgroup = cgroup;
	process->identity.cgroup = cgroup;
}

/* The kept descriptor alone is sure to be this process: whether it was there until now. */
static bool is_still_there(const struct process *process)
{
	char byte;

	return pread(process->stat_fd, &byte, 1, 0) == 1;
}

/* NULL where the user could not be read. The process's directory need not be opened for this: that costs
 * nearly as much as the rest. */
static const char *read_user(struct sampler *sampler, pid_t pid, uint64_t now_ns, uid_t *uid,
			     char name[USER_NAME_SIZE])
{
	cleanup_close int status_fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "%d/status", pid);
	status_fd = sampler_open_file(sampler, sampler->proc_fd, path, O_RDONLY);
	if (status_fd < 0 || identity_parse_uid(status_fd, uid) < 0)
		return NULL;
	users_find_name(sampler->users, *uid, now_ns, name);
	return name;
}

/* A process is often read between its start and setuid(2), and some give up root much later: it is
 * looked at again with its second reading, and ever more rarely. */
static void check_user(struct sampler *sampler, struct process *process, uint64_t now_ns)
{
	char name[USER_NAME_SIZE];
	uid_t uid;

	if (process->readings < 2 || (process->readings & (process->readings - 1)) != 0)
		return;
	if (read_user(sampler, process->identity.id.pid, now_ns, &uid, name) &&
	    is_still_there(process))
		process_take_last_name(process, process->comm, uid, name);
}

/* Who it is once more, when the stat line has another comm than before: an exec, mostly. An exec of
 * the same program under the same name goes unnoticed: its command line may be another then. */
static void check_name(struct sampler *sampler, struct process *process,
		       const struct procfs_stat *stat, uint64_t now_ns)
{
	cleanup_close int process_fd = -1;
	char path[16], name[USER_NAME_SIZE];
	struct identity_facts facts;
	struct cgroup *cgroup;
	const char *user_name;

	if (stat->name.length == strlen(process->comm) &&
	    memcmp(stat->name.at, process->comm, stat->name.length) == 0) {
		check_user(sampler, process, now_ns);
		return;
	}
	snprintf(path, sizeof(path), "%d", process->identity.id.pid);
	process_fd = sampler_open_file(sampler, sampler->proc_fd, path, O_RDONLY | O_DIRECTORY);
	if (process_fd < 0)
		return;
	user_name = read_user(sampler, process->identity.id.pid, now_ns, &facts.uid, name);
	identity_read_executable(sampler->proc_fd, process_fd, stat, &facts);
	facts.has_command_line = false;
	if (sampler->command_line)
		identity_read_command_line(process_fd, &facts);
	cgroup = cgroup_table_read(sampler->cgroups, process_fd);
	if (is_still_there(process) && process_rename(process, &facts, user_name) == 0)
		take_cgroup(sampler, process, cgroup);
	else
		cgroup_table_release(sampler->cgroups, cgroup);
}

/* Resident pages of a process whose leader has ended: its line has none, a living thread's has. */
static bool read_thread_memory(struct sampler *sampler, pid_t pid, uint64_t *ret_pages)
{
	char path[64], line[PROCFS_STAT_LINE_SIZE];
	const struct dirent *entry;
	struct procfs_stat stat;
	bool found = false;
	DIR *tasks;
	int fd;

	snprintf(path, sizeof(path), "%d/task", pid);
	fd = sampler_open_file(sampler, sampler->proc_fd, path, O_RDONLY | O_DIRECTORY);
	tasks = fd >= 0 ? fdopendir(fd) : NULL;
	if (!tasks) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && (entry = readdir(tasks))) {
		if (entry->d_name[0] == '.')
			continue;
		found = procfs_stat_read(dirfd(tasks), (pid_t)strtol(entry->d_name, NULL, 10), line,
					 sizeof(line), &stat) == 0 &&
			stat.state != 'Z' && stat.resident_pages > 0;
	}
	closedir(tasks);
	if (found)
		*ret_pages = stat.resident_pages;
	return found;
}

static void check_delays(struct sampler *sampler, struct process *process, uint64_t now_ns,
			 unsigned threads, uint64_t *iowait_ns)
{
	const struct process_usage *usage = &process->usage;
	uint64_t since_ns = process->has_usage ? usage->taken_ns : process->identity.start_ns;

	if (*iowait_ns <= usage->iowait_ns || now_ns < since_ns ||
	    process_check_iowait(process, *iowait_ns - usage->iowait_ns, now_ns - since_ns,
				 threads))
		return;
	*iowait_ns = usage->iowait_ns;
	sampler->counters->iowait_impossible++;
}

static uint64_t keep_rising(uint64_t before, uint64_t now, bool *is_backwards)
{
	*is_backwards |= now < before;
	return now < before ? before : now;
}

/* Takes a new reading. A counter below what it was stays where it was. */
static void take_usage(struct sampler *sampler, struct process *process,
		       const struct process_usage *now)
{
	struct process_usage *usage = &process->usage;
	bool is_backwards = false;

	usage->cpu_ns = keep_rising(usage->cpu_ns, now->cpu_ns, &is_backwards);
	usage->minor_faults = keep_rising(usage->minor_faults, now->minor_faults, &is_backwards);
	usage->major_faults = keep_rising(usage->major_faults, now->major_faults, &is_backwards);
	usage->iowait_ns = keep_rising(usage->iowait_ns, now->iowait_ns, &is_backwards);
	usage->memory_bytes = now->memory_bytes;
	usage->has_memory = now->has_memory;
	usage->has_faults = now->has_faults;
	usage->taken_ns = now->taken_ns;
	usage->has_iowait = now->has_iowait;
	sampler->counters->samples_backwards += is_backwards;
	process->has_usage = true;
}

void sampler_end(struct sampler *sampler, struct process *process)
{
	sampler_forget(sampler, process);
	process->is_gone = true;
	process->usage.is_final = true;
}

/* A zombie tells its final CPU time, what it used while exiting included, as long as its parent has
 * not asked; the kept descriptor proves that it was still there. */
static void read_final_clock(struct process *process, uint64_t *cpu_ns)
{
	uint64_t used_ns;

	if (read_cpu_clock(process, &used_ns) && is_still_there(process))
		*cpu_ns = used_ns;
}

/* A process whose CPU clock (in nanoseconds) has not moved did not run: it had no faults, waited for
 * nothing to its end, and is still there. This saves nine tenths of what a sample costs. */
static bool is_idle(const struct sampler *sampler, const struct process *process, uint64_t cpu_ns)
{
	bool may_have_iowait = process->counts_delays && sampler->delay_accounting;

	return process->has_usage && cpu_ns == process->usage.cpu_ns &&
	       process->usage.has_iowait == may_have_iowait && process->idle_samples < MOST_IDLE;
}

static void take_idle(struct sampler *sampler, struct process *process, uint64_t now_ns)
{
	process->idle_samples++;
	process->usage.taken_ns = now_ns;
	if (process->usage.has_memory)
		peak_add(&process->peak, now_ns, process->usage.memory_bytes);
	sampler->counters->samples_idle++;
}

int sampler_read(struct sampler *sampler, struct process *process, uint64_t now_ns)
{
	char line[PROCFS_STAT_LINE_SIZE];
	struct process_usage now = process->usage;
	struct procfs_stat stat;
	bool has_clock, finished;
	int r;

	process->tried_ns = now_ns;
	process->samples++;
	has_clock = sampler->proc_is_ours && read_cpu_clock(process, &now.cpu_ns);
	if (has_clock && is_idle(sampler, process, now.cpu_ns)) {
		take_idle(sampler, process, now_ns);
		return SAMPLER_ALIVE;
	}
	process->idle_samples = 0;
	process->readings++;
	read_delays(sampler, process, &now.iowait_ns);
	r = read_stat(sampler, process, line, sizeof(line), &stat);
	if (r == -ENOENT || r == -ESRCH) {
		sampler_end(sampler, process);
		return SAMPLER_GONE;
	}
	if (r < 0)
		return r;
	finished = is_finished(&stat);
	if (!has_clock)
		now.cpu_ns = (stat.user_ticks + stat.system_ticks) * sampler->tick_ns;
	else if (finished)
		read_final_clock(process, &now.cpu_ns);
	if (finished) /* the group's delays lack a zombie's */
		now.iowait_ns = process->usage.iowait_ns;
	check_delays(sampler, process, now_ns, stat.threads, &now.iowait_ns);
	now.has_iowait = process->counts_delays && sampler->delay_accounting;
	now.minor_faults = stat.minor_faults;
	now.major_faults = stat.major_faults;
	now.has_faults = true;
	now.taken_ns = now_ns;
	process->totals.user_parts = stat.user_ticks;
	process->totals.system_parts = stat.system_ticks;
	if (stat.state == 'Z' && !finished)
		read_thread_memory(sampler, process->identity.id.pid, &stat.resident_pages);
	/* 0: its memory is given back already, it is exiting; or it is a kernel thread. */
	if (stat.resident_pages > 0) {
		now.memory_bytes = stat.resident_pages * sampler->page_bytes;
		now.has_memory = true;
		peak_add(&process->peak, now_ns, now.memory_bytes);
	}
	take_usage(sampler, process, &now);
	if (finished) {
		sampler_end(sampler, process);
		return SAMPLER_GONE;
	}
	check_name(sampler, process, &stat, now_ns);
	return SAMPLER_ALIVE;
}
