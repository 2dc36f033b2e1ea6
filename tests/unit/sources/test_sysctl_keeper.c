/* SPDX-License-Identifier: GPL-2.0-or-later */

/* On a tree of files that stands for /proc/sys. A killed daemon is a child that ends by _exit(). */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "sources/sysctl_keeper.h"
#include "support/temporary.h"

#define ACCT	  "sys/net/netfilter/nf_conntrack_acct"
#define TIMESTAMP "sys/net/netfilter/nf_conntrack_timestamp"
#define EVENTS	  "sys/net/netfilter/nf_conntrack_events"
#define DELAY	  "sys/kernel/task_delayacct"
#define NET_FILE  "state/sysctl-net-10"
#define BOOT	  "5b4a3e0c-3a7c-4c1e-9b8e-0f5f3c2b1a09"

static const struct sysctl_place place = {BOOT, 10, 3};
static const bool all[SYSCTL_KEYS] = {true, true, true, true};
static const bool none[SYSCTL_KEYS];

struct tree {
	char *path, *state_path;
	int root_fd;
};

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	char sys_path[64];

	tree->path = temporary_make();
	temporary_write(tree->path, ACCT, "0\n");
	temporary_write(tree->path, TIMESTAMP, "0\n");
	temporary_write(tree->path, EVENTS, "2\n");
	temporary_write(tree->path, DELAY, "0\n");
	snprintf(sys_path, sizeof(sys_path), "%s/sys", tree->path);
	tree->root_fd = open(sys_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(asprintf(&tree->state_path, "%s/state", tree->path) > 0);
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	struct tree *tree = *state;

	close(tree->root_fd);
	temporary_remove(tree->path);
	free(tree->state_path);
	free(tree);
	return 0;
}

static void expect_holds(const struct tree *tree, const char *name, const char *value)
{
	cleanup_free char *text = temporary_read(tree->path, name);

	if (!text || strcmp(text, value) != 0)
		fail_msg("%s holds %s, not %s", name, text, value);
}

static struct sysctl_keeper *start_at(const struct tree *tree, const struct sysctl_place *where,
				      const bool wanted[SYSCTL_KEYS])
{
	struct sysctl_keeper *keeper = NULL;

	assert_int_equal(sysctl_keeper_new(tree->root_fd, where, tree->state_path, &keeper), 0);
	sysctl_keeper_switch_on(keeper, wanted);
	return keeper;
}

static struct sysctl_keeper *start(const struct tree *tree, const bool wanted[SYSCTL_KEYS])
{
	return start_at(tree, &place, wanted);
}

/* Runs a daemon that is killed after it switched on what is wanted. */
static void start_and_kill_at(const struct tree *tree, const struct sysctl_place *where,
			      const bool wanted[SYSCTL_KEYS])
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		start_at(tree, where, wanted);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_switches_on_and_puts_back(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper = start(tree, all);
	cleanup_free char *file = temporary_read(tree->path, NET_FILE);
	struct stat status;

	expect_holds(tree, ACCT, "1\n");
	expect_holds(tree, TIMESTAMP, "1\n");
	expect_holds(tree, EVENTS, "2\n"); /* anything but 0 is on */
	expect_holds(tree, DELAY, "1\n");
	assert_string_equal(file, "procflow-sysctl 1\nboot " BOOT "\nnetns 10 3\n"
				  "change net.netfilter.nf_conntrack_acct 0 1\n"
				  "change net.netfilter.nf_conntrack_timestamp 0 1\nend\n");
	assert_true(temporary_has(tree->path, "state/sysctl-kernel"));
	assert_int_equal(stat(tree->state_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0750);

	sysctl_keeper_free(keeper);
	expect_holds(tree, ACCT, "0\n");
	expect_holds(tree, TIMESTAMP, "0\n");
	expect_holds(tree, DELAY, "0\n");
	assert_false(temporary_has(tree->path, NET_FILE));
	assert_false(temporary_has(tree->path, "state/sysctl-kernel"));
}

static void test_what_is_on_already_is_not_ours(void **state)
{
	struct tree *tree = *state;

	temporary_write(tree->path, ACCT, "1\n");
	temporary_write(tree->path, TIMESTAMP, "1\n");
	sysctl_keeper_free(start(tree, all));
	expect_holds(tree, ACCT, "1\n");
	assert_false(temporary_has(tree->path, NET_FILE));
}

static void test_events_off_are_switched_on(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper;

	temporary_write(tree->path, EVENTS, "0\n");
	keeper = start(tree, all);
	expect_holds(tree, EVENTS, "1\n");
	sysctl_keeper_free(keeper);
	expect_holds(tree, EVENTS, "0\n");
}

static void test_killed_then_wanted_again(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper;

	start_and_kill_at(tree, &place, all);
	expect_holds(tree, ACCT, "1\n");
	keeper = start(tree, all);
	expect_holds(tree, ACCT, "1\n");
	assert_true(temporary_has(tree->path, NET_FILE));
	sysctl_keeper_free(keeper);
	expect_holds(tree, ACCT, "0\n");
	expect_holds(tree, DELAY, "0\n");
	assert_false(temporary_has(tree->path, NET_FILE));
}

static void test_killed_again_and_again_keeps_the_first_old_value(void **state)
{
	struct tree *tree = *state;

	for (unsigned i = 0; i < 3; i++)
		start_and_kill_at(tree, &place, all);
	sysctl_keeper_free(start(tree, none));
	expect_holds(tree, ACCT, "0\n");
	expect_holds(tree, TIMESTAMP, "0\n");
	expect_holds(tree, DELAY, "0\n");
}

static void test_killed_and_no_longer_wanted(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper;

	start_and_kill_at(tree, &place, all);
	keeper = start(tree, none);
	expect_holds(tree, ACCT, "0\n");
	expect_holds(tree, TIMESTAMP, "0\n");
	expect_holds(tree, DELAY, "0\n");
	assert_false(temporary_has(tree->path, NET_FILE));
	sysctl_keeper_free(keeper);
}

static void test_changed_by_others_stays(void **state)
{
	struct tree *tree = *state;

	start_and_kill_at(tree, &place, all);
	temporary_write(tree->path, ACCT, "2\n");
	sysctl_keeper_free(start(tree, none));
	expect_holds(tree, ACCT, "2\n");
	expect_holds(tree, TIMESTAMP, "0\n");
	assert_false(temporary_has(tree->path, NET_FILE));
}

static void test_changed_by_others_while_running_stays(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper = start(tree, all);

	temporary_write(tree->path, ACCT, "2\n");
	sysctl_keeper_free(keeper);
	expect_holds(tree, ACCT, "2\n");
	expect_holds(tree, TIMESTAMP, "0\n");
}

static void test_other_boot_is_forgotten(void **state)
{
	struct tree *tree = *state;
	struct sysctl_place before = place;

	before.boot_id[0] = '6';
	start_and_kill_at(tree, &before, all);
	/* After the reboot the administrator has them on for good. */
	sysctl_keeper_free(start(tree, none));
	expect_holds(tree, ACCT, "1\n");
	expect_holds(tree, DELAY, "1\n");
	assert_false(temporary_has(tree->path, NET_FILE));
	assert_false(temporary_has(tree->path, "state/sysctl-kernel"));
}

static void test_other_netns_keeps_its_own(void **state)
{
	struct tree *tree = *state;
	const struct sysctl_place other = {BOOT, 11, 4};

	start_and_kill_at(tree, &other, all);
	sysctl_keeper_free(start(tree, none));
	expect_holds(tree, ACCT, "1\n"); /* in the test both namespaces share the tree */
	expect_holds(tree, DELAY, "0\n");
	assert_true(temporary_has(tree->path, "state/sysctl-net-11"));
	assert_false(temporary_has(tree->path, "state/sysctl-kernel"));
	sysctl_keeper_free(start_at(tree, &other, none));
	expect_holds(tree, ACCT, "0\n");
}

static void test_inode_given_again_is_not_the_same_netns(void **state)
{
	struct tree *tree = *state;
	const struct sysctl_place gone = {BOOT, 10, 2};

	start_and_kill_at(tree, &gone, all);
	sysctl_keeper_free(start(tree, none));
	expect_holds(tree, ACCT, "1\n");
	assert_false(temporary_has(tree->path, NET_FILE));
}

static void test_unreadable_file_is_set_aside(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper;

	temporary_write(tree->path, ACCT, "1\n");
	temporary_write(tree->path, NET_FILE, "procflow-sysctl 1\nboot " BOOT "\nnetns 10 3\nchan");
	keeper = start(tree, all);
	expect_holds(tree, ACCT, "1\n");
	expect_holds(tree, TIMESTAMP, "1\n");
	assert_true(temporary_has(tree->path, NET_FILE ".unreadable"));
	sysctl_keeper_free(keeper);
	expect_holds(tree, ACCT, "1\n");
	expect_holds(tree, TIMESTAMP, "0\n");
	assert_true(temporary_has(tree->path, NET_FILE ".unreadable"));
}

static void test_symbolic_links_are_not_followed(void **state)
{
	struct tree *tree = *state;
	cleanup_free char *link_path = NULL, *target = NULL;

	temporary_write(tree->path, "elsewhere",
			"procflow-sysctl 1\nboot " BOOT "\nnetns 10 3\n"
			"change net.netfilter.nf_conntrack_events 0 2\nend\n");
	assert_true(asprintf(&link_path, "%s/" NET_FILE, tree->path) > 0);
	assert_true(asprintf(&target, "%s/elsewhere", tree->path) > 0);
	assert_int_equal(mkdir(tree->state_path, 0750), 0);
	assert_int_equal(symlink(target, link_path), 0);
	sysctl_keeper_free(start(tree, all));
	expect_holds(tree, EVENTS, "2\n");
	assert_true(temporary_has(tree->path, "elsewhere"));
}

static void test_second_daemon_is_refused(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper = start(tree, all), *second = NULL;

	assert_int_equal(sysctl_keeper_new(tree->root_fd, &place, tree->state_path, &second),
			 -EBUSY);
	assert_null(second);
	expect_holds(tree, ACCT, "1\n"); /* the first one's work is untouched */
	sysctl_keeper_free(keeper);
	sysctl_keeper_free(start(tree, all));
}

/* A file where the directory should be: not even root can write there. */
static void test_without_a_state_directory_nothing_is_changed(void **state)
{
	struct tree *tree = *state;

	temporary_write(tree->path, "state", "");
	sysctl_keeper_free(start(tree, all));
	expect_holds(tree, ACCT, "0\n");
	expect_holds(tree, DELAY, "0\n");
}

/* A directory of the file's name stands in for a disk that refuses the rename. */
static void test_a_state_file_that_cannot_be_written_changes_nothing(void **state)
{
	struct tree *tree = *state;

	temporary_write(tree->path, NET_FILE "/x", "");
	sysctl_keeper_free(start(tree, all));
	expect_holds(tree, ACCT, "0\n");
	expect_holds(tree, TIMESTAMP, "0\n");
	assert_false(temporary_has(tree->path, "state/.writing"));
}

static void test_missing_and_strange_sysctls_are_survived(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(unlinkat(tree->root_fd, "net/netfilter/nf_conntrack_acct", 0), 0);
	temporary_write(tree->path, TIMESTAMP, "yes\n");
	temporary_write(tree->path, EVENTS, "");
	temporary_write(tree->path, DELAY, "-1\n");
	sysctl_keeper_free(start(tree, all));
	expect_holds(tree, TIMESTAMP, "yes\n");
	expect_holds(tree, DELAY, "-1\n");
	assert_false(temporary_has(tree->path, NET_FILE));
}

/* What --prepare and --restore do around a daemon that may not write the machine's sysctl. */
static void test_prepared_for_one_without_rights(void **state)
{
	struct tree *tree = *state;
	struct sysctl_keeper *keeper = start(tree, all);
	uint64_t since_ns = sysctl_keeper_get_since(keeper, SYSCTL_DELAY_ACCOUNTING);

	assert_true(since_ns > 0);
	sysctl_keeper_leave(keeper);
	expect_holds(tree, ACCT, "1\n");
	expect_holds(tree, DELAY, "1\n");

	keeper = start(tree, all);
	assert_true(sysctl_keeper_get_since(keeper, SYSCTL_DELAY_ACCOUNTING) == since_ns);
	assert_int_equal(sysctl_keeper_get_since(keeper, SYSCTL_EVENTS), 0);
	sysctl_keeper_leave(keeper);

	assert_int_equal(sysctl_keeper_new(tree->root_fd, &place, tree->state_path, &keeper), 0);
	sysctl_keeper_free(keeper);
	expect_holds(tree, ACCT, "0\n");
	expect_holds(tree, TIMESTAMP, "0\n");
	expect_holds(tree, DELAY, "0\n");
	assert_false(temporary_has(tree->path, NET_FILE));
	assert_false(temporary_has(tree->path, "state/sysctl-kernel"));
}

int main(void)
{
#define tree_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		tree_test(test_switches_on_and_puts_back),
		tree_test(test_prepared_for_one_without_rights),
		tree_test(test_what_is_on_already_is_not_ours),
		tree_test(test_events_off_are_switched_on),
		tree_test(test_killed_then_wanted_again),
		tree_test(test_killed_again_and_again_keeps_the_first_old_value),
		tree_test(test_killed_and_no_longer_wanted),
		tree_test(test_changed_by_others_stays),
		tree_test(test_changed_by_others_while_running_stays),
		tree_test(test_other_boot_is_forgotten),
		tree_test(test_other_netns_keeps_its_own),
		tree_test(test_inode_given_again_is_not_the_same_netns),
		tree_test(test_unreadable_file_is_set_aside),
		tree_test(test_symbolic_links_are_not_followed),
		tree_test(test_second_daemon_is_refused),
		tree_test(test_without_a_state_directory_nothing_is_changed),
		tree_test(test_a_state_file_that_cannot_be_written_changes_nothing),
		tree_test(test_missing_and_strange_sysctls_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
