/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the kernel accounts of a process, where it is exact and where it is not
 * (kernel/taskstats.c, kernel/tsacct.c, kernel/delayacct.c). */

#include "process/taskstats.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "process/thread_sums.h"
#include "support/child.h"
#include "support/network_namespace.h"

static struct taskstats_client *open_client(void)
{
	struct taskstats_client *client = NULL;

	assert_int_equal(taskstats_open(&client), 0);
	return client;
}

static void assert_close(const char *what, uint64_t found_ns, uint64_t truth_ns)
{
	uint64_t off = found_ns > truth_ns ? found_ns - truth_ns : truth_ns - found_ns;

	print_message("%s: %.3f ms, truth %.3f ms\n", what, (double)found_ns / 1e6,
		      (double)truth_ns / 1e6);
	assert_true(off <= child_get_tolerance_ns());
}

static uint64_t read_cpu_clock(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &used), 0);
	return (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
}

struct found_exit {
	pid_t pid;
	bool found;
	struct taskstats_message message;
};

static void on_exit_record(const struct taskstats_message *message, void *userdata)
{
	struct found_exit *wanted = userdata;

	if (message->pid != wanted->pid && !(message->has_group && message->group == wanted->pid))
		return;
	wanted->found = true;
	wanted->message = *message;
}

/* Without waiting: a record was sent before the process could be reaped. */
static struct found_exit read_exit(struct taskstats_client *client, pid_t pid)
{
	struct found_exit wanted = {.pid = pid};
	int r;

	do
		r = taskstats_read_exits(client, 1024, on_exit_record, &wanted);
	while (r == 1);
	assert_int_equal(r, 0);
	return wanted;
}

static void *burn_thread(void *argument)
{
	child_burn_ms(*(unsigned *)argument);
	return NULL;
}

/* Eight threads, half of which end before the point that is looked at. */
static void burn_in_threads(struct child *child, void *argument)
{
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, burn_thread, argument);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	child_pause(child);
}

static void burn(struct child *child, void *argument)
{
	child_burn_ms(*(unsigned *)argument);
	child_pause(child);
}

static void cpu_clock_of_a_process_is_wait4s(void **state)
{
	static const child_work works[] = {burn, burn_in_threads};
	unsigned ms = 10;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct child child = child_start(works[i], &ms);
		uint64_t alive_ns, zombie_ns, truth_ns;

		child_wait_pause(&child);
		alive_ns = read_cpu_clock(child.pid);
		child_continue(&child);
		child_wait_zombie(&child);
		zombie_ns = read_cpu_clock(child.pid);
		truth_ns = child_reap(&child, NULL);
		assert_close(i ? "threads" : "single", alive_ns, truth_ns);
		assert_close("zombie", zombie_ns, truth_ns);
		assert_true(zombie_ns >= alive_ns);
	}
}

static void group_sum_has_no_zombie(void **state)
{
	struct taskstats_client *client = open_client();
	struct task_figures alive, zombie;
	unsigned ms = 10;
	struct child child = child_start(burn, &ms);

	(void)state;
	child_wait_pause(&child);
	assert_int_equal(taskstats_query_group(client, child.pid, &alive), 0);
	child_continue(&child);
	child_wait_zombie(&child);
	assert_int_equal(taskstats_query_group(client, child.pid, &zombie), 0);
	child_reap(&child, NULL);
	assert_true(alive.cpu_ns >= 10 * NS_PER_MS);
	assert_int_equal(zombie.cpu_ns, 0);
	taskstats_close(client);
}

static void group_sum_has_finished_threads(void **state)
{
	struct taskstats_client *client = open_client();
	struct task_figures group, leader;
	unsigned ms = 10;
	struct child child = child_start(burn_in_threads, &ms);

	(void)state;
	child_wait_pause(&child);
	assert_int_equal(taskstats_query_group(client, child.pid, &group), 0);
	assert_int_equal(taskstats_query_task(client, child.pid, &leader), 0);
	child_continue(&child);
	child_reap(&child, NULL);
	assert_true(group.cpu_ns >= 8 * 10 * NS_PER_MS);
	assert_true(leader.cpu_ns <= group.cpu_ns - 8 * 10 * NS_PER_MS);
	taskstats_close(client);
}

static void spin(struct child *child, void *argument)
{
	(void)child;
	prctl(PR_SET_NAME, "spinning");
	if (setuid(12345) < 0)
		_exit(1);
	child_spin_ms(*(unsigned *)argument);
}

static void exit_record_is_there_before_the_parent_knows(void **state)
{
	struct taskstats_client *client = open_client();

	(void)state;
	for (unsigned ms = 0; ms < 8; ms++) {
		struct child child = child_start(spin, &ms);
		struct rusage usage;
		uint64_t truth_ns = child_reap(&child, &usage);
		struct found_exit exit = read_exit(client, child.pid);
		const struct task_figures *figures = &exit.message.task_figures;

		assert_true(exit.found);
		assert_false(exit.message.has_group);
		assert_int_equal(figures->pid, child.pid);
		assert_int_equal(figures->parent, getpid());
		assert_int_equal(figures->uid, 12345);
		assert_int_equal(figures->exit_code, 0);
		assert_string_equal(figures->name, "spinning");
		assert_true(figures->minor_faults <= (uint64_t)usage.ru_minflt);
		assert_true(figures->minor_faults + 5 >= (uint64_t)usage.ru_minflt);
		assert_true(figures->peak_memory_bytes > 0);
		assert_true(figures->version < 12 || figures->group_ended);
		print_message("by itself %.3f ms; ", (double)figures->cpu_ns / 1e6);
		assert_close("exit record", taskstats_find_exit_cpu(figures), truth_ns);
	}
	taskstats_close(client);
}

/* The kernel sends them to init_net alone, wherever the listener registered. */
static void exit_records_come_from_within_a_namespace(void **state)
{
	struct taskstats_client *client;
	struct found_exit exit;
	struct child child;
	unsigned ms = 0;
	cleanup_close int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (network_namespace_enter() < 0)
		skip();
	client = open_client();
	child = child_start(spin, &ms);
	child_reap(&child, NULL);
	exit = read_exit(client, child.pid);
	taskstats_close(client);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_true(exit.found);
	assert_int_equal(exit.message.task_figures.parent, getpid());
}

static void group_exit_record_comes_with_the_last_thread(void **state)
{
	struct taskstats_client *client = open_client();
	unsigned ms = 5;
	struct child child = child_start(burn_in_threads, &ms);
	struct found_exit exit;

	(void)state;
	child_wait_pause(&child);
	child_continue(&child);
	child_reap(&child, NULL);
	exit = read_exit(client, child.pid);
	assert_true(exit.found);
	assert_true(exit.message.has_task && exit.message.has_group);
	assert_int_equal(exit.message.group, child.pid);
	assert_true(exit.message.group_figures.cpu_ns >= 8 * 5 * NS_PER_MS);
	assert_int_equal(exit.message.group_figures.minor_faults, 0);
	taskstats_close(client);
}

enum { SLEEPERS = 8, SLEEPS = 20, PAGES = 200 };

static void *sleep_and_touch(void *argument)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	(void)argument;
	if (memory == MAP_FAILED)
		_exit(1);
	madvise(memory, PAGES * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < PAGES; i++)
		memory[i * page] = 1;
	for (int i = 0; i < SLEEPS; i++)
		usleep(100);
	return NULL;
}

static void sleep_in_threads(struct child *child, void *argument)
{
	pthread_t threads[SLEEPERS];

	(void)argument;
	for (int i = 0; i < SLEEPERS; i++)
		pthread_create(&threads[i], NULL, sleep_and_touch, NULL);
	for (int i = 0; i < SLEEPERS; i++)
		pthread_join(threads[i], NULL);
	child_pause(child);
}

/* fill_tgid_exit() keeps the delays of a thread that ends, and newer kernels its context switches too:
 * where the record of a group's end has any, queries have all of them. thread_sums.c leans on this. */
static void group_has_all_switches_of_finished_threads_or_none(void **state)
{
	struct taskstats_client *client = open_client();
	struct child child = child_start(sleep_in_threads, NULL);
	struct task_figures alive, end;
	struct found_exit exit;
	struct rusage truth;

	(void)state;
	child_wait_pause(&child);
	assert_int_equal(taskstats_query_group(client, child.pid, &alive), 0);
	child_continue(&child);
	child_reap(&child, &truth);
	exit = read_exit(client, child.pid);
	taskstats_close(client);
	assert_true(exit.found && exit.message.has_group);
	end = exit.message.group_figures;
	print_message("%lu alive, %lu at the end, of %ld\n", alive.voluntary_switches,
		      end.voluntary_switches, truth.ru_nvcsw);
	if (end.voluntary_switches + end.involuntary_switches == 0) {
		assert_true(alive.voluntary_switches < SLEEPERS * SLEEPS);
	} else {
		assert_in_range(alive.voluntary_switches, SLEEPERS * SLEEPS, truth.ru_nvcsw);
		assert_in_range(end.voluntary_switches, SLEEPERS * SLEEPS, truth.ru_nvcsw);
	}
}

struct adding {
	struct thread_sums *sums;
	pid_t group;
	struct taskstats_message last;
};

static void on_record_to_add(const struct taskstats_message *message, void *userdata)
{
	struct adding *adding = userdata;
	struct taskstats_message added = *message;

	thread_sums_add(adding->sums, &added, clock_now_ns());
	if (added.has_group && added.group == adding->group)
		adding->last = added;
}

/* Every thread leaves a record with its group, and they add up to what wait4(2) tells of all. */
static void records_of_threads_add_up(void **state)
{
	struct taskstats_client *client = open_client();
	struct adding adding = {0};
	const struct task_figures *sum = &adding.last.group_figures;
	struct child child;
	struct rusage truth;
	int r;

	(void)state;
	assert_int_equal(thread_sums_new(64, clock_now_ns(), &adding.sums), 0);
	child = child_start(sleep_in_threads, NULL);
	adding.group = child.pid;
	child_wait_pause(&child);
	child_continue(&child);
	child_reap(&child, &truth);
	do
		r = taskstats_read_exits(client, 1024, on_record_to_add, &adding);
	while (r == 1);
	assert_int_equal(r, 0);
	thread_sums_free(adding.sums);
	taskstats_close(client);
	assert_true(adding.last.has_group);
	if (adding.last.task_figures.version < 12) {
		print_message("skipped: no group in the records before Linux 5.19\n");
		skip();
	}
	assert_true(adding.last.is_whole);
	print_message("faults %lu of %ld, switches %lu + %lu of %ld + %ld\n", sum->minor_faults,
		      truth.ru_minflt, sum->voluntary_switches, sum->involuntary_switches,
		      truth.ru_nvcsw, truth.ru_nivcsw);
	assert_in_range(sum->minor_faults, SLEEPERS * PAGES, (uint64_t)truth.ru_minflt);
	assert_true((uint64_t)truth.ru_minflt - sum->minor_faults <= 5 * SLEEPERS);
	assert_in_range(sum->voluntary_switches, SLEEPERS * SLEEPS, (uint64_t)truth.ru_nvcsw);
	assert_true((uint64_t)truth.ru_nvcsw - sum->voluntary_switches <= 3 * SLEEPERS);
}

static void age_of_a_task_tells_its_start(void **state)
{
	struct taskstats_client *client = open_client();
	unsigned ms = 0;
	uint64_t before_ns = clock_now_ns(), forked_ns, asked_ns, told_ns;
	struct child child = child_start(burn, &ms);
	struct task_figures figures;

	(void)state;
	child_wait_pause(&child);
	forked_ns = clock_now_ns();
	asked_ns = clock_now_ns();
	assert_int_equal(taskstats_query_task(client, child.pid, &figures), 0);
	told_ns = clock_now_ns();
	child_continue(&child);
	child_reap(&child, NULL);
	assert_true(asked_ns - (figures.elapsed_us + 1) * 1000 <= forked_ns);
	assert_true(told_ns - figures.elapsed_us * 1000 >= before_ns);
	taskstats_close(client);
}

static int read_delayacct(void)
{
	FILE *file = fopen("/proc/sys/kernel/task_delayacct", "re");
	int value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static bool write_delayacct(int value)
{
	FILE *file = fopen("/proc/sys/kernel/task_delayacct", "we");

	if (!file)
		return false;
	fprintf(file, "%d\n", value);
	return fclose(file) == 0;
}

static struct task_figures query_a_child(struct taskstats_client *client, child_work work,
					 unsigned ms)
{
	struct child child = child_start(work, &ms);
	struct task_figures figures;

	child_wait_pause(&child);
	assert_int_equal(taskstats_query_group(client, child.pid, &figures), 0);
	child_continue(&child);
	child_reap(&child, NULL);
	return figures;
}

static void k4_delays_count_only_for_tasks_made_while_it_is_on(void **state)
{
	struct taskstats_client *client = open_client();
	int before = read_delayacct();
	unsigned ms = 0;
	struct child older;
	struct task_figures figures;

	(void)state;
	if (before < 0) {
		print_message("skipped: no kernel.task_delayacct\n");
		taskstats_close(client);
		skip();
	}
	older = child_start(burn, &ms);
	child_wait_pause(&older);
	if (before == 0) {
		figures = query_a_child(client, burn, 1);
		if (read_delayacct() == 0) {
			assert_int_equal(figures.delay_count, 0);
			assert_int_equal(figures.io_delay_ns, 0);
		}
		assert_true(figures.cpu_ns >= NS_PER_MS); /* CPU needs no delay accounting */
	}
	if (write_delayacct(1)) {
		figures = query_a_child(client, burn, 1);
		write_delayacct(before);
		/* Copied pages after fork are a delay since version 13. */
		if (figures.version >= 13)
			assert_true(figures.delay_count > 0);
		assert_true(figures.cpu_ns >= NS_PER_MS);
		if (before == 0) {
			assert_int_equal(taskstats_query_group(client, older.pid, &figures), 0);
			assert_int_equal(figures.delay_count, 0);
		}
	}
	child_continue(&older);
	child_reap(&older, NULL);
	taskstats_close(client);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu_clock_of_a_process_is_wait4s),
		cmocka_unit_test(group_sum_has_no_zombie),
		cmocka_unit_test(group_sum_has_finished_threads),
		cmocka_unit_test(exit_record_is_there_before_the_parent_knows),
		cmocka_unit_test(exit_records_come_from_within_a_namespace),
		cmocka_unit_test(group_exit_record_comes_with_the_last_thread),
		cmocka_unit_test(group_has_all_switches_of_finished_threads_or_none),
		cmocka_unit_test(records_of_threads_add_up),
		cmocka_unit_test(age_of_a_task_tells_its_start),
		cmocka_unit_test(k4_delays_count_only_for_tasks_made_while_it_is_on),
	};
	struct taskstats_client *client;
	int r = taskstats_open(&client);

	if (r < 0) {
		printf("skipped: needs taskstats, CAP_NET_ADMIN and the initial namespaces: %s\n",
		       strerror(-r));
		return 77;
	}
	taskstats_close(client);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
