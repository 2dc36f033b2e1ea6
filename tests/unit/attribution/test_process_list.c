/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "attribution/newborns.h"
#include "attribution/process_list.h"
#include "base/clock.h"
#include "base/macros.h"
#include "support/fake_descriptors.h"
#include "support/fake_process.h"
#include "support/temporary.h"

struct fixture {
	char *proc;
	int proc_fd;
	struct process_list *list;
	uint64_t now_ns;
	unsigned gone;
	unsigned asked; /* times that the teller was */
};

static void on_gone(struct listed_process *process, void *userdata)
{
	struct fixture *fixture = userdata;

	assert_true(process->id.pid > 0);
	fixture->gone++;
}

static void start(struct fixture *fixture, pid_t pid, pid_t parent, uint64_t start_ticks)
{
	struct fake_process process = {
		.pid = pid, .parent = parent, .comm = "a b) c", .start_ticks = start_ticks};

	fake_process_write(fixture->proc, &process);
}

static void stop(struct fixture *fixture, pid_t pid)
{
	fake_descriptors_remove(fixture->proc, pid);
	fake_process_remove(fixture->proc, pid);
}

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.proc = temporary_make(), .now_ns = NS_PER_SEC};
	start(&fixture, 1, 0, 1);
	start(&fixture, 10, 1, 100);
	start(&fixture, 11, 10, 110);
	fake_descriptors_set_newest(fixture.proc, 11);
	temporary_write(fixture.proc, "sys/x", "not a process");
	fixture.proc_fd = open(fixture.proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &fixture;
	return process_list_new(fixture.proc_fd, on_gone, &fixture, &fixture.list);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	process_list_free(fixture->list);
	close(fixture->proc_fd);
	temporary_remove(fixture->proc);
	return 0;
}

static uint64_t refresh(struct fixture *fixture, bool wanted)
{
	uint64_t cost_us = 0;

	assert_int_equal(process_list_refresh(fixture->list, fixture->now_ns, &cost_us), wanted);
	return cost_us;
}

static void all_are_listed_once(void **state)
{
	struct fixture *fixture = *state;
	struct listed_process *process;

	assert_true(refresh(fixture, true) > 0);
	assert_int_equal(process_list_count(fixture->list), 3);
	process = process_list_find(fixture->list, 11);
	assert_non_null(process);
	assert_int_equal(process->parent, 10);
	assert_int_equal(process->id.start_ticks, 110);
	assert_int_equal(process->uid, geteuid());
	assert_null(process_list_find(fixture->list, 12));
	/* The numbers just before the newest are waited for, and then given up. */
	fixture->now_ns += NS_PER_SEC;
	refresh(fixture, true);
	assert_int_equal(refresh(fixture, true), 0);
	assert_int_equal(process_list_get_generation(fixture->list), 3);
}

static void a_new_one_is_found_by_its_number(void **state)
{
	struct fixture *fixture = *state;
	struct list_node *born;

	refresh(fixture, true);
	/* In the same moment, where /proc may not be read again. */
	start(fixture, 14, 11, 140);
	fake_descriptors_set_newest(fixture->proc, 14);
	refresh(fixture, true);
	assert_non_null(process_list_find(fixture->list, 14));
	assert_int_equal(process_list_count(fixture->list), 4);
	born = list_first(process_list_get_born(fixture->list));
	assert_int_equal(container_of(born, struct listed_process, by_age)->id.pid, 14);
	assert_int_equal(container_of(born, struct listed_process, by_age)->born, 4);
	/* Never scanned, newest first. */
	assert_ptr_equal(list_first(process_list_get_unscanned(fixture->list)),
			 &process_list_find(fixture->list, 14)->node);
}

/* loadavg tells a number before /proc shows its process. */
static void a_number_that_is_not_there_yet_is_awaited(void **state)
{
	struct fixture *fixture = *state;

	refresh(fixture, true);
	fake_descriptors_set_newest(fixture->proc, 12);
	refresh(fixture, true);
	assert_null(process_list_find(fixture->list, 12));
	start(fixture, 12, 1, 120);
	fixture->now_ns += NS_PER_MS;
	refresh(fixture, true);
	assert_non_null(process_list_find(fixture->list, 12));
}

static void a_number_that_never_comes_is_given_up(void **state)
{
	struct fixture *fixture = *state;

	refresh(fixture, true);
	fake_descriptors_set_newest(fixture->proc, 12);
	refresh(fixture, true);
	fixture->now_ns += NS_PER_SEC;
	refresh(fixture, true);
	assert_int_equal(refresh(fixture, true), 0);
}

static void many_new_ones_need_a_listing_which_is_rationed(void **state)
{
	struct fixture *fixture = *state;

	refresh(fixture, true);
	start(fixture, 1000, 1, 1000);
	stop(fixture, 11);
	fake_descriptors_set_newest(fixture->proc, 1000);
	refresh(fixture, false);
	assert_null(process_list_find(fixture->list, 1000));
	fixture->now_ns += NS_PER_SEC;
	refresh(fixture, true);
	assert_non_null(process_list_find(fixture->list, 1000));
	assert_null(process_list_find(fixture->list, 11));
	assert_int_equal(fixture->gone, 1);
}

static void numbers_that_start_again_need_a_listing(void **state)
{
	struct fixture *fixture = *state;

	refresh(fixture, true);
	start(fixture, 5, 1, 5000);
	fake_descriptors_set_newest(fixture->proc, 5);
	fixture->now_ns += NS_PER_SEC;
	refresh(fixture, true);
	assert_non_null(process_list_find(fixture->list, 5));
}

static void without_loadavg_each_refresh_lists(void **state)
{
	struct fixture *fixture = *state;

	process_list_free(fixture->list);
	assert_int_equal(unlinkat(fixture->proc_fd, "loadavg", 0), 0);
	assert_int_equal(process_list_new(fixture->proc_fd, on_gone, fixture, &fixture->list), 0);
	refresh(fixture, true);
	start(fixture, 12, 1, 120);
	fixture->now_ns += NS_PER_SEC;
	refresh(fixture, true);
	assert_non_null(process_list_find(fixture->list, 12));
}

static void a06_another_with_the_same_number_is_not_entered(void **state)
{
	struct fixture *fixture = *state;
	struct listed_process *process;

	refresh(fixture, true);
	stop(fixture, 11);
	start(fixture, 11, 1, 999);
	process = process_list_find(fixture->list, 11);
	assert_int_equal(process_list_enter(fixture->list, process), -ESRCH);
	assert_int_equal(fixture->gone, 1);
	/* The new one has taken its place. */
	process = process_list_find(fixture->list, 11);
	assert_int_equal(process->id.start_ticks, 999);
	assert_true(process_list_enter(fixture->list, process) >= 0);
}

static void a06_a_kept_directory_is_never_anothers(void **state)
{
	struct fixture *fixture = *state;
	struct listed_process *process;
	int directory;

	refresh(fixture, true);
	process = process_list_find(fixture->list, 11);
	fake_descriptors_set(fixture->proc, 11, 3, 77);
	directory = process_list_enter(fixture->list, process);
	assert_int_equal(faccessat(directory, "fd/3", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	stop(fixture, 11);
	start(fixture, 11, 1, 999);
	fake_descriptors_set(fixture->proc, 11, 3, 77);
	assert_int_equal(process_list_enter(fixture->list, process), directory);
	assert_int_equal(faccessat(directory, "fd/3", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void a_process_that_is_gone_is_forgotten(void **state)
{
	struct fixture *fixture = *state;

	refresh(fixture, true);
	stop(fixture, 11);
	assert_int_equal(process_list_enter(fixture->list, process_list_find(fixture->list, 11)),
			 -ESRCH);
	assert_null(process_list_find(fixture->list, 11));
	assert_int_equal(process_list_count(fixture->list), 2);
}

/* More than are kept open: all can be entered, and the descriptors do not run out. */
static void directories_are_kept_within_bounds(void **state)
{
	struct fixture *fixture = *state;

	for (pid_t pid = 100; pid < 500; pid++)
		start(fixture, pid, 1, 1000 + (uint64_t)pid);
	fake_descriptors_set_newest(fixture->proc, 500);
	refresh(fixture, true);
	for (pid_t pid = 100; pid < 500; pid++)
		assert_true(process_list_enter(fixture->list,
					       process_list_find(fixture->list, pid)) >= 0);
	assert_true(open("/dev/null", O_RDONLY | O_CLOEXEC) < 400);
}

/* --- With somebody who tells --- */

static void on_tell(void *userdata)
{
	struct fixture *fixture = userdata;

	fixture->asked++;
}

static void tell(struct fixture *fixture, enum process_event_type type, pid_t pid, pid_t thread,
		 pid_t parent)
{
	struct process_event event = {.type = type,
				      .pid = pid,
				      .thread = thread,
				      .parent = parent,
				      .when_ns = fixture->now_ns};

	process_list_add_event(fixture->list, &event);
}

static pid_t get_newborn(struct fixture *fixture)
{
	struct list_node *first = list_first(process_list_get_newborns(fixture->list));

	return first ? container_of(first, struct newborn, node)->pid : 0;
}

/* What began before somebody told is listed; from then on loadavg is not believed. */
static void start_telling(struct fixture *fixture)
{
	process_list_set_teller(fixture->list, on_tell, fixture);
	refresh(fixture, true);
	assert_int_equal(process_list_count(fixture->list), 3);
	assert_int_equal(fixture->asked, 1);
	fake_descriptors_set_newest(fixture->proc, 100);
	assert_int_equal(refresh(fixture, true), 0);
}

static void who_is_told_of_is_taken_in(void **state)
{
	struct fixture *fixture = *state;
	struct listed_process *process;

	start_telling(fixture);
	start(fixture, 50, 11, 500);
	assert_int_equal(refresh(fixture, true), 0);
	assert_null(process_list_find(fixture->list, 50));
	tell(fixture, PROCESS_EVENT_FORK, 50, 50, 11);
	assert_int_equal(get_newborn(fixture), 50);
	refresh(fixture, true);
	process = process_list_find(fixture->list, 50);
	assert_non_null(process);
	assert_int_equal(process->parent, 11);
	assert_true(process->began_ns == fixture->now_ns);
	assert_int_equal(get_newborn(fixture), 0);
	/* One that nobody saw: told of, gone. */
	tell(fixture, PROCESS_EVENT_FORK, 51, 51, 11);
	refresh(fixture, true);
	assert_null(process_list_find(fixture->list, 51));
	assert_int_equal(get_newborn(fixture), 0);
}

static void who_exits_is_forgotten(void **state)
{
	struct fixture *fixture = *state;

	start_telling(fixture);
	start(fixture, 50, 11, 500);
	tell(fixture, PROCESS_EVENT_FORK, 50, 50, 11);
	refresh(fixture, true);
	tell(fixture, PROCESS_EVENT_EXIT, 50, 50, 0);
	assert_null(process_list_find(fixture->list, 50));
	assert_int_equal(fixture->gone, 1);
	tell(fixture, PROCESS_EVENT_FORK, 51, 51, 11);
	tell(fixture, PROCESS_EVENT_EXIT, 51, 51, 0);
	assert_int_equal(get_newborn(fixture), 0);
	/* Nobody knows it. */
	tell(fixture, PROCESS_EVENT_EXIT, 52, 52, 0);
}

/* Its other threads may live on. */
static void the_end_of_a_leader_with_threads_is_not_the_end(void **state)
{
	struct fixture *fixture = *state;

	start_telling(fixture);
	start(fixture, 50, 11, 500);
	tell(fixture, PROCESS_EVENT_FORK, 50, 50, 11);
	tell(fixture, PROCESS_EVENT_FORK, 50, 60, 11);
	tell(fixture, PROCESS_EVENT_EXIT, 50, 60, 0);
	tell(fixture, PROCESS_EVENT_EXIT, 50, 50, 0);
	refresh(fixture, true);
	assert_non_null(process_list_find(fixture->list, 50));
	tell(fixture, PROCESS_EVENT_EXIT, 50, 50, 0);
	assert_non_null(process_list_find(fixture->list, 50));
	/* The only thread after execve(2). */
	tell(fixture, PROCESS_EVENT_EXEC, 50, 50, 0);
	refresh(fixture, true);
	tell(fixture, PROCESS_EVENT_EXIT, 50, 50, 0);
	assert_null(process_list_find(fixture->list, 50));
	/* Who was there before may have threads that nobody told of. */
	tell(fixture, PROCESS_EVENT_FORK, 11, 61, 10);
	tell(fixture, PROCESS_EVENT_EXIT, 11, 11, 0);
	assert_non_null(process_list_find(fixture->list, 11));
}

static void a_program_that_is_executed_is_a_newborn_again(void **state)
{
	struct fixture *fixture = *state;
	uint64_t began_ns = fixture->now_ns;
	struct listed_process *process;

	start_telling(fixture);
	start(fixture, 50, 11, 500);
	tell(fixture, PROCESS_EVENT_FORK, 50, 50, 11);
	refresh(fixture, true);
	fixture->now_ns += NS_PER_SEC;
	tell(fixture, PROCESS_EVENT_EXEC, 50, 50, 0);
	assert_null(process_list_find(fixture->list, 50));
	assert_int_equal(get_newborn(fixture), 50);
	process = process_list_take_newborn(fixture->list, 50);
	assert_non_null(process);
	assert_true(process->began_ns == began_ns);
	/* It began before anybody told. */
	tell(fixture, PROCESS_EVENT_EXEC, 11, 11, 0);
	refresh(fixture, true);
	assert_true(process_list_find(fixture->list, 11)->began_ns == 0);
}

static void a06_the_same_number_told_again_is_another(void **state)
{
	struct fixture *fixture = *state;

	start_telling(fixture);
	start(fixture, 11, 1, 900);
	tell(fixture, PROCESS_EVENT_FORK, 11, 11, 1);
	assert_null(process_list_find(fixture->list, 11));
	refresh(fixture, true);
	assert_int_equal(process_list_find(fixture->list, 11)->id.start_ticks, 900);
}

static void what_was_lost_needs_a_listing_which_is_rationed(void **state)
{
	struct fixture *fixture = *state;

	start_telling(fixture);
	for (pid_t pid = 100; pid < 400; pid++)
		start(fixture, pid, 1, 1000 + (uint64_t)pid);
	fixture->now_ns += NS_PER_SEC;
	process_list_add_lost(fixture->list);
	refresh(fixture, true);
	assert_int_equal(process_list_count(fixture->list), 303);
	start(fixture, 50, 11, 500);
	tell(fixture, PROCESS_EVENT_FORK, 50, 50, 11);
	stop(fixture, 100);
	process_list_add_lost(fixture->list);
	refresh(fixture, false);
	assert_non_null(process_list_find(fixture->list, 50));
	assert_non_null(process_list_find(fixture->list, 100));
	fixture->now_ns += NS_PER_SEC;
	refresh(fixture, true);
	assert_null(process_list_find(fixture->list, 100));
	/* That it made threads may be among what was lost. */
	tell(fixture, PROCESS_EVENT_EXIT, 101, 101, 0);
	assert_non_null(process_list_find(fixture->list, 101));
}

/* More than are kept: the oldest are found by a listing. */
static void more_newborns_than_fit_need_a_listing(void **state)
{
	struct fixture *fixture = *state;

	start_telling(fixture);
	start(fixture, 50, 11, 500);
	tell(fixture, PROCESS_EVENT_FORK, 50, 50, 11);
	for (pid_t pid = 1000; pid < 6000; pid++)
		tell(fixture, PROCESS_EVENT_FORK, pid, pid, 11);
	fixture->now_ns += NS_PER_SEC;
	refresh(fixture, true);
	assert_non_null(process_list_find(fixture->list, 50));
	assert_int_equal(process_list_count(fixture->list), 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(all_are_listed_once),
		TEST(a_new_one_is_found_by_its_number),
		TEST(a_number_that_is_not_there_yet_is_awaited),
		TEST(a_number_that_never_comes_is_given_up),
		TEST(many_new_ones_need_a_listing_which_is_rationed),
		TEST(numbers_that_start_again_need_a_listing),
		TEST(without_loadavg_each_refresh_lists),
		TEST(a06_another_with_the_same_number_is_not_entered),
		TEST(a06_a_kept_directory_is_never_anothers),
		TEST(a_process_that_is_gone_is_forgotten),
		TEST(directories_are_kept_within_bounds),
		TEST(who_is_told_of_is_taken_in),
		TEST(who_exits_is_forgotten),
		TEST(the_end_of_a_leader_with_threads_is_not_the_end),
		TEST(a_program_that_is_executed_is_a_newborn_again),
		TEST(a06_the_same_number_told_again_is_another),
		TEST(what_was_lost_needs_a_listing_which_is_rationed),
		TEST(more_newborns_than_fit_need_a_listing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
