/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/macros.h"
#include "sources/host_checks.h"
#include "sources/host_report.h"
#include "support/temporary.h"

static void test_capabilities(void **state unused)
{
	uint64_t capabilities = 7;

	assert_int_equal(
		host_report_parse_capabilities(text_from("Name:\tx\nCapPrm:\t000001ffffffffff\n"
							 "CapEff:\t0000000000001001\nCapBnd:\t0\n"),
					       &capabilities),
		0);
	assert_int_equal(capabilities, 0x1001);
}

static void test_bad_capabilities_are_refused(void **state unused)
{
	static const char *const texts[] = {
		"",
		"Name:\tCapEff:\t1\n",
		"CapEff:\t\n",
		"CapEff:\t00000000000010010\n",
		"CapEff:\tnothing\n",
	};
	uint64_t capabilities = 7;

	for (size_t i = 0; i < array_length(texts); i++)
		if (host_report_parse_capabilities(text_from(texts[i]), &capabilities) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
	assert_int_equal(capabilities, 7);
}

#define MOUNT(options) "22 28 0:21 / /proc rw,nosuid - proc proc rw" options "\n"

static void test_hidepid(void **state unused)
{
	static const struct {
		const char *text;
		bool hides;
	} rows[] = {
		{"", false},
		{MOUNT(""), false},
		{MOUNT(",hidepid=0"), false},
		{MOUNT(",hidepid=off"), false},
		{MOUNT(",hidepid=1"), true},
		{MOUNT(",gid=4,hidepid=invisible"), true},
		{MOUNT(",hidepid=2") MOUNT(""), false},
		{MOUNT("") MOUNT(",hidepid=2"), true},
		/* elsewhere, or something else at that place */
		{"30 28 0:40 / /jail/proc rw - proc proc rw,hidepid=2\n", false},
		{"30 28 0:40 / /proc rw - tmpfs tmpfs rw,hidepid=2\n", false},
		{"22 28 0:21 / /proc rw - proc proc rw,hidepid=2", true},
	};

	for (size_t i = 0; i < array_length(rows); i++)
		if (host_report_parse_hidepid(text_from(rows[i].text)) != rows[i].hides)
			fail_msg("wrong: %s", rows[i].text);
}

static void test_lines_have_columns_and_missing_ones_are_counted(void **state unused)
{
	char *text = NULL;
	size_t length;
	struct host_report report = {.out = open_memstream(&text, &length)};

	host_report_write(&report, HOST_OK, "rights", "all %d", 5);
	host_report_write(&report, HOST_MISSING, "tracefs", "none");
	host_report_write(&report, HOST_NOTE, "receive buffer", "small");
	fclose(report.out);
	assert_string_equal(text, "ok       rights               all 5\n"
				  "missing  tracefs              none\n"
				  "note     receive buffer       small\n");
	assert_int_equal(report.missing, 1);
	free(text);
}

static void test_numbers_below_proc(void **state unused)
{
	char *path = temporary_make();
	struct host_report report = {.proc_fd = -1};
	int64_t number = 77;

	temporary_write(path, "sys/good", "-1\n");
	temporary_write(path, "sys/large", "9223372036854775807");
	temporary_write(path, "sys/word", "one\n");
	temporary_write(path, "sys/empty", "");
	temporary_write(path, "sys/two", "1 2\n");
	report.proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(host_report_read_number(&report, "sys/word", &number), -ERANGE);
	assert_int_equal(host_report_read_number(&report, "sys/empty", &number), -ERANGE);
	assert_int_equal(host_report_read_number(&report, "sys/two", &number), -ERANGE);
	assert_int_equal(host_report_read_number(&report, "sys/none", &number), -ENOENT);
	assert_int_equal(number, 77);
	assert_int_equal(host_report_read_number(&report, "sys/good", &number), 0);
	assert_int_equal(number, -1);
	assert_int_equal(host_report_read_number(&report, "sys/large", &number), 0);
	assert_true(number == INT64_MAX);
	close(report.proc_fd);
	temporary_remove(path);
}

/* What is said of a table that holds "count" of 1000 entries; to be freed. */
static char *check_fill(const char *count)
{
	char *directory = temporary_make(), *text = NULL;
	struct host_report report = {0};
	struct config *config = NULL;
	size_t length;

	assert_int_equal(config_new(&config), 0);
	temporary_write(directory, "sys/net/netfilter/nf_conntrack_count", count);
	temporary_write(directory, "sys/net/netfilter/nf_conntrack_max", "1000\n");
	report.config = config;
	report.out = open_memstream(&text, &length);
	report.proc_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	host_check_conntrack_fill(&report);
	fclose(report.out);
	close(report.proc_fd);
	config_free(config);
	temporary_remove(directory);
	return text;
}

static void test_k6_a_table_that_fills_is_told(void **state unused)
{
	static const struct {
		const char *count, *line;
	} rows[] = {
		{"799\n", "ok       conntrack fill       799 of 1000 entries, 79 % "
			  "(net.netfilter.nf_conntrack_max)\n"},
		{"800\n", "note     conntrack fill       800 of 1000 entries, 80 %: a full table "
			  "drops new connections; sysctl -w net.netfilter.nf_conntrack_max=2000\n"},
		{"1000\n",
		 "note     conntrack fill       1000 of 1000 entries, 100 %: a full table "
		 "drops new connections; sysctl -w net.netfilter.nf_conntrack_max=2000\n"},
	};

	for (size_t i = 0; i < array_length(rows); i++) {
		char *text = check_fill(rows[i].count);

		assert_string_equal(text, rows[i].line);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_bad_capabilities_are_refused),
		cmocka_unit_test(test_hidepid),
		cmocka_unit_test(test_lines_have_columns_and_missing_ones_are_counted),
		cmocka_unit_test(test_numbers_below_proc),
		cmocka_unit_test(test_k6_a_table_that_fills_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
