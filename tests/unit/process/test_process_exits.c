/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Exit records that the test makes up, over a directory that looks like /proc. */

#include "process/process_table_private.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/macros.h"
#include "process/process.h"
#include "process/taskstats.h"
#include "support/fake_process.h"
#include "support/temporary.h"

/* How long the machine was suspended. */
static time_t asleep_s;
/* How often somebody else runs before the clock that counts that is read. */
static unsigned stalls;

/* Instead of the C library's, for all of the program. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
	const struct timespec stall = {.tv_nsec = 30 * NS_PER_MS};
	int r;

	if (id == CLOCK_BOOTTIME && stalls > 0) {
		stalls--;
		nanosleep(&stall, NULL);
	}
	r = (int)syscall(SYS_clock_gettime, id == CLOCK_BOOTTIME ? CLOCK_MONOTONIC : id, ret);

	if (id == CLOCK_BOOTTIME)
		ret->tv_sec += asleep_s;
	return r;
}

enum { MOST_TOLD = 8 };

struct fixture {
	char *proc;
	int proc_fd;
	struct process_table *table;
	uint64_t begin_ns;
	struct process *told[MOST_TOLD];
	unsigned told_count;
};

static void on_gone(void *userdata, struct process *process)
{
	struct fixture *fixture = userdata;

	assert_true(fixture->told_count < MOST_TOLD);
	fixture->told[fixture->told_count++] = process;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct process_table_options options = {.sample_interval_ns = NS_PER_SEC,
						.tell_all_ends = true};
	int r;

	asleep_s = 0;
	stalls = 0;
	fixture->proc = temporary_make();
	fixture->proc_fd = open(fixture->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.proc_fd = fixture->proc_fd;
	*state = fixture;
	r = process_table_new(&options, &fixture->table);
	if (r < 0)
		return r;
	process_table_set_on_gone(fixture->table, on_gone, fixture);
	fixture->begin_ns = fixture->table->now_ns = clock_now_ns();
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	process_table_free(fixture->table);
	close(fixture->proc_fd);
	temporary_remove(fixture->proc);
	free(fixture);
	return 0;
}

/* So long after the records began. */
static uint64_t at(const struct fixture *fixture, uint64_t ms)
{
	return fixture->begin_ns + ms * NS_PER_MS;
}

static uint64_t to_ticks(uint64_t ns)
{
	return ns / (NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Of a process, or of one of its threads, that ends at this moment; its process began so long ago. */
static struct taskstats_message record(pid_t pid, pid_t group, uint64_t lived_ms)
{
	return (struct taskstats_message){
		.has_task = true,
		.pid = pid,
		.task_figures = {.version = 12,
				 .pid = pid,
				 .group = group,
				 .group_ended = pid == group,
				 .elapsed_us = lived_ms * 1000,
				 .group_elapsed_us = lived_ms * 1000,
				 .run_count = 1,
				 .cpu_ns = NS_PER_MS,
				 .minor_faults = 100,
				 .read_bytes = 4096,
				 .voluntary_switches = 10,
				 .name = "ended"},
	};
}

/* As Linux before 5.19 tells it. */
static struct taskstats_message old_record(pid_t pid, uint64_t lived_ms)
{
	struct taskstats_message message = record(pid, 0, lived_ms);

	message.task_figures.version = 10;
	message.task_figures.group_ended = false;
	message.task_figures.group_elapsed_us = 0;
	return message;
}

static struct taskstats_message last_record(pid_t pid, pid_t group, uint64_t lived_ms,
					    uint64_t run_count)
{
	struct taskstats_message message = record(pid, group, lived_ms);

	message.has_group = true;
	message.group = group;
	message.task_figures.group_ended = true;
	message.group_figures =
		(struct task_figures){.run_count = run_count, .cpu_ns = run_count * NS_PER_MS};
	return message;
}

static void take(struct fixture *fixture, struct taskstats_message message, uint64_t ms)
{
	fixture->table->drained_ns = at(fixture, ms - 1);
	process_exits_take(fixture->table, &message, at(fixture, ms));
}

static struct process *acquire(struct fixture *fixture, pid_t pid, uint64_t start_ticks,
			       uint64_t ms)
{
	struct process_id id = {.pid = pid, .start_ticks = start_ticks};

	return process_table_acquire(fixture->table, id, at(fixture, ms));
}

/* Without a sample of its life all that there is to tell is in the records of its threads. */
static void threads_of_an_unseen_process_add_up(void **state)
{
	struct fixture *fixture = *state;
	struct taskstats_message leader = record(42, 42, 50);
	struct process_usage usage;
	struct process *process;

	leader.task_figures.group_ended = false;
	take(fixture, record(43, 42, 40), 40);
	take(fixture, leader, 50);
	take(fixture, last_record(44, 42, 60, 3), 60);
	process = acquire(fixture, 42, 0, 70);
	assert_non_null(process);
	assert_int_equal(process_table_sample(fixture->table, process, at(fixture, 70),
					      at(fixture, 70), &usage),
			 0);
	assert_true(usage.has_faults);
	assert_int_equal(usage.minor_faults, 300);
	assert_int_equal(usage.cpu_ns, 3 * NS_PER_MS);
	assert_true(process->totals.has_io && process->totals.has_switches);
	assert_int_equal(process->totals.read_bytes, 3 * 4096);
	assert_int_equal(process->totals.voluntary_switches, 30);
	assert_int_equal(process->totals.switches_since_ns, 0);
	process_table_release(fixture->table, process);
}

static void threads_whose_records_are_missing_do_not(void **state)
{
	struct fixture *fixture = *state;
	struct taskstats_message leader = record(42, 42, 50);
	struct process_usage usage;
	struct process *process;

	leader.task_figures.group_ended = false;
	take(fixture, leader, 50);
	take(fixture, last_record(44, 42, 60, 3), 60);
	process = acquire(fixture, 42, 0, 70);
	assert_int_equal(process_table_sample(fixture->table, process, at(fixture, 70),
					      at(fixture, 70), &usage),
			 0);
	assert_false(usage.has_faults);
	assert_false(process->totals.has_io);
	assert_true(process->totals.switches_since_ns > 0);
	process_table_release(fixture->table, process);
}

/* The record of the first one's end was lost; what comes later is that of the next under its pid. */
static void record_is_not_an_older_lifes(void **state)
{
	struct fixture *fixture = *state;
	struct process_usage usage;
	struct process *first, *second;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42,
						  .comm = "first",
						  .start_ticks = to_ticks(at(fixture, 100))});
	first = acquire(fixture, 42, 0, 200);
	fake_process_remove(fixture->proc, 42);
	assert_int_equal(process_table_sample(fixture->table, first, at(fixture, 300),
					      at(fixture, 300), &usage),
			 0);
	assert_true(process_is_gone(first));
	take(fixture, record(42, 42, 50), 900);
	assert_false(first->has_exit_record);
	second = acquire(fixture, 42, 0, 910);
	assert_non_null(second);
	assert_ptr_not_equal(second, first);
	assert_true(second->has_exit_record);
	assert_string_equal(process_get_identity(second)->name, "ended");
	process_table_release(fixture->table, second);
	process_table_release(fixture->table, first);
}

/* The same before it was found gone. */
static void record_of_the_next_ends_the_one_before(void **state)
{
	struct fixture *fixture = *state;
	struct process *first;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42,
						  .comm = "first",
						  .start_ticks = to_ticks(at(fixture, 100))});
	first = acquire(fixture, 42, 0, 200);
	fake_process_remove(fixture->proc, 42);
	take(fixture, record(42, 42, 50), 900);
	assert_true(process_is_gone(first));
	assert_false(first->has_exit_record);
	process_table_release(fixture->table, first);
}

/* Its stat file was still there when it was read, and no other: the record of its end has the user. */
static void parent_that_goes_while_it_is_read_has_a_user(void **state)
{
	struct fixture *fixture = *state;
	struct taskstats_message child = record(43, 43, 10), parent = record(42, 42, 100);
	char path[256];
	struct process *process;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42, .comm = "parent", .start_ticks = 1});
	snprintf(path, sizeof(path), "%s/42/status", fixture->proc);
	assert_int_equal(unlink(path), 0);
	child.task_figures.parent = 42;
	parent.task_figures.uid = 1234;
	take(fixture, child, 100);
	take(fixture, parent, 101);
	process = acquire(fixture, 43, 0, 102);
	assert_non_null(process);
	assert_int_equal(process_get_identity(process)->parent_uid, 1234);
	assert_non_null(process_get_identity(process)->parent_user_name);
	process_table_release(fixture->table, process);
}

static void its_own_record_is_taken(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42,
						  .comm = "first",
						  .start_ticks = to_ticks(at(fixture, 100))});
	process = acquire(fixture, 42, 0, 200);
	fake_process_remove(fixture->proc, 42);
	take(fixture, record(42, 42, 800), 900);
	assert_true(process->has_exit_record);
	process_table_release(fixture->table, process);
}

/* A wait that is longer than its threads can have lived is none. */
static void wait_that_cannot_be_true_is_not_told(void **state)
{
	struct fixture *fixture = *state;
	struct taskstats_message waited[] = {record(42, 42, 50), record(43, 43, 50)};
	struct process_usage usage;

	process_table_set_delay_accounting(fixture->table, true, 1);
	waited[0].task_figures.io_delay_ns = 30 * NS_PER_MS;
	waited[1].task_figures.io_delay_ns = 3600 * NS_PER_SEC;
	for (size_t i = 0; i < array_length(waited); i++) {
		struct process *process;

		waited[i].task_figures.delay_count = 1;
		take(fixture, waited[i], 60);
		process = acquire(fixture, waited[i].pid, 0, 70);
		assert_int_equal(process_table_sample(fixture->table, process, at(fixture, 70),
						      at(fixture, 70), &usage),
				 0);
		assert_int_equal(usage.has_iowait, i == 0);
		if (usage.has_iowait)
			assert_int_equal(usage.iowait_ns, 30 * NS_PER_MS);
		process_table_release(fixture->table, process);
	}
}

/* Ticks of /proc count the time asleep, the age in the record does not: a zombie from before it was
 * suspended still finds its record, and one that began afterwards is not it. */
static void busy_machine_is_no_suspension(void **state)
{
	struct fixture *fixture = *state;
	const struct sampler *sampler = &fixture->table->sampler;

	stalls = 100;
	assert_int_equal(sampler_start_ns(sampler, 100), 100 * sampler->tick_ns);
	stalls = 2;
	asleep_s = 3;
	assert_true(sampler_start_ns(sampler, 1000) <= 1000 * sampler->tick_ns - 2999 * NS_PER_MS);
}

static void zombie_is_older_than_a_suspension(void **state)
{
	struct fixture *fixture = *state;
	uint64_t old_ticks = to_ticks(at(fixture, 100));
	struct process *process;

	asleep_s = 3600;
	take(fixture, record(42, 42, 800), 900);
	process = acquire(fixture, 42, old_ticks, 1000);
	assert_non_null(process);
	assert_true(process->has_exit_record);
	process_table_release(fixture->table, process);
	take(fixture, record(43, 43, 800), 900);
	assert_null(acquire(fixture, 43, old_ticks + to_ticks(3700 * NS_PER_SEC), 1000));
}

/* It may be a thread's, and is marked so that nobody takes it for a process's. */
static void before_version_12_an_end_may_be_a_threads(void **state)
{
	struct fixture *fixture = *state;
	struct taskstats_message last = old_record(44, 20);

	take(fixture, old_record(43, 40), 40);
	last.has_group = true;
	last.group = 42;
	take(fixture, old_record(42, 50), 50);
	take(fixture, last, 60);
	assert_true(process_table_tell_ends(fixture->table, at(fixture, 5000), 100));
	assert_int_equal(fixture->told_count, 2);
	assert_int_equal(process_get_identity(fixture->told[0])->id.pid, 43);
	assert_true(process_may_be_thread(fixture->told[0]));
	/* The leader ended before another of its threads: one end, with its name. */
	assert_int_equal(process_get_identity(fixture->told[1])->id.pid, 42);
	assert_false(process_may_be_thread(fixture->told[1]));
	assert_string_equal(process_get_identity(fixture->told[1])->name, "ended");
	assert_int_equal(process_table_get_counters(fixture->table)->ends_without_leader, 0);
}

static void since_version_12_an_end_is_a_processs(void **state)
{
	struct fixture *fixture = *state;

	take(fixture, record(42, 42, 50), 50);
	take(fixture, record(43, 42, 50), 50);
	assert_true(process_table_tell_ends(fixture->table, at(fixture, 5000), 100));
	assert_int_equal(fixture->told_count, 1);
	assert_false(process_may_be_thread(fixture->told[0]));
}

static void backlog_of_ends_is_told(void **state)
{
	struct fixture *fixture = *state;

	for (pid_t pid = 40; pid < 43; pid++)
		take(fixture, record(pid, pid, 50), 50);
	assert_false(process_table_tell_ends(fixture->table, at(fixture, 5000), 2));
	assert_int_equal(fixture->told_count, 2);
	assert_true(process_table_tell_ends(fixture->table, at(fixture, 5000), 2));
	assert_int_equal(fixture->told_count, 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define with_table(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		with_table(threads_of_an_unseen_process_add_up),
		with_table(threads_whose_records_are_missing_do_not),
		with_table(record_is_not_an_older_lifes),
		with_table(record_of_the_next_ends_the_one_before),
		with_table(parent_that_goes_while_it_is_read_has_a_user),
		with_table(its_own_record_is_taken),
		with_table(wait_that_cannot_be_true_is_not_told),
		with_table(busy_machine_is_no_suspension),
		with_table(zombie_is_older_than_a_suspension),
		with_table(before_version_12_an_end_may_be_a_threads),
		with_table(since_version_12_an_end_is_a_processs),
		with_table(backlog_of_ends_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
