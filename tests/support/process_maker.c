/* SPDX-License-Identifier: GPL-2.0-or-later */

/* process_maker COUNT: forks so many processes as fast as it can, some at a time. They have names,
 * users, exit codes (or a signal), and some of them threads, a second program or work of their own.
 * Then one JSON array on standard output: what wait4(2) told of each. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { AT_A_TIME = 24, KINDS = 6, FIRST_UID = 20000, UIDS = 7, BURN_EVERY = 20, BURN_MS = 25 };

struct made {
	pid_t pid;
	long begin_ms, end_ms; /* it was forked after, and waited for by then: since 1970 */
	int status;
	long cpu_us;
};

static void burn(long ms)
{
	struct timespec used;
	long target;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	target = used.tv_sec * 1000 + used.tv_nsec / 1000000 + ms;
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < target);
}

static void *work(void *argument)
{
	burn(*(long *)argument);
	return NULL;
}

static void run_threads(void)
{
	long ms = 2;
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, work, &ms) != 0)
			_exit(99);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static _Noreturn void live(int number)
{
	char name[16];

	snprintf(name, sizeof(name), "made-%d", number);
	if (setresgid(FIRST_UID, FIRST_UID, FIRST_UID) < 0 ||
	    setresuid((uid_t)(FIRST_UID + number % UIDS), (uid_t)(FIRST_UID + number % UIDS),
		      (uid_t)(FIRST_UID + number % UIDS)) < 0)
		_exit(98);
	prctl(PR_SET_NAME, name);
	if (number % BURN_EVERY == 0)
		burn(BURN_MS);
	switch (number % KINDS) {
	case 1:
		raise(SIGKILL);
		break;
	case 2:
		run_threads();
		break;
	case 3:
		execl("/bin/sh", "sh", "-c", "exit 33", (char *)NULL);
		_exit(97);
	}
	_exit(number % 200);
}

static long read_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void await_one(struct made *made, int count)
{
	struct rusage use;
	int status;
	pid_t pid = wait4(-1, &status, 0, &use);

	for (int i = 0; i < count; i++) {
		if (made[i].pid != pid || made[i].status != -1)
			continue;
		made[i].status = status;
		made[i].end_ms = read_ms();
		made[i].cpu_us = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
				 use.ru_utime.tv_usec + use.ru_stime.tv_usec;
	}
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0;
	struct made *made = calloc((size_t)count + 1, sizeof(*made));

	for (int i = 0; made && i < count; i++) {
		if (i >= AT_A_TIME)
			await_one(made, i);
		made[i].status = -1;
		made[i].begin_ms = read_ms();
		made[i].pid = fork();
		if (made[i].pid == 0)
			live(i);
		if (made[i].pid < 0)
			return 1;
	}
	for (int i = 0; i < AT_A_TIME && i < count; i++)
		await_one(made, count);
	printf("[");
	for (int i = 0; i < count; i++) {
		char name[24] = "sh";

		if (i % KINDS != 3)
			snprintf(name, sizeof(name), "made-%d", i);
		printf("%s{\"pid\": %d, \"name\": \"%s\", \"uid\": %d, \"status\": %d, "
		       "\"cpu_us\": %ld, \"begin_ms\": %ld, \"end_ms\": %ld}\n",
		       i ? "," : "", made[i].pid, name, FIRST_UID + i % UIDS, made[i].status,
		       made[i].cpu_us, made[i].begin_ms, made[i].end_ms);
	}
	printf("]\n");
	free(made);
	return 0;
}
