/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/nflog_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"

static void check(const struct nflog_rules_options *options, const char *const *wanted,
		  const char *const *unwanted)
{
	struct buffer commands;
	const char *text;

	buffer_init(&commands);
	nflog_rules_write(options, &commands);
	buffer_add_byte(&commands, '\0');
	text = (const char *)commands.bytes;
	for (; *wanted; wanted++)
		if (!strstr(text, *wanted))
			fail_msg("no \"%s\" in:\n%s", *wanted, text);
	for (; *unwanted; unwanted++)
		if (strstr(text, *unwanted))
			fail_msg("\"%s\" in:\n%s", *unwanted, text);
	/* Nothing but logging: no packet is stopped or let through by us. */
	assert_null(strstr(text, " drop\n"));
	assert_null(strstr(text, " accept\n"));
	buffer_fini(&commands);
}

static void test_first_packets(unused void **state)
{
	static const char *const wanted[] = {
		"input ct direction original ct original packets 1-20 log prefix \"procflow/t\" "
		"group 7 snaplen 256 queue-threshold 64 return\n",
		"output ct direction reply ct reply packets 1-8 log prefix \"procflow/t!\" group 7 "
		"snaplen 256 queue-threshold 1 return\n",
		"output ct direction reply ct reply packets 9-20 ",
		"forward ct state untracked log prefix \"procflow/u\" ",
		"input iifname \"lo\" return",
		NULL};
	static const char *const unwanted[] = {"output iifname", "procflow/a", NULL};
	struct nflog_rules_options options = {.group = 7, .packets = 20, .uses_conntrack = true};

	check(&options, wanted, unwanted);
}

static void test_few_packets_are_all_prompt(unused void **state)
{
	static const char *const wanted[] = {"output ct direction original ct original packets 1-3 "
					     "log prefix \"procflow/t!\"",
					     NULL};
	static const char *const unwanted[] = {"packets 4-", "packets 9-", "1-8", NULL};
	struct nflog_rules_options options = {.packets = 3, .uses_conntrack = true};

	check(&options, wanted, unwanted);
}

/* A rule with "ct" would switch on what conntrack.activate: never leaves off. */
static void test_without_conntrack(unused void **state)
{
	static const char *const wanted[] = {"log prefix \"procflow/a\"", "procflow/a!", NULL};
	static const char *const unwanted[] = {" ct ", NULL};
	struct nflog_rules_options options = {.packets = 8, .uses_conntrack = false};

	check(&options, wanted, unwanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_packets),
		cmocka_unit_test(test_few_packets_are_all_prompt),
		cmocka_unit_test(test_without_conntrack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
