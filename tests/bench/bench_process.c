/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What following processes costs: a sample, with and without I/O wait, a descriptor reopened, and
 * the first look at a process; then the whole schedule in real time, in the daemon's own loop, as it
 * is with 1,000 and with 10,000 processes that have open flows: one in ten of them runs between two
 * samples, and of 1,000 each of them (10,000 that run every second would be most of what is measured
 * with them). CPU time of this process. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/macros.h"
#include "process/history.h"
#include "process/packages.h"
#include "process/process_table.h"
#include "runtime/loop.h"

enum {
	PROCESSES = 1000,
	ROUNDS = 20,
	MANY_PROCESSES = 10000,
	ONE_ACTIVE_OF = 10,    /* the others have open flows and do nothing */
	ACTIVE_EVERY_MS = 900, /* within every sample interval */
	SAMPLES_A_TURN = 256,
	HISTORY_SAMPLES = 1000000,
};
#define SCHEDULE_NS (5 * NS_PER_SEC)

static uint64_t read_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
}

static void print(const char *what, uint64_t begin_ns, unsigned count)
{
	printf("%-52s %7.2f us\n", what, (double)(read_cpu_ns() - begin_ns) / 1e3 / count);
}

static void start_processes(pid_t *pids, int count, int one_active_of)
{
	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] < 0) {
			perror("fork");
			exit(1);
		}
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			alarm(120);
			for (;;)
				poll(NULL, 0, i % one_active_of == 0 ? ACTIVE_EVERY_MS : -1);
		}
	}
}

static struct process_table *open_table(int proc_fd, bool delay_accounting)
{
	struct process_table_options options = {
		.proc_fd = proc_fd,
		.sample_interval_ns = NS_PER_SEC,
		.delay_accounting = delay_accounting,
		/* As if every process had been started with it: the query is made all the same. */
		.delay_accounting_since_ns = 1,
	};
	struct process_table *table = NULL;

	if (process_table_new(&options, &table) < 0)
		exit(1);
	return table;
}

static void measure(int proc_fd, const pid_t *pids, bool delay_accounting)
{
	static struct process *processes[PROCESSES];
	struct process_table *table = open_table(proc_fd, delay_accounting);
	uint64_t begin_ns = read_cpu_ns(), now_ns = clock_now_ns();

	for (int i = 0; i < PROCESSES; i++)
		processes[i] =
			process_table_acquire(table, (struct process_id){.pid = pids[i]}, now_ns);
	print(delay_accounting ? "acquire, delay accounting on" : "acquire", begin_ns, PROCESSES);
	begin_ns = read_cpu_ns();
	for (int round = 0; round < ROUNDS; round++) {
		now_ns += NS_PER_SEC;
		process_table_run_schedule(table, now_ns, PROCESSES);
	}
	print(delay_accounting ? "sample of one that sleeps, with I/O wait"
			       : "sample of one that sleeps",
	      begin_ns, PROCESSES * ROUNDS);
	printf("    1,000 processes every second: %.2f %% of one CPU; taskstats %s; %llu "
	       "descriptors "
	       "closed\n",
	       (double)(read_cpu_ns() - begin_ns) / 1e7 / ROUNDS,
	       process_table_has_taskstats(table) ? "yes" : "no",
	       (unsigned long long)process_table_get_counters(table)->descriptors_closed);
	begin_ns = read_cpu_ns();
	for (int i = 0; i < PROCESSES; i++)
		process_table_release(table, processes[i]);
	for (int i = 0; i < PROCESSES; i++)
		processes[i] =
			process_table_acquire(table, (struct process_id){.pid = pids[i]}, now_ns);
	print("acquire again, remembered", begin_ns, PROCESSES);
	process_table_free(table);
}

static void end_processes(const pid_t *pids, int count)
{
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < count; i++)
		waitpid(pids[i], NULL, 0);
}

struct schedule {
	struct loop *loop;
	struct process_table *table;
	const struct process_table_counters *counters;
	struct loop_source *timer, *begin, *end;
	uint64_t begin_cpu_ns, begin_ns, begin_samples;
	unsigned wakeups;
};

static void on_samples_due(void *userdata, uint64_t now_ns)
{
	struct schedule *schedule = userdata;

	schedule->wakeups++;
	loop_source_set_time(schedule->timer,
			     process_table_run_schedule(schedule->table, now_ns, SAMPLES_A_TURN));
}

static void on_begin(void *userdata, uint64_t now_ns)
{
	struct schedule *schedule = userdata;

	schedule->begin_cpu_ns = read_cpu_ns();
	schedule->begin_ns = now_ns;
	schedule->begin_samples = schedule->counters->samples;
	schedule->wakeups = 0;
}

static void on_end(void *userdata, unused uint64_t now_ns)
{
	loop_stop(((struct schedule *)userdata)->loop, 0);
}

static void run_schedule(struct schedule *schedule)
{
	uint64_t now_ns = clock_now_ns();

	if (loop_add_timer(schedule->loop, now_ns, on_samples_due, schedule, &schedule->timer) <
		    0 ||
	    loop_add_timer(schedule->loop, now_ns + NS_PER_SEC, on_begin, schedule,
			   &schedule->begin) < 0 ||
	    loop_add_timer(schedule->loop, now_ns + NS_PER_SEC + SCHEDULE_NS, on_end, schedule,
			   &schedule->end) < 0)
		exit(1);
	loop_run(schedule->loop);
	loop_source_free(schedule->timer);
	loop_source_free(schedule->begin);
	loop_source_free(schedule->end);
}

/* After a first interval, in which the processes are looked at. */
static void measure_schedule(int proc_fd, const pid_t *pids, int count, const char *what,
			     bool delay_accounting)
{
	struct process **processes = calloc((size_t)count, sizeof(struct process *));
	struct schedule schedule = {.table = open_table(proc_fd, delay_accounting)};
	double seconds;

	if (!processes || loop_new(&schedule.loop) < 0)
		exit(1);
	schedule.counters = process_table_get_counters(schedule.table);
	for (int i = 0; i < count; i++)
		processes[i] = process_table_acquire(
			schedule.table, (struct process_id){.pid = pids[i]}, clock_now_ns());
	run_schedule(&schedule);
	seconds = (double)(clock_now_ns() - schedule.begin_ns) / 1e9;
	printf("%6d processes, %s, every second%s: %.2f %% of one CPU; %.0f samples and %.0f "
	       "wake-ups a "
	       "second; %llu descriptors closed\n",
	       count, what, delay_accounting ? ", with I/O wait" : "",
	       (double)(read_cpu_ns() - schedule.begin_cpu_ns) / 1e7 / seconds,
	       (double)(schedule.counters->samples - schedule.begin_samples) / seconds,
	       schedule.wakeups / seconds,
	       (unsigned long long)schedule.counters->descriptors_closed);
	for (int i = 0; i < count; i++)
		process_table_release(schedule.table, processes[i]);
	loop_free(schedule.loop);
	process_table_free(schedule.table);
	free(processes);
}

/* A process that never rests, every second for days. */
static void measure_history(void)
{
	struct history history;
	struct history_entry entry = {.memory_kib = 4096, .peak_kib = 4096}, found;
	uint64_t begin_ns = read_cpu_ns();

	history_init(&history);
	for (unsigned i = 0; i < HISTORY_SAMPLES; i++) {
		entry.taken_ns += NS_PER_SEC;
		entry.cpu_ns += NS_PER_MS;
		history_add(&history, &entry, NS_PER_SEC);
	}
	print("sample kept in the history", begin_ns, HISTORY_SAMPLES);
	begin_ns = read_cpu_ns();
	for (unsigned i = 0; i < HISTORY_SAMPLES; i++)
		history_find(&history, entry.taken_ns - i * NS_PER_MS % (300 * NS_PER_SEC), &found);
	print("usage at a time looked up", begin_ns, HISTORY_SAMPLES);
	history_fini(&history);
}

/* All of this host's lists, as the event loop reads them. */
static void measure_packages(void)
{
	struct packages *packages = NULL;
	const struct packages_counters *counters;
	uint64_t begin_ns = clock_now_ns(), longest_ns = 0, now_ns;
	unsigned turns = 0;

	if (packages_new("", &packages) < 0)
		exit(1);
	do {
		uint64_t due_ns, took_ns;

		now_ns = clock_now_ns();
		due_ns = packages_run(packages, now_ns);
		took_ns = clock_now_ns() - now_ns;
		longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
		turns++;
		if (due_ns > now_ns)
			break;
	} while (true);
	counters = packages_get_counters(packages);
	printf("packages: %llu with %llu paths in %.1f ms, %u turns, the longest %.2f ms; %llu "
	       "KiB\n",
	       (unsigned long long)counters->packages, (unsigned long long)counters->paths,
	       (double)(clock_now_ns() - begin_ns) / 1e6, turns, (double)longest_ns / 1e6,
	       (unsigned long long)counters->bytes / 1024);
	begin_ns = read_cpu_ns();
	for (int i = 0; i < PROCESSES; i++)
		if (!packages_find(packages, "/usr/bin/bash") && counters->paths)
			printf("/usr/bin/bash is of no package\n");
	print("find a package", begin_ns, PROCESSES);
	packages_free(packages);
}

int main(void)
{
	static const char some[] = "one in ten at work", all[] = "all at work";
	static pid_t pids[MANY_PROCESSES];
	struct rlimit limit;
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	measure_history();
	measure_packages();
	start_processes(pids, PROCESSES, ONE_ACTIVE_OF);
	measure(proc_fd, pids, false);
	measure(proc_fd, pids, true);
	measure_schedule(proc_fd, pids, PROCESSES, some, false);
	measure_schedule(proc_fd, pids, PROCESSES, some, true);
	limit.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &limit);
	printf("with 128 descriptors to keep:\n");
	measure(proc_fd, pids, false);
	end_processes(pids, PROCESSES);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	start_processes(pids, PROCESSES, 1);
	measure_schedule(proc_fd, pids, PROCESSES, all, false);
	measure_schedule(proc_fd, pids, PROCESSES, all, true);
	end_processes(pids, PROCESSES);
	start_processes(pids, MANY_PROCESSES, ONE_ACTIVE_OF);
	measure_schedule(proc_fd, pids, MANY_PROCESSES, some, false);
	measure_schedule(proc_fd, pids, MANY_PROCESSES, some, true);
	end_processes(pids, MANY_PROCESSES);
	return 0;
}
