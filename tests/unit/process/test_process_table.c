/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table over a directory that looks like /proc; what only a kernel can show is in
 * tests/kernel/test_process.c. */

#include "process/process_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "process/inspect.h"
#include "support/fake_process.h"
#include "support/temporary.h"

struct fixture {
	char *proc;
	int proc_fd;
	struct process_table *table;
};

#define AT(seconds) ((uint64_t)((seconds)*1e9))

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct process_table_options options = {.sample_interval_ns = NS_PER_SEC};

	fixture->proc = temporary_make();
	fixture->proc_fd = open(fixture->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.proc_fd = fixture->proc_fd;
	*state = fixture;
	return process_table_new(&options, &fixture->table);
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

static struct process *acquire(struct fixture *fixture, pid_t pid, uint64_t start_ticks,
			       uint64_t now_ns)
{
	struct process_id id = {.pid = pid, .start_ticks = start_ticks};

	return process_table_acquire(fixture->table, id, now_ns);
}

static void identity_is_read_once(void **state)
{
	struct fixture *fixture = *state;
	const struct process_identity *identity;
	struct process *process;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 7, .comm = "shell", .start_ticks = 100});
	fake_process_write(fixture->proc, &(struct fake_process){.pid = 42,
								 .parent = 7,
								 .comm = "a (strange) ) c",
								 .uid = 3999999999u,
								 .start_ticks = 200,
								 .executable = "/opt/x (deleted)"});
	process = acquire(fixture, 42, 0, AT(5));
	assert_non_null(process);
	identity = process_get_identity(process);
	assert_int_equal(identity->id.pid, 42);
	assert_int_equal(identity->id.start_ticks, 200);
	assert_string_equal(identity->name, "a (strange) ) c");
	assert_string_equal(identity->user_name, "3999999999");
	assert_int_equal(identity->uid, 3999999999u);
	assert_true(identity->has_parent);
	assert_int_equal(identity->parent_pid, 7);
	assert_string_equal(identity->parent_name, "shell");
	assert_true(identity->has_executable && identity->executable_deleted);
	assert_string_equal(identity->executable, "/opt/x");
	process_table_release(fixture->table, process);
}

static void what_trace_alone_tells_is_taken(void **state)
{
	struct fixture *fixture = *state;
	struct process_trace trace = {
		.pid = 42, .parent = 7, .start_ns = AT(3), .exit_ns = AT(4), .name = "brief"};
	const struct process_identity *identity;
	struct process *process, *again;
	struct process_usage usage;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 7, .comm = "shell", .start_ticks = 100});
	assert_null(process_table_acquire_at(fixture->table, 42, AT(3.5), AT(5)));
	process = process_table_acquire_traced(fixture->table, &trace, AT(5));
	assert_non_null(process);
	identity = process_get_identity(process);
	assert_int_equal(identity->id.pid, 42);
	assert_int_equal(identity->start_ns, AT(3));
	assert_string_equal(identity->name, "brief");
	assert_null(identity->user_name);
	assert_false(identity->has_executable);
	assert_int_equal(identity->parent_pid, 7);
	assert_string_equal(identity->parent_name, "shell");
	assert_int_equal(process_table_sample(fixture->table, process, AT(5), AT(5), &usage),
			 -ENODATA);
	/* The same life once more, and the next of its pid. */
	again = process_table_acquire_traced(fixture->table, &trace, AT(5));
	assert_ptr_equal(again, process);
	process_table_release(fixture->table, again);
	trace.start_ns = AT(4.5);
	again = process_table_acquire_traced(fixture->table, &trace, AT(5));
	assert_ptr_not_equal(again, process);
	assert_int_equal(process_table_get_counters(fixture->table)->traced, 3);
	process_table_release(fixture->table, again);
	process_table_release(fixture->table, process);
}

static void a19_executable_by_trace_mends_a_cut_name(void **state)
{
	struct fixture *fixture = *state;
	struct process_trace trace = {.pid = 42,
				      .start_ns = AT(3),
				      .exit_ns = AT(4),
				      .name = "name-of-fifteen",
				      .executable = "/opt/name-of-fifteen-and-more"};
	struct process *process = process_table_acquire_traced(fixture->table, &trace, AT(5));
	const struct process_identity *identity = process_get_identity(process);

	process_table_complete(fixture->table, process, &trace, 0);
	assert_string_equal(identity->name, "name-of-fifteen-and-more");
	assert_true(identity->has_executable);
	assert_string_equal(identity->executable, "/opt/name-of-fifteen-and-more");
	assert_false(identity->executable_is_hosts);
	/* What is known stays. */
	trace.executable = "/opt/other";
	process_table_complete(fixture->table, process, &trace, 0);
	assert_string_equal(identity->executable, "/opt/name-of-fifteen-and-more");
	process_table_release(fixture->table, process);
	/* It took another name in the end: by a later exec, perhaps. */
	trace.start_ns = AT(4.5);
	process = process_table_acquire_traced(fixture->table, &trace, AT(5));
	snprintf(trace.name, sizeof(trace.name), "other");
	process_table_complete(fixture->table, process, &trace, 0);
	assert_false(process_get_identity(process)->has_executable);
	process_table_release(fixture->table, process);
}

static void where_it_belongs_is_read_with_it(void **state)
{
	struct fixture *fixture = *state;
	const struct process_identity *identity;
	struct process *process;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 7,
						  .comm = "shell",
						  .start_ticks = 100,
						  .uid = 3999999998u,
						  .executable = "/bin/shell (deleted)"});
	fake_process_write(fixture->proc, &(struct fake_process){.pid = 42,
								 .parent = 7,
								 .comm = "a",
								 .uid = 3999999999u,
								 .start_ticks = 200});
	temporary_write(fixture->proc, "42/cgroup", "0::/system.slice/a.service\n");
	temporary_write(fixture->proc, "42/cmdline", "a --password=secret");
	process = acquire(fixture, 42, 0, AT(5));
	assert_non_null(process);
	identity = process_get_identity(process);
	assert_int_equal(identity->parent_uid, 3999999998u);
	assert_string_equal(identity->parent_user_name, "3999999998");
	assert_string_equal(identity->parent_executable, "/bin/shell");
	assert_non_null(identity->cgroup);
	assert_string_equal(identity->cgroup->unit, "a.service");
	assert_null(identity->command_line);
	process_table_release(fixture->table, process);
}

static void cgroup_is_read_anew_after_an_exec(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "runc:[2:INIT]", .start_ticks = 200};
	const struct process_identity *identity;
	struct process_usage usage;
	struct process *process;

	fake_process_write(fixture->proc, &fake);
	temporary_write(fixture->proc, "42/cgroup", "0::/system.slice/docker.service\n");
	process = acquire(fixture, 42, 0, AT(1));
	identity = process_get_identity(process);
	assert_string_equal(identity->cgroup->unit, "docker.service");
	fake.comm = "nginx";
	fake_process_write(fixture->proc, &fake);
	temporary_write(fixture->proc, "42/cgroup", "0::/system.slice/other.service\n");
	assert_int_equal(process_table_sample(fixture->table, process, AT(2), AT(2), &usage), 0);
	assert_string_equal(identity->name, "nginx");
	assert_string_equal(identity->cgroup->unit, "other.service");
	process_table_release(fixture->table, process);
}

static void parent_is_named_only_if_it_is_older(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;

	fake_process_write(
		fixture->proc,
		&(struct fake_process){.pid = 7, .comm = "newcomer", .start_ticks = 300});
	fake_process_write(fixture->proc,
			   &(struct fake_process){
				   .pid = 42, .parent = 7, .comm = "child", .start_ticks = 200});
	process = acquire(fixture, 42, 200, AT(5));
	assert_true(process_get_identity(process)->has_parent);
	assert_int_equal(process_get_identity(process)->parent_pid, 7);
	assert_null(process_get_identity(process)->parent_name);
	assert_null(process_get_identity(process)->parent_user_name);
	assert_null(process_get_identity(process)->parent_executable);
	process_table_release(fixture->table, process);
}

static void sample_is_shared_if_new_enough(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "a", .start_ticks = 9, .pages = 3};
	struct process_usage usage;
	struct process *process;

	fake_process_write(fixture->proc, &fake);
	process = acquire(fixture, 42, 9, AT(1));
	fake.minor_faults = 17;
	fake.major_faults = 2;
	fake.user_ticks = 4;
	fake.system_ticks = 1;
	fake.pages = 10;
	fake_process_write(fixture->proc, &fake);
	assert_int_equal(process_table_sample(fixture->table, process, AT(1.009), AT(1), &usage),
			 0);
	assert_int_equal(usage.minor_faults, 0);
	assert_int_equal(usage.taken_ns, AT(1));
	assert_int_equal(
		process_table_sample(fixture->table, process, AT(1.010), AT(1.001), &usage), 0);
	assert_int_equal(usage.taken_ns, AT(1.010));
	assert_int_equal(usage.minor_faults, 17);
	assert_int_equal(usage.major_faults, 2);
	assert_int_equal(usage.cpu_ns, 5 * NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
	assert_int_equal(usage.memory_bytes, 10 * sysconf(_SC_PAGESIZE));
	assert_true(usage.has_faults && usage.has_memory);
	assert_false(usage.has_iowait);
	assert_false(usage.is_final);
	assert_int_equal(process_table_get_counters(fixture->table)->samples_shared, 1);
	process_table_release(fixture->table, process);
}

static void counters_never_go_backwards(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "a", .start_ticks = 9, .minor_faults = 100};
	struct process_usage usage;
	struct process *process;

	fake_process_write(fixture->proc, &fake);
	process = acquire(fixture, 42, 9, AT(1));
	fake.minor_faults = 90;
	fake_process_write(fixture->proc, &fake);
	assert_int_equal(process_table_sample(fixture->table, process, AT(2), AT(2), &usage), 0);
	assert_int_equal(usage.minor_faults, 100);
	assert_int_equal(process_table_get_counters(fixture->table)->samples_backwards, 1);
	process_table_release(fixture->table, process);
}

static void a11_gone_process_keeps_its_name_and_last_figures(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {
		.pid = 42, .comm = "brief", .start_ticks = 9, .minor_faults = 5, .pages = 2};
	struct process_usage usage;
	struct process *process, *again;

	fake_process_write(fixture->proc, &fake);
	process = acquire(fixture, 42, 9, AT(1));
	fake_process_remove(fixture->proc, 42);
	assert_int_equal(process_table_sample(fixture->table, process, AT(2), AT(2), &usage), 0);
	assert_true(usage.is_final);
	assert_int_equal(usage.taken_ns, AT(1));
	assert_int_equal(usage.minor_faults, 5);
	process_table_release(fixture->table, process);
	/* A flow that is reported a moment later still finds it, */
	again = acquire(fixture, 42, 9, AT(11));
	assert_ptr_equal(again, process);
	assert_string_equal(process_get_identity(again)->name, "brief");
	process_table_release(fixture->table, again);
	/* one that comes much later does not. */
	assert_null(acquire(fixture, 42, 9, AT(22)));
	assert_null(acquire(fixture, 42, 0, AT(22)));
	assert_int_equal(process_table_get_counters(fixture->table)->vanished, 2);
	assert_int_equal(process_table_get_counters(fixture->table)->processes, 0);
	assert_int_equal(process_table_get_counters(fixture->table)->remembered, 0);
}

static void a06_reused_pid_is_another_process(void **state)
{
	struct fixture *fixture = *state;
	struct process *first, *second;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42, .comm = "one", .start_ticks = 9});
	first = acquire(fixture, 42, 0, AT(1));
	fake_process_remove(fixture->proc, 42);
	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42, .comm = "two", .start_ticks = 150});
	second = acquire(fixture, 42, 0, AT(2));
	assert_ptr_not_equal(first, second);
	assert_string_equal(process_get_identity(first)->name, "one");
	assert_string_equal(process_get_identity(second)->name, "two");
	assert_ptr_equal(acquire(fixture, 42, 9, AT(2)), first);
	assert_ptr_equal(acquire(fixture, 42, 150, AT(2)), second);
	assert_null(acquire(fixture, 42, 77, AT(2)));
}

static void exec_renames(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {
		.pid = 42, .comm = "sh", .start_ticks = 9, .executable = "/bin/sh"};
	struct process_usage usage;
	struct process *process;
	const char *before;

	fake_process_write(fixture->proc, &fake);
	process = acquire(fixture, 42, 9, AT(1));
	before = process_get_identity(process)->name;
	fake.comm = "systemd-timesyn";
	fake.executable = "/lib/systemd/systemd-timesyncd";
	fake_process_write(fixture->proc, &fake);
	assert_int_equal(process_table_sample(fixture->table, process, AT(2), AT(2), &usage), 0);
	assert_string_equal(process_get_identity(process)->name, "systemd-timesyncd");
	assert_string_equal(process_get_identity(process)->executable,
			    "/lib/systemd/systemd-timesyncd");
	assert_string_equal(before, "sh");
	process_table_release(fixture->table, process);
}

/* It was read before it gave up root: told apart by its next sample, under the same name or another. */
static void user_is_read_again(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "sshd", .start_ticks = 9, .uid = 0};
	const struct process_identity *identity;
	struct process_usage usage;
	struct process *process;

	fake_process_write(fixture->proc, &fake);
	process = acquire(fixture, 42, 9, AT(1));
	identity = process_get_identity(process);
	fake.uid = 3999999999u;
	fake_process_write(fixture->proc, &fake);
	assert_int_equal(process_table_sample(fixture->table, process, AT(2), AT(2), &usage), 0);
	assert_int_equal(identity->uid, 3999999999u);
	assert_string_equal(identity->user_name, "3999999999");
	assert_string_equal(identity->name, "sshd");
	fake.uid = 3999999998u;
	fake.comm = "session";
	fake_process_write(fixture->proc, &fake);
	assert_int_equal(process_table_sample(fixture->table, process, AT(3), AT(3), &usage), 0);
	assert_string_equal(identity->name, "session");
	assert_string_equal(identity->user_name, "3999999998");
	process_table_release(fixture->table, process);
}

static void schedule_takes_the_longest_waiting_first(void **state)
{
	struct fixture *fixture = *state;
	struct process *processes[4];
	struct process_usage usage;

	for (int i = 0; i < 4; i++) {
		fake_process_write(
			fixture->proc,
			&(struct fake_process){.pid = 10 + i, .comm = "x", .start_ticks = 5});
		processes[i] = acquire(fixture, 10 + i, 5, AT(1 + 0.1 * i));
	}
	assert_int_equal(process_table_run_schedule(fixture->table, AT(1.5), 10), AT(2));
	/* Due are the first two; one is all that may be done. */
	assert_int_equal(process_table_run_schedule(fixture->table, AT(2.15), 1), AT(2.15));
	assert_int_equal(
		process_table_sample(fixture->table, processes[0], AT(2.155), AT(2.15), &usage), 0);
	assert_int_equal(usage.taken_ns, AT(2.15));
	assert_int_equal(process_table_run_schedule(fixture->table, AT(2.16), 10), AT(2.2));
	assert_int_equal(process_table_get_counters(fixture->table)->samples, 4 + 2);
	for (int i = 0; i < 4; i++)
		process_table_release(fixture->table, processes[i]);
	assert_int_equal(process_table_run_schedule(fixture->table, AT(9), 10), AT(10));
}

/* Whoever looks at one process all the time, by the control socket or for ever new flows, leaves the
 * others their turn. */
static void one_that_is_looked_at_holds_up_nobody(void **state)
{
	enum { HERE = 4, LOOKS = 10 };
	struct fixture *fixture = *state;
	struct process *processes[HERE];
	struct process_inspection inspection;
	struct process_usage usage;

	for (int i = 0; i < HERE; i++) {
		fake_process_write(
			fixture->proc,
			&(struct fake_process){.pid = 10 + i, .comm = "x", .start_ticks = 5});
		processes[i] = acquire(fixture, 10 + i, 5, AT(1));
	}
	for (int i = 1; i <= LOOKS; i++) {
		uint64_t now_ns = AT(1 + 0.5 * i);

		assert_true(
			process_inspect_read(fixture->table, processes[0], now_ns, &inspection));
		process_table_release(fixture->table, acquire(fixture, 11, 5, now_ns));
		process_table_run_schedule(fixture->table, now_ns, 10);
	}
	for (int i = 0; i < HERE; i++) {
		assert_true(process_inspect_last_usage(processes[i], &usage));
		assert_int_equal(usage.taken_ns, AT(1 + 0.5 * LOOKS));
		process_table_release(fixture->table, processes[i]);
	}
}

static void watched_process_is_sampled_soon(void **state)
{
	static const double due[] = {0.01, 0.04, 0.16, 0.64};
	struct fixture *fixture = *state;
	struct process *process;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42, .comm = "a", .start_ticks = 9});
	process = acquire(fixture, 42, 9, AT(1));
	assert_int_equal(process_table_get_watch_due(fixture->table), UINT64_MAX);
	process_table_watch(fixture->table, process, AT(1));
	for (size_t i = 0; i < array_length(due); i++) {
		uint64_t due_ns = AT(1) + AT(due[i]);

		assert_int_equal(process_table_get_watch_due(fixture->table), due_ns);
		process_table_run_watched(fixture->table, due_ns - 1, 1);
		assert_int_equal(process_table_get_counters(fixture->table)->samples, 1 + i);
		process_table_run_watched(fixture->table, due_ns, 1);
		assert_int_equal(process_table_get_counters(fixture->table)->samples, 2 + i);
	}
	assert_int_equal(process_table_get_watch_due(fixture->table), UINT64_MAX);
	/* The regular sample is an interval after these. */
	assert_int_equal(process_table_run_schedule(fixture->table, AT(2), 10), AT(2.64));
	process_table_watch(fixture->table, process, AT(3));
	process_table_release(fixture->table, process);
	assert_int_equal(process_table_get_watch_due(fixture->table), UINT64_MAX);
}

static void gone_process_is_not_watched(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;

	fake_process_write(fixture->proc,
			   &(struct fake_process){.pid = 42, .comm = "a", .start_ticks = 9});
	process = acquire(fixture, 42, 9, AT(1));
	process_table_watch(fixture->table, process, AT(1));
	fake_process_remove(fixture->proc, 42);
	process_table_run_watched(fixture->table, AT(1.01), 1);
	assert_int_equal(process_table_get_watch_due(fixture->table), UINT64_MAX);
	process_table_watch(fixture->table, process, AT(2));
	assert_int_equal(process_table_get_watch_due(fixture->table), UINT64_MAX);
	process_table_release(fixture->table, process);
}

/* The machine stood still for a day: everything is due, a turn does no more than it may, and what was
 * before is not spread over the day. */
static void stopped_machine_is_caught_up_with(void **state)
{
	enum { HERE = 10 };
	struct fixture *fixture = *state;
	struct process *processes[HERE];
	struct process_usage usage;
	double begin = 100, end = begin + 24 * 3600;

	for (int i = 0; i < HERE; i++) {
		fake_process_write(
			fixture->proc,
			&(struct fake_process){.pid = 10 + i, .comm = "x", .start_ticks = 5});
		processes[i] = acquire(fixture, 10 + i, 5, AT(begin));
	}
	assert_int_equal(process_table_run_schedule(fixture->table, AT(begin + 1), HERE),
			 AT(begin + 2));
	fake_process_write(fixture->proc,
			   &(struct fake_process){
				   .pid = 10, .comm = "x", .start_ticks = 5, .minor_faults = 1000});
	assert_int_equal(process_table_run_schedule(fixture->table, AT(end), HERE / 2), AT(end));
	assert_int_equal(process_table_run_schedule(fixture->table, AT(end), HERE), AT(end + 1));
	assert_int_equal(process_table_get_counters(fixture->table)->samples, 3 * HERE);
	assert_int_equal(process_table_read_end(fixture->table, processes[0], AT(begin),
						AT(begin + 1), AT(end), &usage),
			 0);
	assert_int_equal(usage.minor_faults, 0);
	for (int i = 0; i < HERE; i++)
		process_table_release(fixture->table, processes[i]);
}

/* An older "now" than before: no sample is older than the one before it. */
static void older_now_does_no_harm(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "a", .start_ticks = 9, .minor_faults = 5};
	struct process_usage usage;
	struct process *process;

	fake_process_write(fixture->proc, &fake);
	process = acquire(fixture, 42, 9, AT(100));
	fake.minor_faults = 9;
	fake_process_write(fixture->proc, &fake);
	process_table_run_schedule(fixture->table, AT(90), 10);
	assert_int_equal(process_table_sample(fixture->table, process, AT(90), AT(101), &usage), 0);
	assert_int_equal(usage.minor_faults, 9);
	assert_int_equal(
		process_table_read_end(fixture->table, process, AT(90), AT(95), AT(90), &usage), 0);
	assert_in_range(usage.minor_faults, 5, 9);
	process_table_release(fixture->table, process);
}

enum { PIDS = 12, STEPS = 2000, SEEDS = 5, HELD = 64 };

/* What the table should know of one process: its place in the model is its pid. */
struct model {
	bool lives;
	uint64_t start_ticks;
	struct fake_process fake;
};

struct held {
	struct process *process;
	pid_t pid;
	uint64_t start_ticks, faults;
	char name[16];
};

static void step_model(struct fixture *fixture, struct model *model)
{
	static const char *const names[] = {"one", "two", "three three", "f(o)ur"};
	struct fake_process *fake = &model->fake;

	if (!model->lives) {
		*fake = (struct fake_process){.pid = fake->pid,
					      .comm = names[rand() % 4],
					      .start_ticks = ++model->start_ticks,
					      .minor_faults = (uint64_t)rand() % 50};
		model->lives = true;
	} else if (rand() % 4 == 0) {
		fake_process_remove(fixture->proc, fake->pid);
		model->lives = false;
		return;
	}
	fake->minor_faults += (uint64_t)rand() % 100;
	fake_process_write(fixture->proc, fake);
}

static void step_acquire(struct fixture *fixture, const struct model *model, struct held *held,
			 uint64_t now_ns)
{
	struct process *process =
		acquire(fixture, model->fake.pid, rand() % 2 ? model->start_ticks : 0, now_ns);

	if (!process) {
		assert_false(model->lives);
		return;
	}
	/* One that has ended may be told by its pid alone, and then it is the newest known. */
	assert_int_equal(process_get_identity(process)->id.pid, model->fake.pid);
	if (model->lives) {
		assert_int_equal(process_get_identity(process)->id.start_ticks, model->start_ticks);
		assert_string_equal(process_get_identity(process)->name, model->fake.comm);
	}
	*held = (struct held){.process = process,
			      .pid = model->fake.pid,
			      .start_ticks = process_get_identity(process)->id.start_ticks};
	strcpy(held->name, process_get_identity(process)->name);
}

/* A held process is always itself, its counters never fall, and while it lives they are exact. */
static void step_sample(struct fixture *fixture, const struct model *model, struct held *held,
			uint64_t now_ns)
{
	const struct process_identity *identity = process_get_identity(held->process);
	struct process_usage usage;

	assert_int_equal(identity->id.pid, held->pid);
	assert_int_equal(identity->id.start_ticks, held->start_ticks);
	assert_string_equal(identity->name, held->name);
	assert_int_equal(
		process_table_sample(fixture->table, held->process, now_ns, now_ns, &usage), 0);
	assert_true(usage.minor_faults >= held->faults);
	held->faults = usage.minor_faults;
	assert_int_equal(usage.is_final, !model->lives || model->start_ticks != held->start_ticks);
	if (!usage.is_final)
		assert_int_equal(usage.minor_faults, model->fake.minor_faults);
}

static void check_counts(struct fixture *fixture, const struct held *held)
{
	uint64_t distinct = 0;

	for (int i = 0; i < HELD; i++) {
		bool is_first = held[i].process != NULL;

		for (int j = 0; j < i && is_first; j++)
			is_first = held[j].process != held[i].process;
		distinct += is_first;
	}
	assert_int_equal(process_table_get_counters(fixture->table)->processes, distinct);
}

static void table_behaves_like_the_model(void **state)
{
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		struct model models[PIDS] = {0};
		struct held held[HELD] = {0};
		struct fixture *fixture = *state;
		uint64_t now_ns = AT(1);

		srand(seed);
		for (int i = 0; i < PIDS; i++)
			models[i].fake.pid = 100 + i;
		for (int step = 0; step < STEPS; step++) {
			struct held *one = &held[rand() % HELD];
			struct model *model =
				one->process ? &models[one->pid - 100] : &models[rand() % PIDS];

			now_ns += (uint64_t)rand() % (uint64_t)(20 * NS_PER_MS);
			if (rand() % 3 == 0) {
				now_ns += 20 * NS_PER_MS; /* else an older sample may serve */
				step_model(fixture, &models[rand() % PIDS]);
			} else if (!one->process) {
				step_acquire(fixture, model, one, now_ns += 20 * NS_PER_MS);
			} else if (rand() % 2) {
				step_sample(fixture, model, one, now_ns += 1);
			} else if (rand() % 3 == 0) {
				process_table_run_schedule(fixture->table, now_ns,
							   (unsigned)rand() % 5);
			} else {
				process_table_release(fixture->table, one->process);
				one->process = NULL;
			}
			check_counts(fixture, held);
		}
		for (int i = 0; i < HELD; i++)
			process_table_release(fixture->table, held[i].process);
		tear_down(state);
		assert_int_equal(set_up(state), 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define with_proc(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		with_proc(identity_is_read_once),
		with_proc(what_trace_alone_tells_is_taken),
		with_proc(a19_executable_by_trace_mends_a_cut_name),
		with_proc(where_it_belongs_is_read_with_it),
		with_proc(cgroup_is_read_anew_after_an_exec),
		with_proc(parent_is_named_only_if_it_is_older),
		with_proc(sample_is_shared_if_new_enough),
		with_proc(counters_never_go_backwards),
		with_proc(a11_gone_process_keeps_its_name_and_last_figures),
		with_proc(a06_reused_pid_is_another_process),
		with_proc(exec_renames),
		with_proc(user_is_read_again),
		with_proc(schedule_takes_the_longest_waiting_first),
		with_proc(one_that_is_looked_at_holds_up_nobody),
		with_proc(watched_process_is_sampled_soon),
		with_proc(gone_process_is_not_watched),
		with_proc(stopped_machine_is_caught_up_with),
		with_proc(older_now_does_no_harm),
		with_proc(table_behaves_like_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
