/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/thread_sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MOST = 4 };

#define SINCE 1000000000ull
#define LATER 9000000000ull

/* A thread of group 7 that ended: all its figures are multiples of "n". */
static struct taskstats_message thread(pid_t pid, uint64_t n)
{
	return (struct taskstats_message){
		.has_task = true,
		.pid = pid,
		.task_figures = {.pid = pid,
				 .group = 7,
				 .group_elapsed_us = 1000,
				 .run_count = n,
				 .cpu_ns = n * 1000,
				 .voluntary_switches = n,
				 .involuntary_switches = 2 * n,
				 .minor_faults = 3 * n,
				 .major_faults = 4 * n,
				 .read_bytes = 1024 * n,
				 .written_bytes = 2048 * n,
				 .user_us = 5 * n,
				 .system_us = 6 * n},
	};
}

static struct taskstats_message last_thread(pid_t pid, uint64_t n, uint64_t all)
{
	struct taskstats_message message = thread(pid, n);

	message.has_group = true;
	message.group = 7;
	message.task_figures.group_ended = true;
	message.group_figures.run_count = all;
	message.group_figures.cpu_ns = all * 1000;
	return message;
}

static struct thread_sums *make(void)
{
	struct thread_sums *sums = NULL;

	assert_int_equal(thread_sums_new(MOST, SINCE, &sums), 0);
	return sums;
}

static void add(struct thread_sums *sums, struct taskstats_message message)
{
	thread_sums_add(sums, &message, LATER);
}

static void last_record_has_all_of_the_group(void **state)
{
	struct taskstats_message last = last_thread(9, 100, 111);
	struct thread_sums *sums = make();
	struct task_figures found;

	(void)state;
	add(sums, thread(7, 1));
	add(sums, thread(8, 10));
	assert_int_equal(thread_sums_find(sums, 7, &found), 2);
	assert_int_equal(found.voluntary_switches, 11);
	thread_sums_add(sums, &last, LATER);
	assert_true(last.is_whole);
	assert_int_equal(last.sums_since_ns, SINCE);
	assert_int_equal(last.group_figures.minor_faults, 333);
	assert_int_equal(last.group_figures.major_faults, 444);
	assert_int_equal(last.group_figures.read_bytes, 1024 * 111);
	assert_int_equal(last.group_figures.written_bytes, 2048 * 111);
	assert_int_equal(last.group_figures.voluntary_switches, 111);
	assert_int_equal(last.group_figures.involuntary_switches, 222);
	assert_int_equal(last.group_figures.user_us, 555);
	assert_int_equal(last.group_figures.system_us, 666);
	assert_int_equal(thread_sums_find(sums, 7, &found), 0);
	assert_int_equal(found.voluntary_switches, 0);
	thread_sums_free(sums);
}

/* The kernel's own sum ran more often than the records that came. */
static void a_missing_record_is_noticed(void **state)
{
	struct taskstats_message last = last_thread(9, 100, 111);
	struct thread_sums *sums = make();

	(void)state;
	add(sums, thread(7, 1));
	thread_sums_add(sums, &last, LATER);
	assert_false(last.is_whole);
	thread_sums_free(sums);
}

static void what_is_older_than_the_records_is_not_whole(void **state)
{
	struct taskstats_message last = last_thread(9, 100, 101);
	struct thread_sums *sums = make();

	(void)state;
	add(sums, thread(7, 1));
	last.task_figures.group_elapsed_us = LATER / 1000;
	thread_sums_add(sums, &last, LATER);
	assert_false(last.is_whole);
	thread_sums_free(sums);
}

static void after_a_loss_all_begins_anew(void **state)
{
	struct taskstats_message last = last_thread(9, 100, 101);
	struct thread_sums *sums = make();
	struct task_figures found;

	(void)state;
	add(sums, thread(7, 1));
	thread_sums_lose(sums, LATER - 100);
	assert_int_equal(thread_sums_find(sums, 7, &found), 0);
	assert_int_equal(thread_sums_get_since(sums), LATER - 100);
	thread_sums_add(sums, &last, LATER);
	assert_false(last.is_whole);
	thread_sums_free(sums);
}

/* A group that is dropped for want of room is a loss. */
static void bounded(void **state)
{
	struct thread_sums *sums = make();
	struct task_figures found;

	(void)state;
	for (pid_t group = 7; group < 7 + MOST + 1; group++) {
		struct taskstats_message message = thread(100, 1);

		message.task_figures.group = group;
		assert_int_equal(thread_sums_get_since(sums), SINCE);
		add(sums, message);
	}
	assert_int_equal(thread_sums_find(sums, 7, &found), 0);
	assert_int_equal(thread_sums_find(sums, 8, &found), 1);
	assert_int_equal(thread_sums_get_since(sums), LATER);
	thread_sums_free(sums);
}

static void without_the_group_nothing_is_added_up(void **state)
{
	struct taskstats_message last = last_thread(9, 100, 101), first = thread(7, 1);
	struct thread_sums *sums = make();

	(void)state;
	first.task_figures.group = last.task_figures.group = 0;
	add(sums, first);
	thread_sums_add(sums, &last, LATER);
	assert_false(last.is_whole);
	assert_int_equal(last.sums_since_ns, UINT64_MAX);
	assert_int_equal(last.group_figures.voluntary_switches, 0);
	thread_sums_free(sums);
}

/* Newer kernels keep the context switches of ended threads themselves. */
static void switches_that_the_kernel_keeps_are_taken(void **state)
{
	struct taskstats_message last = last_thread(9, 100, 101);
	struct thread_sums *sums = make();

	(void)state;
	assert_int_equal(thread_sums_get_switches(sums), THREAD_SWITCHES_UNKNOWN);
	add(sums, thread(7, 1));
	add(sums, last);
	assert_int_equal(thread_sums_get_switches(sums), THREAD_SWITCHES_LOST);
	last.group_figures.voluntary_switches = 500;
	thread_sums_add(sums, &last, LATER);
	assert_int_equal(thread_sums_get_switches(sums), THREAD_SWITCHES_KEPT);
	assert_int_equal(last.group_figures.voluntary_switches, 500);
	assert_int_equal(last.group_figures.involuntary_switches, 0);
	assert_int_equal(last.sums_since_ns, 0);
	thread_sums_free(sums);
}

static void a_single_thread_needs_no_sum(void **state)
{
	struct taskstats_message single = thread(7, 1);
	struct thread_sums *sums = make();
	struct task_figures found;

	(void)state;
	single.task_figures.group_ended = true;
	add(sums, single);
	assert_int_equal(thread_sums_find(sums, 7, &found), 0);
	thread_sums_free(sums);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_record_has_all_of_the_group),
		cmocka_unit_test(a_missing_record_is_noticed),
		cmocka_unit_test(what_is_older_than_the_records_is_not_whole),
		cmocka_unit_test(after_a_loss_all_begins_anew),
		cmocka_unit_test(bounded),
		cmocka_unit_test(without_the_group_nothing_is_added_up),
		cmocka_unit_test(switches_that_the_kernel_keeps_are_taken),
		cmocka_unit_test(a_single_thread_needs_no_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
