/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Over threads of this very process: what is looked at are their tables in /proc. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <threads.h>
#include <unistd.h>

#include "attribution/thread_descriptors.h"
#include "base/cleanup.h"

struct worker {
	bool has_own_table;
	int fd;
	uint64_t inode;
	pid_t thread;
	sem_t ready, done;
};

static int work(void *userdata)
{
	struct worker *worker = userdata;
	struct stat status = {0};

	if (worker->has_own_table && unshare(CLONE_FILES) < 0)
		worker->has_own_table = false;
	worker->fd = socket(AF_INET, SOCK_DGRAM, 0);
	fstat(worker->fd, &status);
	worker->inode = status.st_ino;
	worker->thread = gettid();
	sem_post(&worker->ready);
	sem_wait(&worker->done);
	close(worker->fd);
	return 0;
}

static void check(bool has_own_table)
{
	struct worker worker = {.has_own_table = has_own_table};
	cleanup_close int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t cost_us = 0;
	thrd_t thread;
	int fd = -1;

	sem_init(&worker.ready, 0, 0);
	sem_init(&worker.done, 0, 0);
	/* One that was joined may be listed for a moment longer. */
	while (thread_descriptors_may_exist(proc, getpid()))
		usleep(1000);
	assert_int_equal(thrd_create(&thread, work, &worker), thrd_success);
	sem_wait(&worker.ready);
	assert_int_equal(worker.has_own_table, has_own_table);
	assert_true(thread_descriptors_may_exist(proc, getpid()));
	/* What shares the leader's table need not be looked at, but where kcmp(2) is not to be had. */
	if (has_own_table) {
		assert_int_equal(
			thread_descriptors_find(self, getpid(), worker.inode, &fd, &cost_us),
			worker.thread);
		assert_int_equal(fd, worker.fd);
		assert_true(cost_us > 0);
	}
	assert_int_equal(thread_descriptors_find(self, getpid(), 1, &fd, &cost_us), 0);
	sem_post(&worker.done);
	thrd_join(thread, NULL);
}

static void a18_a_table_of_a_threads_own(void **state)
{
	(void)state;
	check(true);
}

static void the_leaders_table_is_not_its_business(void **state)
{
	(void)state;
	check(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a18_a_table_of_a_threads_own),
		cmocka_unit_test(the_leaders_table_is_not_its_business),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
