/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "attribution/trace_processes.h"
#include "base/macros.h"

enum { MAX = 50, KEEP = 1000 };

static int set_up(void **state)
{
	const struct trace_processes_options options = {.max_processes = MAX, .keep_ns = KEEP};

	return trace_processes_new(&options, (struct trace_processes **)state);
}

static int tear_down(void **state)
{
	trace_processes_free(*state);
	return 0;
}

static void tell(struct trace_processes *processes, enum process_event_type type, uint64_t when_ns,
		 pid_t pid, pid_t thread, pid_t parent, const char *text)
{
	struct process_event event = {
		.type = type, .when_ns = when_ns, .pid = pid, .thread = thread, .parent = parent};

	if (type == PROCESS_EVENT_EXECUTABLE)
		event.executable = text;
	else
		snprintf(event.name, sizeof(event.name), "%s", text);
	assert_int_equal(trace_processes_add(processes, &event), 0);
}

static void fork_one(struct trace_processes *processes, uint64_t when_ns, pid_t pid, pid_t parent)
{
	tell(processes, PROCESS_EVENT_FORK, when_ns, pid, pid, parent, "");
}

static void exit_one(struct trace_processes *processes, uint64_t when_ns, pid_t pid)
{
	tell(processes, PROCESS_EVENT_EXIT, when_ns, pid, pid, 0, "");
}

static void learn(struct trace_processes *processes, pid_t pid, const char *name, uint64_t now_ns)
{
	struct trace_process found = {.pid = pid, .parent = 1, .executable = "/bin/old"};

	snprintf(found.name, sizeof(found.name), "%s", name);
	assert_int_equal(trace_processes_learn(processes, &found, now_ns), 0);
}

static void test_short_life_is_known_afterwards(void **state)
{
	struct trace_processes *processes = *state;
	const struct trace_process *process;

	learn(processes, 1, "bash", 5);
	fork_one(processes, 10, 20, 1);
	tell(processes, PROCESS_EVENT_EXEC, 12, 20, 20, 0, "curl");
	tell(processes, PROCESS_EVENT_EXECUTABLE, 13, 20, 20, 0, "/usr/bin/curl");
	exit_one(processes, 15, 20);
	process = trace_processes_find(processes, 20, 14);
	assert_non_null(process);
	assert_int_equal(process->parent, 1);
	assert_int_equal(process->start_ns, 10);
	assert_int_equal(process->exec_ns, 12);
	assert_int_equal(process->exit_ns, 15);
	assert_string_equal(process->executable, "/usr/bin/curl");
	assert_string_equal(trace_process_get_name(process, 14), "curl");
	assert_string_equal(trace_process_get_name(process, 11), "bash");
	assert_null(trace_processes_find(processes, 20, 9));
	assert_int_equal(trace_processes_find(processes, 20, 99)->exit_ns, 15);
	assert_null(trace_processes_find(processes, 21, 14));
}

static void test_a06_pid_is_given_out_again(void **state)
{
	struct trace_processes *processes = *state;

	for (pid_t i = 0; i < 5; i++) {
		fork_one(processes, (uint64_t)(100 * i + 10), 20, 100 + i);
		exit_one(processes, (uint64_t)(100 * i + 20), 20);
	}
	fork_one(processes, 600, 20, 200); /* and its end is never seen */
	fork_one(processes, 700, 20, 201);
	for (pid_t i = 0; i < 5; i++)
		assert_int_equal(
			trace_processes_find(processes, 20, (uint64_t)(100 * i + 15))->parent,
			100 + i);
	assert_int_equal(trace_processes_find(processes, 20, 650)->parent, 200);
	assert_int_equal(trace_processes_find(processes, 20, 650)->exit_ns, 700);
	assert_int_equal(trace_processes_find(processes, 20, 701)->exit_ns, UINT64_MAX);
	trace_processes_expire(processes, 220 + KEEP + 1);
	assert_null(trace_processes_find(processes, 20, 15));
	assert_int_equal(trace_processes_find(processes, 20, 315)->parent, 103);
	assert_int_equal(trace_processes_get_counters(processes)->expired, 3);
}

static void test_process_ends_with_its_last_thread(void **state)
{
	struct trace_processes *processes = *state;

	fork_one(processes, 10, 20, 1);
	tell(processes, PROCESS_EVENT_FORK, 11, 20, 21, 20, "");
	tell(processes, PROCESS_EVENT_NAME, 12, 20, 21, 0, "worker");
	exit_one(processes, 13, 20); /* the leader */
	assert_int_equal(trace_processes_find(processes, 20, 14)->exit_ns, UINT64_MAX);
	assert_string_equal(trace_processes_find(processes, 20, 14)->name, "");
	tell(processes, PROCESS_EVENT_EXIT, 15, 20, 21, 0, "");
	assert_int_equal(trace_processes_find(processes, 20, 14)->exit_ns, 15);
	/* One that is older than the records: a thread's end is not its own. */
	learn(processes, 30, "old", 10);
	tell(processes, PROCESS_EVENT_EXIT, 16, 30, 31, 0, "");
	assert_int_equal(trace_processes_find(processes, 30, 20)->exit_ns, UINT64_MAX);
	exit_one(processes, 17, 30);
	assert_int_equal(trace_processes_find(processes, 30, 20)->exit_ns, 17);
	tell(processes, PROCESS_EVENT_EXIT, 18, 30, 32, 0, "");
	assert_int_equal(trace_processes_find(processes, 30, 20)->exit_ns, 18);
	assert_int_equal(trace_processes_get_counters(processes)->exits, 2);
	/* execve(2) by a thread ends the leader, and the process goes on. */
	tell(processes, PROCESS_EVENT_EXEC, 19, 30, 30, 0, "new");
	assert_int_equal(trace_processes_find(processes, 30, 20)->exit_ns, UINT64_MAX);
}

static void test_unseen_start_is_another_life(void **state)
{
	struct trace_processes *processes = *state;

	fork_one(processes, 10, 20, 1);
	exit_one(processes, 11, 20);
	tell(processes, PROCESS_EVENT_EXEC, 15, 20, 20, 0, "other");
	assert_int_equal(trace_processes_find(processes, 20, 10)->exit_ns, 11);
	assert_string_equal(trace_processes_find(processes, 20, 16)->name, "other");
	assert_int_equal(trace_processes_get_counters(processes)->processes, 2);
}

static void test_loss_makes_doubtful(void **state)
{
	struct trace_processes *processes = *state;

	fork_one(processes, 10, 20, 1);
	trace_processes_add_lost(processes, 30, 40);
	assert_non_null(trace_processes_find(processes, 20, 29));
	assert_null(trace_processes_find(processes, 20, 50));
	learn(processes, 20, "found", 60);
	assert_string_equal(trace_processes_find(processes, 20, 70)->name, "found");
}

static void test_exec_forgets_the_old_path(void **state)
{
	struct trace_processes *processes = *state;

	fork_one(processes, 10, 20, 1);
	tell(processes, PROCESS_EVENT_EXECUTABLE, 11, 20, 20, 0, "/bin/a");
	fork_one(processes, 12, 21, 20);
	tell(processes, PROCESS_EVENT_EXEC, 13, 20, 20, 0, "b");
	assert_null(trace_processes_find(processes, 20, 14)->executable);
	assert_string_equal(trace_processes_find(processes, 21, 14)->executable, "/bin/a");
}

static void test_executable_of_one_that_ran_goes_to_its_children(void **state)
{
	struct trace_processes *processes = *state;

	learn(processes, 20, "old", 5);
	fork_one(processes, 10, 21, 20);
	exit_one(processes, 11, 21);
	assert_string_equal(trace_processes_find(processes, 21, 11)->executable, "/bin/old");
}

/* The same program again shares its path; each keeps what it executed, whatever others do. */
static void test_programs_executed_by_turns(void **state)
{
	static const char *const paths[] = {"/bin/a", "/bin/a", "/bin/b", "/bin/a", "/bin/b"};
	struct trace_processes *processes = *state;

	for (int i = 0; i < 5; i++) {
		fork_one(processes, 10, 20 + i, 1);
		tell(processes, PROCESS_EVENT_EXECUTABLE, 11, 20 + i, 20 + i, 0, paths[i]);
	}
	tell(processes, PROCESS_EVENT_EXECUTABLE, 12, 20, 20, 0, paths[0]);
	tell(processes, PROCESS_EVENT_EXECUTABLE, 12, 20, 20, 0, "/bin/c");
	assert_string_equal(trace_processes_find(processes, 20, 13)->executable, "/bin/c");
	for (int i = 1; i < 5; i++)
		assert_string_equal(trace_processes_find(processes, 20 + i, 13)->executable,
				    paths[i]);
}

static void test_paths_that_lead_nowhere_later_are_left_out(void **state)
{
	static const char *const paths[] = {"a", "./a", "../bin/a", "/dev/fd/3", "/proc/self/fd/3"};
	struct trace_processes *processes = *state;

	fork_one(processes, 10, 20, 1);
	for (size_t i = 0; i < array_length(paths); i++) {
		tell(processes, PROCESS_EVENT_EXECUTABLE, 11, 20, 20, 0, "/bin/a");
		tell(processes, PROCESS_EVENT_EXECUTABLE, 12, 20, 20, 0, paths[i]);
		assert_null(trace_processes_find(processes, 20, 14)->executable);
	}
}

/* Against a list of all lives; exits and forks of a few pids at random, and one thread at a time.
 */
enum { PIDS = 8, LIVES = 3000 };

struct model_life {
	pid_t pid, parent;
	uint64_t start_ns, exit_ns;
};

static const struct model_life *model_find(const struct model_life *lives, size_t count, pid_t pid,
					   uint64_t when_ns)
{
	while (count-- > 0)
		if (lives[count].pid == pid && lives[count].start_ns <= when_ns)
			return &lives[count];
	return NULL;
}

static void test_random_against_model(unused void **state)
{
	const struct trace_processes_options options = {.max_processes = LIVES,
							.keep_ns = UINT64_MAX};
	static struct model_life lives[LIVES];
	struct model_life *running[PIDS] = {NULL};
	struct trace_processes *processes;
	uint64_t now_ns = 1;
	size_t count = 0;

	srandom(8);
	assert_int_equal(trace_processes_new(&options, &processes), 0);
	while (count < LIVES) {
		pid_t pid = (pid_t)(random() % PIDS);
		uint64_t asked_ns = 1 + (uint64_t)random() % now_ns;
		const struct model_life *wanted;
		const struct trace_process *told;

		now_ns += 1 + (uint64_t)random() % 3;
		if (running[pid]) {
			exit_one(processes, now_ns, pid + 1);
			running[pid]->exit_ns = now_ns;
			running[pid] = NULL;
		} else {
			running[pid] = &lives[count++];
			*running[pid] = (struct model_life){pid + 1, (pid_t)(100 + random() % 100),
							    now_ns, UINT64_MAX};
			fork_one(processes, now_ns, pid + 1, running[pid]->parent);
		}
		pid = (pid_t)(random() % PIDS) + 1;
		wanted = model_find(lives, count, pid, asked_ns);
		told = trace_processes_find(processes, pid, asked_ns);
		assert_int_equal(!told, !wanted);
		if (!wanted)
			continue;
		assert_int_equal(told->start_ns, wanted->start_ns);
		assert_int_equal(told->exit_ns, wanted->exit_ns);
		assert_int_equal(told->parent, wanted->parent);
	}
	trace_processes_free(processes);
}

static void test_bound(void **state)
{
	struct trace_processes *processes = *state;

	for (pid_t i = 1; i <= 2 * MAX; i++) {
		fork_one(processes, (uint64_t)i, i, 1000);
		if (i % 2)
			exit_one(processes, (uint64_t)i, i);
	}
	assert_int_equal(trace_processes_get_counters(processes)->processes, MAX);
	/* Those that exited went first: all 50 that run are there. */
	for (pid_t i = 2; i <= 2 * MAX; i += 2)
		assert_non_null(trace_processes_find(processes, i, 1000));
	assert_int_equal(trace_processes_get_counters(processes)->evicted, MAX);
	fork_one(processes, 500, 500, 1000);
	assert_null(trace_processes_find(processes, 2, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_short_life_is_known_afterwards, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a06_pid_is_given_out_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process_ends_with_its_last_thread, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_unseen_start_is_another_life, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_loss_makes_doubtful, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exec_forgets_the_old_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_executable_of_one_that_ran_goes_to_its_children, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_paths_that_lead_nowhere_later_are_left_out,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_programs_executed_by_turns, set_up, tear_down),
		cmocka_unit_test(test_random_against_model),
		cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
