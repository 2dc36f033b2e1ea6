/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "support/slowness.h"

enum { LONGEST_SECONDS = 50, TOLERANCE_MS = 2 };

struct child child_start(child_work work, void *argument)
{
	struct child child;
	int done[2], go[2];

	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(LONGEST_SECONDS * slowness_get());
		close(done[0]);
		close(go[1]);
		child.done_fd = done[1];
		child.go_fd = go[0];
		work(&child, argument);
		_exit(0);
	}
	close(done[1]);
	close(go[0]);
	child.done_fd = done[0];
	child.go_fd = go[1];
	return child;
}

void child_pause(struct child *child)
{
	char byte = 0;

	if (write(child->done_fd, &byte, 1) != 1 || read(child->go_fd, &byte, 1) != 1)
		_exit(1);
}

void child_wait_pause(struct child *child)
{
	char byte;

	assert_int_equal(read(child->done_fd, &byte, 1), 1);
}

void child_continue(struct child *child)
{
	char byte = 0;

	assert_int_equal(write(child->go_fd, &byte, 1), 1);
}

static uint64_t read_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

void child_wait_zombie(struct child *child)
{
	clockid_t clock;
	siginfo_t info;
	uint64_t before_ns, used_ns;

	assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(clock_getcpuclockid(child->pid, &clock), 0);
	used_ns = read_clock_ns(clock);
	do {
		before_ns = used_ns;
		usleep(1000);
		used_ns = read_clock_ns(clock);
	} while (used_ns != before_ns);
}

uint64_t rusage_cpu_ns(const struct rusage *usage)
{
	return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * NS_PER_SEC +
	       (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000;
}

uint64_t child_reap(struct child *child, struct rusage *usage)
{
	struct rusage own;

	assert_int_equal(wait4(child->pid, NULL, 0, &own), child->pid);
	close(child->done_fd);
	close(child->go_fd);
	if (usage)
		*usage = own;
	return rusage_cpu_ns(&own);
}

static void pass_ms(clockid_t clock, unsigned ms)
{
	uint64_t until_ns = read_clock_ns(clock) + ms * NS_PER_MS;

	while (read_clock_ns(clock) < until_ns)
		;
}

void child_burn_ms(unsigned ms)
{
	pass_ms(CLOCK_THREAD_CPUTIME_ID, ms);
}

void child_spin_ms(unsigned ms)
{
	pass_ms(CLOCK_MONOTONIC, ms);
}

uint64_t child_get_tolerance_ns(void)
{
	return TOLERANCE_MS * NS_PER_MS * slowness_get();
}
