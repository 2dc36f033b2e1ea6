/* SPDX-License-Identifier: GPL-2.0-or-later */

/* In a network namespace of each test's own, so that its conntrack settings are known. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "sources/host_check.h"
#include "sources/tracking_probe.h"
#include "sources/state_directory.h"
#include "support/network_namespace.h"
#include "support/temporary.h"

enum { SKIPPED = 77 };

#define ACCT	  "netfilter/nf_conntrack_acct"
#define TIMESTAMP "netfilter/nf_conntrack_timestamp"
#define EVENTS	  "netfilter/nf_conntrack_events"

static int set_up(void **state)
{
	struct config *config = NULL;

	if (network_namespace_enter() < 0 || config_new(&config) < 0)
		return -1;
	*state = config;
	return 0;
}

static int tear_down(void **state)
{
	config_free(*state);
	return 0;
}

static unsigned count_lines(const char *text, const char *start)
{
	unsigned count = 0;

	for (const char *line = text; line && *line;) {
		const char *end = strchr(line, '\n');

		count += strncmp(line, start, strlen(start)) == 0;
		line = end ? end + 1 : NULL;
	}
	return count;
}

/* What --check prints; also holds the count that it returns to the lines. */
static char *check(const struct config *config)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	unsigned missing = host_check(config, out);

	fclose(out);
	if (count_lines(text, "missing  ") != missing)
		fail_msg("returned %u:\n%s", missing, text);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	if (count_lines(text, line) != 1)
		fail_msg("not one line \"%s\" in:\n%s", line, text);
}

static void test_a_fresh_host(void **state)
{
	cleanup_free char *text = check(*state);

	expect_line(text, "ok       connection tracking  nothing tracks connections here yet: the "
			  "daemon switches it on");
	expect_line(text, "ok       accounting           net.netfilter.nf_conntrack_acct is 0: the "
			  "daemon switches it on");
	expect_line(text,
		    "ok       timestamps           net.netfilter.nf_conntrack_timestamp is 0: "
		    "the daemon switches it on");
	expect_line(text, "ok       conntrack fill       0 of ");
}

static void test_nothing_is_changed(void **state)
{
	cleanup_free char *text = check(*state);

	assert_non_null(text);
	assert_int_equal(network_namespace_get(ACCT), 0);
	assert_int_equal(network_namespace_get(TIMESTAMP), 0);
	assert_int_equal(network_namespace_get("netfilter/nf_conntrack_count"), 0);
	assert_int_equal(tracking_probe_read(IP_FAMILY_V4), TRACKING_PROBE_UNTRACKED);
	assert_int_not_equal(network_namespace_run_nft("list table inet procflow"), 0);
}

static void test_a_host_with_a_firewall(void **state)
{
	cleanup_free char *text = NULL;

	assert_int_equal(network_namespace_track(), 0);
	assert_int_equal(network_namespace_set(ACCT, "1"), 0);
	text = check(*state);
	expect_line(text, "ok       connection tracking  a rule of this host tracks connections "
			  "already (IPv4 and IPv6)");
	expect_line(text, "ok       accounting           net.netfilter.nf_conntrack_acct is 1\n");
}

static void test_ipv6_untracked_beside_ipv4(void **state)
{
	cleanup_free char *text = NULL;

	assert_int_equal(network_namespace_run_nft("table ip t { chain c { ct state new; }; }"), 0);
	text = check(*state);
	expect_line(text, "ok       connection tracking  nothing tracks IPv6 connections here yet");
}

static void test_what_the_configuration_refuses(void **state)
{
	struct config *config = *state;
	cleanup_free char *text = NULL;

	config->conntrack.activate = CONFIG_ACTIVATE_NEVER;
	config->conntrack.accounting = false;
	config->attribution.methods = CONFIG_METHOD_SOCK_DIAG;
	text = check(config);
	expect_line(text, "note     tracepoints          not used: ");
	expect_line(text, "missing  connection tracking  nothing tracks connections here and "
			  "conntrack.activate is never; nft '");
	expect_line(text, "note     accounting           net.netfilter.nf_conntrack_acct is 0 and "
			  "conntrack.accounting is false: new flows carry no byte and packet "
			  "counts; sysctl -w net.netfilter.nf_conntrack_acct=1\n");
}

static void test_a_table_in_the_way(void **state)
{
	cleanup_free char *text = NULL;

	assert_int_equal(network_namespace_run_nft("add table inet procflow"), 0);
	text = check(*state);
	expect_line(text,
		    "missing  connection tracking  nothing tracks connections here, and an nft "
		    "table \"inet procflow\" is in the way; nft delete table inet procflow\n");
}

static void test_k2_events_off(void **state)
{
	cleanup_free char *text = NULL;

	assert_int_equal(network_namespace_set(EVENTS, "0"), 0);
	text = check(*state);
	expect_line(text,
		    "ok       conntrack events     net.netfilter.nf_conntrack_events is 0: the "
		    "daemon switches it on");
}

static void test_the_program_sysdig(void **state)
{
	static char program[] = "sh", missing[] = "no-such-sysdig", no_program[] = "/etc/passwd";
	static char capture[] = "/etc/passwd", no_capture[] = "/nowhere/capture.scap";
	struct config *config = *state;
	struct {
		char *program, *capture;
		const char *line;
	} cases[] = {
		{program, NULL, "ok       sysdig               sh can be run; "},
		{missing, NULL,
		 "missing  sysdig               no-such-sysdig cannot be run: No such file"},
		{no_program, NULL,
		 "missing  sysdig               /etc/passwd cannot be run: Permission denied"},
		{program, capture,
		 "ok       sysdig               sh can be run, and /etc/passwd be read\n"},
		{program, no_capture,
		 "missing  sysdig               /nowhere/capture.scap cannot be read: No such "
		 "file"},
	};
	char **command = config->sysdig.command.items;
	char *text = check(config);

	assert_int_equal(
		count_lines(text, "ok       sysdig") + count_lines(text, "missing  sysdig"), 0);
	free(text);
	config->sysdig.enable = true;
	for (size_t i = 0; i < array_length(cases); i++) {
		config->sysdig.command.items = (char *[]){cases[i].program, NULL};
		config->sysdig.capture = cases[i].capture;
		text = check(config);
		expect_line(text, cases[i].line);
		free(text);
	}
	config->sysdig.command.items = command;
	config->sysdig.capture = NULL;
}

static char *check_state(const struct config *config, const char *path)
{
	char *text;

	setenv("STATE_DIRECTORY", path, 1);
	text = check(config);
	unsetenv("STATE_DIRECTORY");
	return text;
}

static void expect_state(const struct config *config, const char *path, const char *line)
{
	cleanup_free char *text = check_state(config, path), *expected = NULL;

	assert_true(asprintf(&expected, line, path) > 0);
	expect_line(text, expected);
}

static void test_the_state_directory(void **state)
{
	char *directory = temporary_make();
	cleanup_free char *deep = NULL, *file = NULL;
	struct state_directory held;

	assert_true(asprintf(&deep, "%s/a/b", directory) > 0);
	assert_true(asprintf(&file, "%s/file/c", directory) > 0);
	temporary_write(directory, "file", "");
	expect_state(*state, directory, "ok       state directory      %s can be written to\n");
	expect_state(*state, deep, "ok       state directory      %s will be made\n");
	assert_false(temporary_has(directory, "a"));
	expect_state(*state, file,
		     "missing  state directory      %s cannot be used: Not a directory; ");
	expect_state(
		*state, "/proc/nope",
		"missing  state directory      %s cannot be used: No such file or directory; ");
	assert_int_equal(state_directory_open(directory, &held), 0);
	expect_state(*state, directory, "note     state directory      %s is in use: ");
	state_directory_close(&held);
	expect_state(*state, directory, "ok       state directory      %s can be written to\n");
	temporary_remove(directory);
}

static void set_effective(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

/* Effective capabilities are put down for the check and taken up again from the permitted ones. */
static void test_without_rights(void **state)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct held[2], none[2];
	cleanup_free char *text = NULL;

	assert_int_equal(syscall(SYS_capget, &header, held), 0);
	memcpy(none, held, sizeof(held));
	none[0].effective = 0;
	none[1].effective = 0;
	set_effective(none);
	text = check(*state);
	set_effective(held);
	expect_line(text, "missing  rights               CAP_NET_ADMIN is not held: ");
	expect_line(text, "missing  rights               CAP_SYS_PTRACE is not held: ");
	expect_line(text, "missing  rights               CAP_PERFMON is not held: ");
	expect_line(text, "missing  rights               CAP_SYS_ADMIN is not held: the network "
			  "namespaces of containers");
	expect_line(text,
		    "missing  rights               CAP_NET_BROADCAST is not held: TCP sockets");
	expect_line(text, "missing  connection tracking  conntrack cannot be asked without "
			  "CAP_NET_ADMIN; run as root\n");
	expect_line(text, "missing  taskstats            does not answer: Operation not permitted");
	expect_line(text, "note     receive buffer       grows to ");
	assert_int_equal(count_lines(text, "ok       rights"), 0);
}

/* Where delays are counted already there is nothing to switch on. */
static void test_rights_that_are_not_needed(void **state)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct held[2], fewer[2];
	struct config *config = *state;
	cleanup_free char *text = NULL;
	const char *line = "missing  rights               CAP_SYS_ADMIN is not held: "
			   "kernel.task_delayacct";

	config->attribution.namespaces = CONFIG_NAMESPACES_HOST;
	assert_int_equal(syscall(SYS_capget, &header, held), 0);
	memcpy(fewer, held, sizeof(held));
	fewer[0].effective &= ~(1u << CAP_SYS_ADMIN | 1u << CAP_NET_BROADCAST);
	set_effective(fewer);
	text = check(config);
	set_effective(held);
	assert_int_equal(count_lines(text, "missing  rights               CAP_NET_BROADCAST"), 0);
	assert_int_equal(count_lines(text, "missing  rights               CAP_SYS_ADMIN"),
			 count_lines(text, line));
	assert_int_equal(
		count_lines(text, line),
		count_lines(text, "missing  delay accounting     kernel.task_delayacct is 0"));
}

int main(void)
{
#define network_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		network_test(test_a_fresh_host),
		network_test(test_nothing_is_changed),
		network_test(test_a_host_with_a_firewall),
		network_test(test_ipv6_untracked_beside_ipv4),
		network_test(test_what_the_configuration_refuses),
		network_test(test_a_table_in_the_way),
		network_test(test_k2_events_off),
		network_test(test_the_program_sysdig),
		network_test(test_without_rights),
		network_test(test_rights_that_are_not_needed),
		network_test(test_the_state_directory),
	};

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		return SKIPPED;
	}
	if (network_namespace_track() < 0) {
		fprintf(stderr, "skipped: no nf_tables with ct\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
