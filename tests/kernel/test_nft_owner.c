/* SPDX-License-Identifier: GPL-2.0-or-later */

/* An nft table with "flags owner" belongs to the socket that made it (kernel 5.12;
 * nft_rcv_nl_event() and nft_table_lookup(), net/netfilter/nf_tables_api.c). Older kernels refuse
 * the flag: there the table is removed by hand, and a table that was left is known again. */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "sources/tracking_table.h"
#include "support/network_namespace.h"

enum { SKIPPED = 77, DEADLINE_S = 10 };

static int set_up(void **state unused)
{
	return network_namespace_enter();
}

static void need_owner_flag(void)
{
	if (network_namespace_run_nft("add table inet t { flags owner; }") == 0)
		return;
	print_message("skipped: nf_tables knows no owner flag\n");
	skip();
}

static int try_make(void)
{
	struct nft_table *table = NULL;
	struct buffer reason;
	int r;

	buffer_init(&reason);
	r = tracking_table_new(&table, &reason);
	if (r < 0)
		fprintf(stderr, "%.*s\n", (int)reason.length, (const char *)reason.bytes);
	if (r == 0)
		nft_table_free(table);
	buffer_fini(&reason);
	return r;
}

/* Makes the table in a child of its own and returns when it is there. */
static pid_t start_owner(void)
{
	int ready[2];
	pid_t child;
	int made = -1;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct nft_table *table;
		struct buffer reason;

		buffer_init(&reason);
		made = tracking_table_new(&table, &reason);
		if (write(ready[1], &made, sizeof(made)) < 0)
			_exit(1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &made, sizeof(made)), sizeof(made));
	assert_int_equal(made, 0);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void test_sigkill_of_the_owner_removes_the_table(void **state unused)
{
	pid_t owner;
	uint64_t deadline_ns;

	need_owner_flag();
	owner = start_owner();
	assert_int_equal(network_namespace_run_nft("list table inet procflow"), 0);
	assert_int_equal(try_make(), NFT_TABLE_TAKEN);
	kill(owner, SIGKILL);
	assert_int_equal(waitpid(owner, NULL, 0), owner);
	deadline_ns = clock_now_ns() + DEADLINE_S * NS_PER_SEC;
	while (network_namespace_run_nft("list table inet procflow") == 0)
		if (clock_now_ns() > deadline_ns)
			fail_msg("the table is there %d s after SIGKILL", DEADLINE_S);
	assert_int_equal(try_make(), 0);
}

static void test_others_can_neither_change_nor_flush_it(void **state unused)
{
	pid_t owner;

	need_owner_flag();
	owner = start_owner();
	assert_int_not_equal(network_namespace_run_nft("delete table inet procflow"), 0);
	assert_int_not_equal(network_namespace_run_nft("add chain inet procflow other"), 0);
	/* A firewall that reloads itself. */
	assert_int_equal(network_namespace_run_nft("flush ruleset"), 0);
	assert_int_equal(network_namespace_run_nft("list table inet procflow"), 0);
	kill(owner, SIGKILL);
	assert_int_equal(waitpid(owner, NULL, 0), owner);
}

/* A table that somebody made by hand is not taken over. */
static void test_a_table_without_an_owner_is_left_alone(void **state unused)
{
	assert_int_equal(network_namespace_run_nft("add table inet procflow; "
						   "add chain inet procflow theirs"),
			 0);
	assert_int_equal(try_make(), NFT_TABLE_TAKEN);
	assert_int_equal(network_namespace_run_nft("list chain inet procflow theirs"), 0);
	assert_int_not_equal(network_namespace_run_nft("list chain inet procflow tracking"), 0);
}

static bool has_table(void)
{
	return network_namespace_run_nft("list table inet procflow") == 0;
}

/* By the kernel with its owner's socket, or by name where it has no owner. */
static void test_the_table_ends_with_its_use(void **state unused)
{
	struct nft_table *table = NULL;
	struct buffer reason;

	buffer_init(&reason);
	assert_int_equal(tracking_table_check(&reason), 0);
	assert_false(has_table());
	assert_int_equal(tracking_table_take_left(&table), -ENOENT);
	assert_int_equal(tracking_table_new(&table, &reason), 0);
	assert_true(has_table());
	nft_table_free(table);
	assert_false(has_table());
	buffer_fini(&reason);
}

/* What a killed daemon leaves on a kernel without the flag. */
static void test_a_table_that_was_left_is_taken_over(void **state unused)
{
	struct nft_table *table = NULL;

	assert_int_equal(
		network_namespace_run_nft("add table inet procflow; "
					  "add chain inet procflow tracking; "
					  "add rule inet procflow tracking ct state new comment "
					  "\"procflowd: starts connection tracking; no packet "
					  "comes here\""),
		0);
	assert_int_equal(tracking_table_take_left(&table), 0);
	assert_true(has_table());
	nft_table_free(table);
	assert_false(has_table());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sigkill_of_the_owner_removes_the_table, set_up),
		cmocka_unit_test_setup(test_others_can_neither_change_nor_flush_it, set_up),
		cmocka_unit_test_setup(test_a_table_without_an_owner_is_left_alone, set_up),
		cmocka_unit_test_setup(test_the_table_ends_with_its_use, set_up),
		cmocka_unit_test_setup(test_a_table_that_was_left_is_taken_over, set_up),
	};

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		return SKIPPED;
	}
	if (network_namespace_run_nft("add table inet t") < 0) {
		fprintf(stderr, "skipped: no nf_tables\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
