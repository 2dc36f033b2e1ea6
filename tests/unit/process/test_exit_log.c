/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/exit_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 8, KEEP = 1000, PIDS = 20 };

static struct taskstats_message single(pid_t pid, uint64_t cpu_ns)
{
	return (struct taskstats_message){
		.has_task = true,
		.pid = pid,
		.task_figures = {.pid = pid, .group = pid, .group_ended = true, .cpu_ns = cpu_ns},
	};
}

static void newest_of_a_pid_is_found(void **state)
{
	struct taskstats_message message = single(7, 1);
	struct exit_log *log;

	(void)state;
	assert_int_equal(exit_log_new(MOST, KEEP, &log), 0);
	assert_null(exit_log_find(log, 7, 10));
	exit_log_add(log, &message, 9, 10);
	message = single(7, 2);
	exit_log_add(log, &message, 19, 20);
	assert_int_equal(exit_log_find(log, 7, 30)->leader.cpu_ns, 2);
	assert_int_equal(exit_log_find(log, 7, 30)->after_ns, 19);
	assert_int_equal(exit_log_count(log), 1);
	/* It may have been read after the caller took the time. */
	assert_non_null(exit_log_find(log, 7, 19));
	assert_non_null(exit_log_find(log, 7, 20 + KEEP));
	assert_null(exit_log_find(log, 7, 21 + KEEP));
	exit_log_free(log);
}

static void group_is_told_when_leader_and_last_thread_have_ended(void **state)
{
	struct taskstats_message leader = {
		.has_task = true,
		.pid = 7,
		.task_figures = {.pid = 7, .group = 7, .name = "leader", .peak_memory_bytes = 5}};
	struct taskstats_message other = {.has_task = true,
					  .pid = 8,
					  .task_figures = {.pid = 8, .group = 7, .name = "other"}};
	struct taskstats_message last = {.has_task = true,
					 .has_group = true,
					 .pid = 9,
					 .group = 7,
					 .task_figures = {.pid = 9,
							  .group = 7,
							  .group_ended = true,
							  .name = "last",
							  .peak_memory_bytes = 6},
					 .group_figures = {.cpu_ns = 99}};
	const struct exit_entry *entry;
	struct exit_log *log;

	(void)state;
	assert_int_equal(exit_log_new(MOST, KEEP, &log), 0);
	exit_log_add(log, &other, 0, 1);
	assert_int_equal(exit_log_count(log), 0);
	exit_log_add(log, &leader, 1, 2);
	assert_null(exit_log_find(log, 7, 2));
	exit_log_add(log, &last, 2, 3);
	entry = exit_log_find(log, 7, 3);
	assert_non_null(entry);
	assert_true(entry->is_sum);
	assert_string_equal(entry->leader.name, "leader");
	assert_int_equal(entry->total.cpu_ns, 99);
	assert_int_equal(entry->peak_memory_bytes, 6);
	/* Without the leader's record it has no name: told by nobody. */
	last.group = 70;
	exit_log_add(log, &last, 3, 4);
	assert_null(exit_log_find(log, 70, 4));
	exit_log_free(log);
}

static void records_newer_than_the_callers_now_count(void **state)
{
	struct taskstats_message message = single(7, 70), other = single(8, 80);
	struct exit_log *log;

	(void)state;
	assert_int_equal(exit_log_new(MOST, KEEP, &log), 0);
	exit_log_add(log, &message, 1, 100);
	exit_log_add(log, &other, 1, 90);
	assert_non_null(exit_log_find(log, 7, 50));
	assert_null(exit_log_find(log, 7, 101 + KEEP));
	exit_log_free(log);
}

/* The model keeps the last addition of each pid; what the log may forget is what is older than the
 * newest MOST, or than KEEP. */
static void log_behaves_like_the_model(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 50; seed++) {
		uint64_t seen_ns[PIDS] = {0}, cpu_ns[PIDS] = {0}, now_ns = 1;
		struct exit_log *log;

		srand(seed);
		assert_int_equal(exit_log_new(MOST, KEEP, &log), 0);
		for (unsigned step = 0; step < 2000; step++) {
			int pid = rand() % PIDS, newer = 0;
			struct taskstats_message message = single(pid, (uint64_t)rand());
			const struct exit_entry *entry;

			now_ns += 1 + (uint64_t)(rand() % 200);
			if (rand() % 2) {
				exit_log_add(log, &message, now_ns - 1, now_ns);
				seen_ns[pid] = now_ns;
				cpu_ns[pid] = message.task_figures.cpu_ns;
			}
			assert_true(exit_log_count(log) <= MOST);
			pid = rand() % PIDS;
			entry = exit_log_find(log, pid, now_ns);
			for (int i = 0; i < PIDS; i++)
				newer += seen_ns[i] > seen_ns[pid];
			if (entry) {
				assert_int_equal(entry->leader.cpu_ns, cpu_ns[pid]);
				assert_true(now_ns - seen_ns[pid] <= KEEP);
			} else if (seen_ns[pid] && now_ns - seen_ns[pid] < KEEP) {
				assert_true(newer >= MOST - 1);
			}
		}
		exit_log_free(log);
	}
}

struct told {
	unsigned count;
	pid_t last;
};

static void on_due(void *userdata, const struct exit_entry *entry)
{
	struct told *told = userdata;

	told->count++;
	told->last = entry->group;
}

static void ends_are_told_once(void **state)
{
	struct taskstats_message message = single(1, 1);
	struct told told = {0};
	struct exit_log *log;

	(void)state;
	assert_int_equal(exit_log_new(MOST, KEEP, &log), 0);
	exit_log_add(log, &message, 0, 5); /* nobody wants to know yet */
	assert_false(exit_log_claim(log, 1));
	exit_log_set_handler(log, on_due, &told);
	for (pid_t pid = 2; pid <= 5; pid++) {
		message = single(pid, 1);
		exit_log_add(log, &message, 0, (uint64_t)pid * 10);
	}
	exit_log_tell(log, 19, 100);
	assert_int_equal(told.count, 0);
	exit_log_tell(log, 30, 1);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.last, 2);
	exit_log_tell(log, 30, 100);
	assert_int_equal(told.last, 3);
	/* Whoever claims it tells it himself. */
	assert_true(exit_log_claim(log, 4));
	assert_false(exit_log_claim(log, 4));
	assert_false(exit_log_claim(log, 3));
	exit_log_tell(log, 100, 100);
	assert_int_equal(told.count, 3);
	assert_int_equal(told.last, 5);
	exit_log_free(log);
}

/* Before it is lost: its pid is given out again, or there is no room. */
static void an_end_that_leaves_is_told(void **state)
{
	struct taskstats_message message = single(1, 1);
	struct told told = {0};
	struct exit_log *log;

	(void)state;
	assert_int_equal(exit_log_new(MOST, KEEP, &log), 0);
	exit_log_set_handler(log, on_due, &told);
	exit_log_add(log, &message, 0, 1);
	exit_log_add(log, &message, 1, 2);
	assert_int_equal(told.count, 1);
	for (pid_t pid = 2; pid < 2 + 2 * MOST; pid++) {
		message = single(pid, 1);
		exit_log_add(log, &message, 0, (uint64_t)pid);
	}
	assert_int_equal(exit_log_count(log), MOST);
	assert_int_equal(told.count, 2 + MOST);
	exit_log_tell(log, UINT64_MAX, UINT32_MAX);
	assert_int_equal(told.count, 2 + 2 * MOST);
	exit_log_free(log);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(newest_of_a_pid_is_found),
		cmocka_unit_test(ends_are_told_once),
		cmocka_unit_test(an_end_that_leaves_is_told),
		cmocka_unit_test(group_is_told_when_leader_and_last_thread_have_ended),
		cmocka_unit_test(records_newer_than_the_callers_now_count),
		cmocka_unit_test(log_behaves_like_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
