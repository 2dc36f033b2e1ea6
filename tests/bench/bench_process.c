/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What following processes costs: a sample, with and without I/O wait, a descriptor reopened, and
 * the first look at a process. CPU time of this process, microseconds. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "process/process_table.h"

enum { PROCESSES = 1000, ROUNDS = 20 };

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

static void start_processes(pid_t *pids)
{
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] < 0) {
			perror("fork");
			exit(1);
		}
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			alarm(120);
			for (;;)
				pause();
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
	print(delay_accounting ? "sample (CPU clock, kept stat, taskstats)"
			       : "sample (CPU clock, kept stat)",
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

int main(void)
{
	static pid_t pids[PROCESSES];
	struct rlimit limit;
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	start_processes(pids);
	measure(proc_fd, pids, false);
	measure(proc_fd, pids, true);
	limit.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &limit);
	printf("with 128 descriptors to keep:\n");
	measure(proc_fd, pids, false);
	for (int i = 0; i < PROCESSES; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < PROCESSES; i++)
		waitpid(pids[i], NULL, 0);
	return 0;
}
