/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the proc connector tells, and when. It is asked from a network namespace of its own, as a daemon
 * in one would. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "sources/proc_connector.h"
#include "support/network_namespace.h"

enum { MOST = 4096, FLOOD = 400, SMALL_BUFFER = 16 << 10 };

struct recorder {
	struct process_event events[MOST];
	size_t count;
	unsigned lost;
};

static struct recorder recorder;
static struct proc_connector *connector;

static void on_process(void *userdata, const struct process_event *event)
{
	struct recorder *to = userdata;

	if (to->count < MOST)
		to->events[to->count++] = *event;
}

static void on_lost(void *userdata)
{
	((struct recorder *)userdata)->lost++;
}

static int open_connector(size_t buffer_bytes)
{
	struct proc_connector_options options = {
		.handlers = {.on_process = on_process, .on_lost = on_lost, .userdata = &recorder},
		.receive_buffer_bytes = buffer_bytes};

	recorder.count = recorder.lost = 0;
	return proc_connector_open(&options, &connector);
}

static const struct process_event *find(enum process_event_type type, pid_t pid, pid_t thread)
{
	for (size_t i = 0; i < recorder.count; i++)
		if (recorder.events[i].type == type && recorder.events[i].pid == pid &&
		    (thread == 0 || recorder.events[i].thread == thread))
			return &recorder.events[i];
	return NULL;
}

/* An exit is told after the parent was woken (do_exit() in kernel/exit.c). */
static const struct process_event *wait_exit(pid_t pid)
{
	const struct process_event *exit = NULL;

	for (uint64_t end_ns = clock_now_ns() + 10 * NS_PER_SEC;
	     !exit && clock_now_ns() < end_ns;) {
		proc_connector_read(connector);
		exit = find(PROCESS_EVENT_EXIT, pid, pid);
		if (!exit)
			poll(NULL, 0, 1);
	}
	return exit;
}

static pid_t start_true(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/proc/self/exe", "child", "--child", NULL);
		_exit(1);
	}
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* All that happened before the call is told by it, in order, with monotonic times. */
static void test_life_of_process_is_told_at_once(unused void **state)
{
	const struct process_event *fork, *exec, *exit;
	uint64_t before_ns = clock_now_ns(), after_ns;
	pid_t pid;

	assert_int_equal(open_connector(0), 0);
	pid = start_true();
	reap(pid);
	proc_connector_read(connector);
	fork = find(PROCESS_EVENT_FORK, pid, pid);
	exec = find(PROCESS_EVENT_EXEC, pid, pid);
	assert_non_null(fork);
	assert_non_null(exec);
	exit = wait_exit(pid);
	assert_non_null(exit);
	after_ns = clock_now_ns();
	assert_int_equal(fork->parent, getpid());
	assert_true(before_ns <= fork->when_ns && fork->when_ns <= exec->when_ns &&
		    exec->when_ns <= exit->when_ns && exit->when_ns <= after_ns);
	assert_int_equal(recorder.lost, 0);
	assert_int_equal(proc_connector_get_counters(connector)->malformed, 0);
	proc_connector_close(connector);
}

/* Where a child opens a socket, its fork was told before. */
static void test_fork_is_told_before_the_child_runs(unused void **state)
{
	int pipe_fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(open_connector(0), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		ssize_t written = write(pipe_fds[1], "x", 1);

		_exit(written != 1);
	}
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	proc_connector_read(connector);
	assert_non_null(find(PROCESS_EVENT_FORK, pid, pid));
	reap(pid);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	proc_connector_close(connector);
}

static void *run_thread(void *argument)
{
	*(pid_t *)argument = gettid();
	return NULL;
}

static void test_a17_threads_have_their_group(unused void **state)
{
	pthread_t thread;
	pid_t number = 0;

	assert_int_equal(open_connector(0), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_thread, &number), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	proc_connector_read(connector);
	assert_non_null(find(PROCESS_EVENT_FORK, getpid(), number));
	assert_null(find(PROCESS_EVENT_FORK, number, 0));
	assert_null(find(PROCESS_EVENT_EXIT, getpid(), getpid()));
	proc_connector_close(connector);
}

static bool is_before(int major, int minor)
{
	struct utsname name;
	int is_major, is_minor;

	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%d.%d", &is_major, &is_minor), 2);
	return is_major < major || (is_major == major && is_minor < minor);
}

/* A new name is an event of a kind that is not asked for. */
static void test_kernel_filters_by_kind(unused void **state)
{
	uint64_t before;

	if (is_before(6, 6)) {
		print_message("skipped: the proc connector knows no filter (Linux 6.6)\n");
		skip();
	}
	assert_int_equal(open_connector(0), 0);
	proc_connector_read(connector);
	before = proc_connector_get_counters(connector)->others;
	for (int i = 0; i < 10; i++)
		assert_int_equal(prctl(PR_SET_NAME, "other", 0, 0, 0), 0);
	reap(start_true());
	proc_connector_read(connector);
	assert_int_equal(proc_connector_get_counters(connector)->others, before);
	assert_true(proc_connector_get_counters(connector)->events > 0);
	proc_connector_close(connector);
}

static void test_loss_is_told_and_ends(unused void **state)
{
	pid_t pid;

	assert_int_equal(open_connector(SMALL_BUFFER), 0);
	for (int i = 0; i < FLOOD; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(0);
		reap(pid);
	}
	proc_connector_read(connector);
	assert_int_equal(recorder.lost, 1);
	assert_true(proc_connector_get_counters(connector)->overruns > 0);
	recorder.lost = 0;
	pid = start_true();
	reap(pid);
	assert_non_null(wait_exit(pid));
	assert_int_equal(recorder.lost, 0);
	proc_connector_close(connector);
}

/* The answer tells that it is listened to; in another pid namespace nobody answers. */
static void test_other_pid_namespace_has_no_answer(unused void **state)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		pid_t inner;
		int status;

		if (unshare(CLONE_NEWPID) < 0)
			_exit(2);
		inner = fork();
		if (inner == 0)
			_exit(open_connector(0) == -EOPNOTSUPP ? 0 : 3);
		_exit(waitpid(inner, &status, 0) == inner && status == 0 ? 0 : 4);
	}
	reap(pid);
}

static int set_up(unused void **state)
{
	int r = network_namespace_enter();

	if (r == 0)
		r = open_connector(0);
	if (r < 0) {
		fprintf(stderr, "skipped: the proc connector does not answer: %s\n", strerror(-r));
		exit(77);
	}
	proc_connector_close(connector);
	return 0;
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_of_process_is_told_at_once),
		cmocka_unit_test(test_fork_is_told_before_the_child_runs),
		cmocka_unit_test(test_a17_threads_have_their_group),
		cmocka_unit_test(test_kernel_filters_by_kind),
		cmocka_unit_test(test_loss_is_told_and_ends),
		cmocka_unit_test(test_other_pid_namespace_has_no_answer),
	};

	if (count > 1 && strcmp(arguments[1], "--child") == 0)
		return 0;
	return cmocka_run_group_tests(tests, set_up, NULL);
}
