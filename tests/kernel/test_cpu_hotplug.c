/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A CPU that goes and comes back under trace. Only where PROCFLOW_TEST_OWN_KERNEL is set: nobody
 * else's CPU is switched off. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "support/network_namespace.h"
#include "support/slowness.h"
#include "support/trace_recorder.h"

enum { SKIPPED = 77, CPU = 1 };

#define ONLINE_FILE "/sys/devices/system/cpu/cpu1/online"

static bool set_online(bool is_online)
{
	cleanup_close int fd = open(ONLINE_FILE, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, is_online ? "1" : "0", 1) == 1;
}

struct sent {
	pid_t pid;
	uint16_t port;
	uint64_t from_ns, until_ns;
};

/* A child on the CPU that sends one datagram and exits; it is gone when this returns. */
static struct sent send_from_cpu(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sent sent = {.from_ns = clock_now_ns()};
	socklen_t length = sizeof(address);
	int status;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	sent.port = ntohs(address.sin_port);
	sent.pid = fork();
	if (sent.pid == 0) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(CPU, &cpus);
		address.sin_port = htons(9);
		_exit(sched_setaffinity(0, sizeof(cpus), &cpus) < 0 || sched_getcpu() != CPU ||
		      sendto(fd, "x", 1, 0, (struct sockaddr *)&address, length) != 1);
	}
	assert_int_equal(waitpid(sent.pid, &status, 0), sent.pid);
	assert_int_equal(status, 0);
	sent.until_ns = clock_now_ns();
	return sent;
}

static bool is_proof_of(const struct trace_told *told, const void *userdata)
{
	const struct sent *sent = userdata;

	return told->type == TRACE_TOLD_SOCKET && told->socket.is_proof &&
	       told->socket.pid == sent->pid && told->socket.socket.local_port == sent->port;
}

/* Whether anything told so far is, or whether a span that was told as lost has all of it. */
static bool find_told(struct trace_recorder *recorder, const struct sent *sent, bool as_lost)
{
	size_t count = trace_recorder_read(recorder);

	for (size_t i = 0; i < count; i++) {
		const struct trace_told *told = trace_recorder_get(recorder, i);

		if (as_lost ? told->type == TRACE_TOLD_LOST &&
				      told->lost_from_ns <= sent->from_ns &&
				      told->lost_until_ns >= sent->until_ns
			    : is_proof_of(told, sent))
			return true;
	}
	return false;
}

static const struct trace_counters *get_counters(struct trace_recorder *recorder)
{
	return trace_get_counters(trace_recorder_get_trace(recorder));
}

static void wait_rings(struct trace_recorder *recorder, uint64_t rings, uint64_t reopened)
{
	uint64_t end_ns = clock_now_ns() + 10 * slowness_get() * NS_PER_SEC;

	while ((get_counters(recorder)->rings != rings ||
		get_counters(recorder)->rings_reopened != reopened) &&
	       clock_now_ns() < end_ns)
		trace_recorder_run(recorder);
	assert_int_equal(get_counters(recorder)->rings, rings);
	assert_int_equal(get_counters(recorder)->rings_reopened, reopened);
}

/* The CPU is back, but nobody has looked yet. */
static void check_return(struct trace_recorder *recorder, uint64_t rings)
{
	struct sent missed = send_from_cpu(), seen;

	assert_false(find_told(recorder, &missed, true));
	wait_rings(recorder, rings, 1);
	assert_true(find_told(recorder, &missed, true));
	assert_false(find_told(recorder, &missed, false));
	seen = send_from_cpu();
	assert_true(trace_recorder_wait(recorder, is_proof_of, &seen) >= 0);
	assert_false(find_told(recorder, &seen, true));
}

static void a_cpu_that_was_missed_comes_back(void **state)
{
	struct trace_recorder *recorder = *state;
	uint64_t rings = get_counters(recorder)->rings;

	assert_true(set_online(false));
	wait_rings(recorder, rings - 1, 0);
	assert_true(set_online(true));
	check_return(recorder, rings);
}

static void a_cpu_goes_and_comes_back_between_two_looks(void **state)
{
	struct trace_recorder *recorder = *state;

	assert_true(set_online(false));
	assert_true(set_online(true));
	check_return(recorder, get_counters(recorder)->rings);
}

static int set_up(void **state)
{
	struct sent sent;

	*state = trace_recorder_open(0);
	if (!*state)
		return -1;
	sent = send_from_cpu();
	return trace_recorder_wait(*state, is_proof_of, &sent) >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	trace_recorder_close(*state);
	return set_online(true) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_cpu_that_was_missed_comes_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_cpu_goes_and_comes_back_between_two_looks, set_up,
						tear_down),
	};
	struct trace_recorder *probe;

	if (!getenv("PROCFLOW_TEST_OWN_KERNEL")) {
		printf("SKIP cpu_hotplug: CPUs are only switched off where the kernel is the "
		       "test's own "
		       "(PROCFLOW_TEST_OWN_KERNEL)\n");
		return SKIPPED;
	}
	if (access(ONLINE_FILE, W_OK) < 0) {
		printf("SKIP cpu_hotplug: no second CPU that can be switched off\n");
		return SKIPPED;
	}
	probe = trace_recorder_open(0);
	if (!probe || network_namespace_enter() < 0) {
		printf("SKIP cpu_hotplug: trace, or a network namespace, is not to be had here\n");
		return SKIPPED;
	}
	trace_recorder_close(probe);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
