/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The whole of it, in a network namespace of each test's own. kernel.task_delayacct is the
 * machine's and is left alone here; test_sysctl_keeper.c has it on a tree of its own. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/cleanup.h"
#include "sources/prerequisites.h"
#include "sources/tracking_probe.h"
#include "sources/tracking_table.h"
#include "support/network_namespace.h"
#include "support/temporary.h"

#define ACCT	  "netfilter/nf_conntrack_acct"
#define TIMESTAMP "netfilter/nf_conntrack_timestamp"
#define EVENTS	  "netfilter/nf_conntrack_events"

enum { SKIPPED = 77, DEADLINE_S = 10 };

static const struct config wanted = {
	.conntrack = {.activate = CONFIG_ACTIVATE_AUTO, .accounting = true},
};

static int setup(void **state)
{
	*state = temporary_make();
	return network_namespace_enter();
}

static int teardown(void **state)
{
	temporary_remove(*state);
	return 0;
}

static void expect_sysctls(int acct, int timestamp, int events)
{
	assert_int_equal(network_namespace_get(ACCT), acct);
	assert_int_equal(network_namespace_get(TIMESTAMP), timestamp);
	assert_int_equal(network_namespace_get(EVENTS), events);
}

static void expect_tracking(int outcome)
{
	assert_int_equal(tracking_probe_read(IP_FAMILY_V4), outcome);
	assert_int_equal(tracking_probe_read(IP_FAMILY_V6), outcome);
	assert_int_equal(network_namespace_get("netfilter/nf_conntrack_count"),
			 0); /* the probe removed its entry */
}

static void test_switched_on_and_put_back(void **state)
{
	struct prerequisites *prerequisites = NULL;
	const struct prerequisites_state *told;

	assert_int_equal(network_namespace_set(EVENTS, "0"), 0);
	expect_sysctls(0, 0, 0);
	expect_tracking(TRACKING_PROBE_UNTRACKED);

	assert_int_equal(prerequisites_new(&wanted, *state, &prerequisites), 0);
	told = prerequisites_get_state(prerequisites);
	assert_true(told->has_accounting && told->has_timestamps && told->is_tracking &&
		    told->owns_table);
	expect_sysctls(1, 1, 1);
	expect_tracking(TRACKING_PROBE_TRACKED);

	prerequisites_free(prerequisites);
	expect_sysctls(0, 0, 0);
	expect_tracking(TRACKING_PROBE_UNTRACKED);
}

static void wait_until_untracked(void)
{
	uint64_t deadline_ns = clock_now_ns() + DEADLINE_S * NS_PER_SEC;

	while (tracking_probe_read(IP_FAMILY_V4) == TRACKING_PROBE_TRACKED)
		if (clock_now_ns() > deadline_ns)
			fail_msg("still tracked after %d s", DEADLINE_S);
}

/* Starts a daemon in a child and kills it when all is switched on. The child has a child of its own
 * that lives on: it must not keep the table. */
static void start_and_kill(const struct config *config, const char *state_directory,
			   pid_t *ret_grandchild)
{
	int ready[2];
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct prerequisites *prerequisites;
		pid_t grandchild = -1;

		if (prerequisites_new(config, state_directory, &prerequisites) == 0)
			grandchild = fork();
		if (grandchild == 0) {
			execlp("sleep", "sleep", "60", NULL);
			_exit(1);
		}
		if (write(ready[1], &grandchild, sizeof(grandchild)) < 0)
			_exit(1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], ret_grandchild, sizeof(*ret_grandchild)),
			 sizeof(*ret_grandchild));
	assert_true(*ret_grandchild > 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(ready[1]);
}

/* The next daemon. The lock of the killed one goes when its own child has executed. */
static int start_next(const struct config *config, const char *state_directory,
		      struct prerequisites **ret)
{
	uint64_t deadline_ns = clock_now_ns() + DEADLINE_S * NS_PER_SEC;
	int r;

	do
		r = prerequisites_new(config, state_directory, ret);
	while (r == -EBUSY && clock_now_ns() < deadline_ns);
	return r;
}

static void test_after_sigkill(void **state)
{
	struct config unwanted = {.conntrack.activate = CONFIG_ACTIVATE_NEVER};
	struct prerequisites *prerequisites = NULL;
	pid_t grandchild;

	start_and_kill(&wanted, *state, &grandchild);
	wait_until_untracked();
	kill(grandchild, SIGKILL);
	assert_int_equal(network_namespace_get(ACCT), 1);
	assert_int_equal(network_namespace_get(TIMESTAMP), 1);

	assert_int_equal(start_next(&unwanted, *state, &prerequisites), 0);
	assert_int_equal(network_namespace_get(ACCT), 0);
	assert_int_equal(network_namespace_get(TIMESTAMP), 0);
	assert_false(prerequisites_get_state(prerequisites)->has_accounting);
	assert_false(prerequisites_get_state(prerequisites)->is_tracking);
	prerequisites_free(prerequisites);
}

#define DELAY "../kernel/task_delayacct"

static void test_delay_accounting(void **state)
{
	struct config config = wanted;
	struct prerequisites *prerequisites = NULL;
	cleanup_close int lock =
		open("/tmp/procflow-task_delayacct.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	int before = network_namespace_get(DELAY);
	int after_kill, after_start, after_end, r;
	bool is_told = false;
	pid_t grandchild;

	if (before < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		skip();
	assert_int_equal(network_namespace_set(DELAY, "0"), 0);
	config.processes.delay_accounting = true;
	start_and_kill(&config, *state, &grandchild);
	wait_until_untracked();
	kill(grandchild, SIGKILL);
	after_kill = network_namespace_get(DELAY);
	r = start_next(&config, *state, &prerequisites);
	after_start = network_namespace_get(DELAY);
	if (r == 0)
		is_told = prerequisites_get_state(prerequisites)->has_delay_accounting;
	prerequisites_free(prerequisites);
	after_end = network_namespace_get(DELAY);
	/* Before anything is asserted: a failure would leave the machine changed. */
	network_namespace_set(DELAY, before ? "1" : "0");
	assert_int_equal(after_kill, 1);
	assert_int_equal(r, 0);
	assert_int_equal(after_start, 1);
	assert_true(is_told);
	assert_int_equal(after_end, 0);
}

/* Runs "prepare" and then a daemon in a child with mounts of its own. What it told and what the
 * sysctl was while it ran, as bits; 0x80 where something else failed. */
enum { BIT_ACCOUNTING = 1, BIT_TRACKING = 2, BIT_SYSCTL = 4, BIT_FAILED = 0x80 };

static int run_with_mounts(const char *state_directory, int (*prepare)(const char *state_directory))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct prerequisites *prerequisites;
		const struct prerequisites_state *told;

		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    prepare(state_directory) < 0 ||
		    prerequisites_new(&wanted, state_directory, &prerequisites) < 0)
			_exit(BIT_FAILED);
		told = prerequisites_get_state(prerequisites);
		status = (told->has_accounting ? BIT_ACCOUNTING : 0) |
			 (told->is_tracking ? BIT_TRACKING : 0) |
			 (network_namespace_get(ACCT) ? BIT_SYSCTL : 0);
		prerequisites_free(prerequisites);
		_exit(status | (network_namespace_get(ACCT) ? BIT_FAILED : 0));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int make_proc_sys_read_only(unused const char *state_directory)
{
	if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0)
		return -errno;
	return mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static int make_state_read_only(const char *state_directory)
{
	return mount("tmpfs", state_directory, "tmpfs", MS_RDONLY, NULL);
}

/* Room for the lock file, not for a page of state. */
static int make_state_full(const char *state_directory)
{
	char path[128], bytes[4096] = {0};
	cleanup_close int fd = -1;

	if (mount("tmpfs", state_directory, "tmpfs", 0, "size=4k") < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/filler", state_directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return write(fd, bytes, sizeof(bytes)) == sizeof(bytes) ? 0 : -1;
}

static void test_what_cannot_be_switched_on_is_told_as_off(void **state)
{
	/* As in most containers. The table needs no sysctl. */
	assert_int_equal(run_with_mounts(*state, make_proc_sys_read_only), BIT_TRACKING);
}

static void test_without_room_to_remember_no_sysctl_is_changed(void **state)
{
	assert_int_equal(run_with_mounts(*state, make_state_read_only), BIT_TRACKING);
	assert_int_equal(run_with_mounts(*state, make_state_full), BIT_TRACKING);
}

static void test_second_daemon_is_refused(void **state)
{
	struct prerequisites *first = NULL, *second = NULL;

	assert_int_equal(prerequisites_new(&wanted, *state, &first), 0);
	assert_int_equal(prerequisites_new(&wanted, *state, &second), -EBUSY);
	assert_null(second);
	assert_int_equal(network_namespace_get(ACCT), 1);
	prerequisites_free(first);
}

/* Beside rules that track already, no table of ours is made. */
static void test_a_tracking_host_gets_no_table(void **state)
{
	struct prerequisites *prerequisites = NULL;
	struct nft_table *foreign = NULL;
	struct buffer reason;

	buffer_init(&reason);
	assert_int_equal(tracking_table_new(&foreign, &reason), 0);
	assert_int_equal(prerequisites_new(&wanted, *state, &prerequisites), 0);
	assert_true(prerequisites_get_state(prerequisites)->is_tracking);
	assert_false(prerequisites_get_state(prerequisites)->owns_table);
	prerequisites_free(prerequisites);
	nft_table_free(foreign);
	buffer_fini(&reason);
}

/* What a killed daemon leaves where the kernel knows no owner flag: it tracks, and so would never be
 * noticed by asking whether anything does. */
static void make_left_table(void)
{
	assert_int_equal(
		network_namespace_run_nft("add table inet procflow; "
					  "add chain inet procflow tracking; "
					  "add rule inet procflow tracking ct state new comment "
					  "\"procflowd: starts connection tracking; no packet "
					  "comes here\""),
		0);
	expect_tracking(TRACKING_PROBE_TRACKED);
}

static void test_a_table_that_was_left_ends_with_the_next_daemon(void **state)
{
	struct config config = wanted;
	struct prerequisites *prerequisites = NULL;

	make_left_table();
	assert_int_equal(prerequisites_new(&config, *state, &prerequisites), 0);
	assert_true(prerequisites_get_state(prerequisites)->owns_table);
	assert_true(prerequisites_get_state(prerequisites)->is_tracking);
	expect_tracking(TRACKING_PROBE_TRACKED);
	prerequisites_free(prerequisites);
	wait_until_untracked();

	make_left_table();
	config.conntrack.activate = CONFIG_ACTIVATE_NEVER;
	assert_int_equal(prerequisites_new(&config, *state, &prerequisites), 0);
	assert_false(prerequisites_get_state(prerequisites)->owns_table);
	wait_until_untracked();
	prerequisites_free(prerequisites);
}

static void test_taken_name_is_told_apart(void **state unused)
{
	struct nft_table *first = NULL, *second = NULL;
	struct buffer reason;

	buffer_init(&reason);
	assert_int_equal(tracking_table_new(&first, &reason), 0);
	assert_int_equal(tracking_table_new(&second, &reason), NFT_TABLE_TAKEN);
	assert_null(second);
	nft_table_free(first);
	assert_int_equal(tracking_table_new(&second, &reason), 0);
	nft_table_free(second);
	buffer_fini(&reason);
}

static void test_activate_never_makes_no_table(void **state)
{
	struct config config = wanted;
	struct prerequisites *prerequisites = NULL;

	config.conntrack.activate = CONFIG_ACTIVATE_NEVER;
	assert_int_equal(prerequisites_new(&config, *state, &prerequisites), 0);
	assert_false(prerequisites_get_state(prerequisites)->is_tracking);
	expect_tracking(TRACKING_PROBE_UNTRACKED);
	prerequisites_free(prerequisites);
}

int main(void)
{
#define network_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		network_test(test_switched_on_and_put_back),
		network_test(test_after_sigkill),
		network_test(test_delay_accounting),
		network_test(test_what_cannot_be_switched_on_is_told_as_off),
		network_test(test_without_room_to_remember_no_sysctl_is_changed),
		network_test(test_second_daemon_is_refused),
		network_test(test_a_tracking_host_gets_no_table),
		network_test(test_a_table_that_was_left_ends_with_the_next_daemon),
		network_test(test_taken_name_is_told_apart),
		network_test(test_activate_never_makes_no_table),
	};

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		return SKIPPED;
	}
#ifndef HAVE_LIBNFTABLES
	fprintf(stderr, "skipped: built without libnftables\n");
	return SKIPPED;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
