/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attribution/inode_map.h"
#include "base/clock.h"
#include "base/macros.h"
#include "support/fake_descriptors.h"
#include "support/fake_process.h"
#include "support/temporary.h"

struct fixture {
	char *proc;
	int proc_fd;
	struct inode_map *map;
	uint64_t now_ns;
	pid_t newest;
};

static void start(struct fixture *fixture, pid_t pid, pid_t parent, uint64_t start_ticks)
{
	struct fake_process process = {
		.pid = pid, .parent = parent, .comm = "test", .start_ticks = start_ticks};

	fake_process_write(fixture->proc, &process);
	fake_descriptors_set(fixture->proc, pid, 0, 0);
	if (pid > fixture->newest)
		fixture->newest = pid;
	fake_descriptors_set_newest(fixture->proc, fixture->newest);
}

static void stop(struct fixture *fixture, pid_t pid)
{
	fake_descriptors_remove(fixture->proc, pid);
	fake_process_remove(fixture->proc, pid);
}

static void hold(struct fixture *fixture, pid_t pid, int fd, uint64_t inode)
{
	fake_descriptors_set(fixture->proc, pid, fd, inode);
}

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.proc = temporary_make(), .now_ns = NS_PER_SEC};
	start(&fixture, 1, 0, 1);
	start(&fixture, 10, 1, 100);
	start(&fixture, 11, 10, 110);
	fixture.proc_fd = open(fixture.proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &fixture;
	return inode_map_new(fixture.proc_fd, &fixture.map);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	inode_map_free(fixture->map);
	close(fixture->proc_fd);
	temporary_remove(fixture->proc);
	return 0;
}

static int find(struct fixture *fixture, uint64_t inode, struct inode_holder *ret)
{
	struct inode_query query = {.inode = inode, .uid = geteuid(), .has_uid = true};

	return inode_map_find(fixture->map, &query, fixture->now_ns, ret);
}

static void assert_holder(struct fixture *fixture, uint64_t inode, pid_t pid, uint64_t start_ticks,
			  bool is_shared)
{
	struct inode_holder holder = {0};

	assert_int_equal(find(fixture, inode, &holder), INODE_MAP_FOUND);
	assert_int_equal(holder.process.pid, pid);
	assert_int_equal(holder.process.start_ticks, start_ticks);
	assert_int_equal(holder.is_shared, is_shared);
}

static void assert_outcome(struct fixture *fixture, uint64_t inode, int outcome)
{
	struct inode_holder holder = {0};

	assert_int_equal(find(fixture, inode, &holder), outcome);
	assert_int_equal(holder.process.pid, 0);
}

static void the_holder_is_found_and_remembered(void **state)
{
	struct fixture *fixture = *state;
	uint64_t scanned;

	hold(fixture, 11, 3, 500);
	assert_holder(fixture, 500, 11, 110, false);
	scanned = inode_map_get_counters(fixture->map)->processes_scanned;
	assert_holder(fixture, 500, 11, 110, false);
	assert_int_equal(inode_map_get_counters(fixture->map)->processes_scanned, scanned);
	assert_int_equal(inode_map_get_counters(fixture->map)->hits, 1);
}

static void the_next_socket_of_a_process_costs_no_reading(void **state)
{
	struct fixture *fixture = *state;
	uint64_t scanned;

	hold(fixture, 11, 3, 500);
	assert_holder(fixture, 500, 11, 110, false);
	scanned = inode_map_get_counters(fixture->map)->processes_scanned;
	for (int fd = 4; fd < 200; fd++) {
		hold(fixture, 11, fd, 500 + (uint64_t)fd);
		assert_holder(fixture, 500 + (uint64_t)fd, 11, 110, false);
	}
	assert_int_equal(inode_map_get_counters(fixture->map)->processes_scanned, scanned);
}

static void nobody_is_said_and_not_asked_again_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t scanned;

	assert_outcome(fixture, 500, INODE_MAP_NOBODY);
	scanned = inode_map_get_counters(fixture->map)->processes_scanned;
	assert_outcome(fixture, 500, INODE_MAP_NOBODY);
	assert_int_equal(inode_map_get_counters(fixture->map)->processes_scanned, scanned);
	hold(fixture, 11, 3, 500);
	fixture->now_ns += NS_PER_SEC;
	assert_holder(fixture, 500, 11, 110, false);
}

/* A reading for another socket makes the answer known at once. */
static void nobody_ends_when_a_holder_is_seen(void **state)
{
	struct fixture *fixture = *state;

	assert_outcome(fixture, 500, INODE_MAP_NOBODY);
	hold(fixture, 11, 7, 500);
	hold(fixture, 11, 9, 501);
	assert_holder(fixture, 501, 11, 110, false);
	assert_holder(fixture, 500, 11, 110, false);
}

static void a07_a_descriptor_that_is_another_socket_now(void **state)
{
	struct fixture *fixture = *state;

	hold(fixture, 11, 3, 500);
	assert_holder(fixture, 500, 11, 110, false);
	hold(fixture, 11, 3, 501);
	assert_outcome(fixture, 500, INODE_MAP_NOBODY);
	assert_holder(fixture, 501, 11, 110, false);
	assert_int_equal(inode_map_get_counters(fixture->map)->stale, 1);
}

static void a07_a_socket_that_moved_to_another_process(void **state)
{
	struct fixture *fixture = *state;

	hold(fixture, 11, 3, 500);
	assert_holder(fixture, 500, 11, 110, false);
	fake_descriptors_unset(fixture->proc, 11, 3);
	hold(fixture, 10, 8, 500);
	assert_holder(fixture, 500, 10, 100, false);
}

static void a06_pid_reuse_is_told_by_the_start(void **state)
{
	struct fixture *fixture = *state;

	hold(fixture, 11, 3, 500);
	assert_holder(fixture, 500, 11, 110, false);
	stop(fixture, 11);
	start(fixture, 11, 10, 999);
	hold(fixture, 11, 3, 501);
	assert_outcome(fixture, 500, INODE_MAP_NOBODY);
	fixture->now_ns += NS_PER_SEC;
	assert_holder(fixture, 501, 11, 999, false);
	/* Even with the same inode under the same descriptor. */
	stop(fixture, 11);
	start(fixture, 11, 10, 1200);
	hold(fixture, 11, 3, 501);
	fixture->now_ns += NS_PER_SEC;
	assert_holder(fixture, 501, 11, 1200, false);
}

static void a15_parent_and_child_share_and_the_oldest_is_named(void **state)
{
	struct fixture *fixture = *state;

	hold(fixture, 10, 3, 500);
	assert_holder(fixture, 500, 10, 100, false);
	/* A child comes with the same descriptor. */
	start(fixture, 12, 10, 120);
	hold(fixture, 12, 3, 500);
	assert_holder(fixture, 500, 10, 100, true);
	fake_descriptors_unset(fixture->proc, 10, 3);
	assert_holder(fixture, 500, 12, 120, false);
}

static void siblings_share_when_the_parent_has_closed(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, 12, 10, 120);
	start(fixture, 13, 10, 130);
	hold(fixture, 13, 3, 500);
	hold(fixture, 12, 3, 500);
	assert_holder(fixture, 500, 12, 120, true);
}

static void inetd_gives_the_connection_as_standard_input(void **state)
{
	struct fixture *fixture = *state;

	hold(fixture, 10, 6, 500);
	assert_holder(fixture, 500, 10, 100, false);
	start(fixture, 12, 10, 120);
	hold(fixture, 12, 0, 500);
	assert_holder(fixture, 500, 10, 100, true);
}

/* What a process opened after its children had started cannot be theirs: they are not looked at. */
static void a_later_socket_is_not_looked_for_in_older_children(void **state)
{
	struct fixture *fixture = *state;

	for (pid_t pid = 12; pid < 40; pid++)
		start(fixture, pid, 10, 120 + (uint64_t)pid);
	hold(fixture, 10, 3, 500);
	assert_holder(fixture, 500, 10, 100, false);
	hold(fixture, 10, 4, 501);
	/* Only by sending a descriptor could it get there, under this number too. */
	hold(fixture, 39, 4, 501);
	assert_holder(fixture, 501, 10, 100, false);
}

static void the_budget_ends_and_comes_back(void **state)
{
	struct fixture *fixture = *state;
	uint64_t inode = 10000;
	struct inode_holder holder;
	int r;

	for (pid_t pid = 100; pid < 130; pid++)
		start(fixture, pid, 1, 1000 + (uint64_t)pid);
	hold(fixture, 11, 1, 500);
	assert_holder(fixture, 500, 11, 110, false);
	fixture->now_ns += NS_PER_SEC;
	do
		r = find(fixture, inode++, &holder);
	while (r == INODE_MAP_NOBODY && inode < 20000);
	assert_int_equal(r, INODE_MAP_REFUSED);
	assert_int_equal(inode_map_get_counters(fixture->map)->scans_refused, 1);
	/* What is known is still answered. */
	assert_holder(fixture, 500, 11, 110, false);
	fixture->now_ns += NS_PER_SEC;
	assert_outcome(fixture, inode, INODE_MAP_NOBODY);
}

static void a50_hidden_processes_are_a_missing_right(void **state)
{
	struct fixture *fixture = *state;

	stop(fixture, 1);
	assert_outcome(fixture, 500, INODE_MAP_DENIED);
	assert_outcome(fixture, 500, INODE_MAP_DENIED);
}

/* --- Random: processes that start, fork, open, close and exit, beside a plain table --- */

enum { SLOTS = 12, FDS = 6, STEPS = 2000 };

struct model_process {
	pid_t pid; /* 0: none */
	uint64_t start_ticks;
	uint64_t inode[FDS];
};

struct model {
	struct model_process processes[SLOTS];
	uint64_t ticks, inode;
};

static void model_start(struct fixture *fixture, struct model *model, int slot, int parent)
{
	struct model_process *process = &model->processes[slot];

	*process = (struct model_process){.start_ticks = ++model->ticks};
	/* Numbers come round, as they do. */
	process->pid = 100 + (pid_t)(model->ticks % 40);
	for (int i = 0; i < SLOTS; i++)
		if (i != slot && model->processes[i].pid == process->pid) {
			process->pid = 0;
			return;
		}
	fixture->newest = process->pid;
	start(fixture, process->pid, parent < 0 ? 1 : model->processes[parent].pid,
	      process->start_ticks);
	for (int fd = 0; parent >= 0 && fd < FDS; fd++) {
		process->inode[fd] = model->processes[parent].inode[fd];
		if (process->inode[fd])
			hold(fixture, process->pid, fd, process->inode[fd]);
	}
}

static void model_step(struct fixture *fixture, struct model *model)
{
	int slot = rand() % SLOTS, fd = rand() % FDS, parent = rand() % SLOTS;
	struct model_process *process = &model->processes[slot];

	if (process->pid == 0) {
		model_start(fixture, model, slot,
			    parent != slot && model->processes[parent].pid ? parent : -1);
		return;
	}
	switch (rand() % 8) {
	case 0:
		stop(fixture, process->pid);
		process->pid = 0;
		break;
	case 1:
	case 2:
		if (process->inode[fd])
			fake_descriptors_unset(fixture->proc, process->pid, fd);
		process->inode[fd] = 0;
		break;
	default:
		process->inode[fd] = ++model->inode;
		hold(fixture, process->pid, fd, process->inode[fd]);
		break;
	}
}

/* Any socket that is held or was, and its holders. */
static void model_check(struct fixture *fixture, const struct model *model)
{
	uint64_t inode = model->inode - (uint64_t)(rand() % 30) % (model->inode + 1);
	struct inode_holder holder = {0};
	unsigned holders = 0;
	bool is_one = false;
	int r;

	if (inode == 0)
		return;
	r = find(fixture, inode, &holder);
	for (int i = 0; i < SLOTS; i++)
		for (int fd = 0; model->processes[i].pid && fd < FDS; fd++) {
			if (model->processes[i].inode[fd] != inode)
				continue;
			holders++;
			is_one |= holder.process.pid == model->processes[i].pid &&
				  holder.process.start_ticks == model->processes[i].start_ticks;
		}
	if (r != (holders ? INODE_MAP_FOUND : INODE_MAP_NOBODY) || (holders && !is_one) ||
	    (holder.is_shared && holders < 2))
		fail_msg("inode %llu: outcome %d, pid %d start %llu shared %d; %u holders",
			 (unsigned long long)inode, r, holder.process.pid,
			 (unsigned long long)holder.process.start_ticks, holder.is_shared, holders);
}

static void random_processes_are_never_confused(void **state)
{
	struct fixture *fixture = *state;
	struct model model = {.ticks = 1000};

	srand(20260202);
	for (int i = 0; i < STEPS; i++) {
		model_step(fixture, &model);
		/* More than the longest time that "nobody" is remembered. */
		fixture->now_ns += 60 * NS_PER_SEC;
		model_check(fixture, &model);
	}
}

static void on_tell(unused void *userdata)
{
}

static void tell_fork(struct fixture *fixture, pid_t pid, pid_t parent)
{
	struct process_event event = {.type = PROCESS_EVENT_FORK,
				      .pid = pid,
				      .thread = pid,
				      .parent = parent,
				      .when_ns = fixture->now_ns};

	inode_map_add_process(fixture->map, &event);
}

/* Before anything else is read; of the socket's user first, the last one first. */
static void newborns_are_looked_at_first(void **state)
{
	struct fixture *fixture = *state;
	struct inode_holder holder = {0};
	uint64_t scanned;

	hold(fixture, 11, 3, 500);
	inode_map_set_teller(fixture->map, on_tell, NULL);
	assert_holder(fixture, 500, 11, 110, false);
	scanned = inode_map_get_counters(fixture->map)->processes_scanned;
	for (pid_t pid = 20; pid < 40; pid++) {
		start(fixture, pid, 11, 200);
		tell_fork(fixture, pid, 11);
	}
	hold(fixture, 25, 3, 525);
	assert_int_equal(find(fixture, 525, &holder), INODE_MAP_FOUND);
	assert_int_equal(holder.process.pid, 25);
	assert_true(holder.began_ns == fixture->now_ns);
	assert_int_equal(inode_map_get_counters(fixture->map)->newborns, 1);
	assert_int_equal(inode_map_get_counters(fixture->map)->processes_scanned, scanned);
	/* Its socket stands elsewhere: the descriptors are read. */
	start(fixture, 50, 11, 500);
	hold(fixture, 50, 9, 550);
	tell_fork(fixture, 50, 11);
	assert_holder(fixture, 550, 50, 500, false);
	assert_int_equal(inode_map_get_counters(fixture->map)->newborns, 1);
	/* Found, and gone while the rest was looked at: not another one's. */
	start(fixture, 51, 11, 510);
	hold(fixture, 51, 3, 551);
	tell_fork(fixture, 51, 11);
	stop(fixture, 51);
	assert_outcome(fixture, 551, INODE_MAP_NOBODY);
}

/* A UDP socket that is being closed has it, and every descriptor that is no socket looks like that. */
static void inode_0_is_nobodys(void **state)
{
	struct fixture *fixture = *state;

	inode_map_set_teller(fixture->map, on_tell, NULL);
	assert_outcome(fixture, 500, INODE_MAP_NOBODY);
	start(fixture, 20, 11, 200);
	hold(fixture, 20, 3, 0);
	tell_fork(fixture, 20, 11);
	assert_outcome(fixture, 0, INODE_MAP_NOBODY);
}

struct socket_there {
	unsigned asked, ends_after;
};

static bool is_there(void *userdata)
{
	struct socket_there *socket = userdata;

	return ++socket->asked <= socket->ends_after;
}

/* Its process has exited: nobody else is read for it, and it is not remembered as nobody's. */
static void a_search_ends_with_its_socket(void **state)
{
	struct fixture *fixture = *state;
	struct socket_there socket = {0};
	struct inode_query query = {.inode = 600, .is_there = is_there, .userdata = &socket};
	struct inode_holder holder = {0};
	uint64_t scanned;

	for (pid_t pid = 100; pid < 200; pid++)
		start(fixture, pid, 1, (uint64_t)pid);
	assert_outcome(fixture, 500, INODE_MAP_NOBODY);
	scanned = inode_map_get_counters(fixture->map)->processes_scanned;
	assert_int_equal(inode_map_find(fixture->map, &query, fixture->now_ns, &holder),
			 INODE_MAP_NOBODY);
	assert_int_equal(socket.asked, 1);
	assert_int_equal(inode_map_get_counters(fixture->map)->processes_scanned, scanned);
	/* It ends on the way. */
	socket = (struct socket_there){.ends_after = 5};
	assert_int_equal(inode_map_find(fixture->map, &query, fixture->now_ns, &holder),
			 INODE_MAP_NOBODY);
	assert_int_equal(socket.asked, 6);
	assert_in_range(inode_map_get_counters(fixture->map)->processes_scanned, scanned + 1,
			scanned + 100);
	socket = (struct socket_there){.ends_after = 1000};
	hold(fixture, 150, 0, 600);
	assert_int_equal(inode_map_find(fixture->map, &query, fixture->now_ns, &holder),
			 INODE_MAP_FOUND);
	assert_int_equal(holder.process.pid, 150);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_holder_is_found_and_remembered),
		TEST(the_next_socket_of_a_process_costs_no_reading),
		TEST(nobody_is_said_and_not_asked_again_at_once),
		TEST(nobody_ends_when_a_holder_is_seen),
		TEST(a07_a_descriptor_that_is_another_socket_now),
		TEST(a07_a_socket_that_moved_to_another_process),
		TEST(a06_pid_reuse_is_told_by_the_start),
		TEST(a15_parent_and_child_share_and_the_oldest_is_named),
		TEST(siblings_share_when_the_parent_has_closed),
		TEST(inetd_gives_the_connection_as_standard_input),
		TEST(a_later_socket_is_not_looked_for_in_older_children),
		TEST(the_budget_ends_and_comes_back),
		TEST(a50_hidden_processes_are_a_missing_right),
		TEST(random_processes_are_never_confused),
		TEST(newborns_are_looked_at_first),
		TEST(a_search_ends_with_its_socket),
		TEST(inode_0_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
