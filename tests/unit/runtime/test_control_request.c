/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/control_request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"

static struct control_request accept_line(const char *line)
{
	struct control_request request;
	struct control_refusal refusal = {.reason = ""};
	int r = control_request_parse(line, strlen(line), &request, &refusal);

	if (r != 0)
		fail_msg("%s: %s", line, refusal.reason);
	return request;
}

static void refuse_line(const char *line, const char *word, const char *part)
{
	struct control_request request;
	struct control_refusal refusal = {.word = NULL};

	assert_int_equal(control_request_parse(line, strlen(line), &request, &refusal), -EINVAL);
	assert_string_equal(refusal.word, word);
	if (!strstr(refusal.reason, part))
		fail_msg("%s: \"%s\" is not in \"%s\"", line, part, refusal.reason);
}

static void filters_are_read(unused void **state)
{
	struct control_request request = accept_line(
		"{\"version\":1,\"command\":\"flows\",\"process\":\"curl\",\"pid\":7,\"user\":"
		"\"al\","
		"\"port\":0,\"host\":\"10.0.0.0/8\",\"container\":\"ab\",\"sort\":\"cpu\","
		"\"limit\":3}");

	assert_string_equal(request.command, "flows");
	assert_string_equal(request.filter.process, "curl");
	assert_string_equal(request.filter.user, "al");
	assert_string_equal(request.filter.container, "ab");
	assert_int_equal(request.filter.pid, 7);
	assert_true(request.filter.has_port);
	assert_int_equal(request.filter.port, 0);
	assert_int_equal(request.filter.host.bits, 8);
	assert_int_equal(request.sort, CONTROL_SORT_CPU);
	assert_int_equal(request.limit, 3);
}

static void what_is_sorted_is_bounded(unused void **state)
{
	assert_int_equal(accept_line("{\"version\":1,\"command\":\"flows\"}").limit, 0);
	assert_int_equal(
		accept_line("{\"version\":1,\"command\":\"flows\",\"sort\":\"age\"}").limit,
		CONTROL_SORTED_MAX);
	assert_int_equal(accept_line("{\"version\":1,\"command\":\"processes\",\"sort\":\"memory\","
				     "\"limit\":4000000000}")
				 .limit,
			 CONTROL_SORTED_MAX);
}

static void wrong_requests_are_refused_by_name(unused void **state)
{
	refuse_line("", "bad-request", "no JSON");
	refuse_line("garbage", "bad-request", "no JSON");
	refuse_line("{\"version\":1,\"command\":\"status\"", "bad-request", "no JSON");
	refuse_line("[1]", "bad-request", "no object");
	refuse_line("{}", "bad-request", "version");
	refuse_line("{\"version\":\"1\"}", "bad-request", "version");
	refuse_line("{\"version\":2,\"command\":\"status\"}", "unsupported-version", "version 1");
	refuse_line("{\"version\":1}", "bad-request", "command");
	refuse_line("{\"version\":1,\"command\":\"stop\"}", "unknown-command", "\"stop\"");
	refuse_line("{\"version\":1,\"version\":1,\"command\":\"status\"}", "bad-request",
		    "no JSON");
	refuse_line("{\"version\":1,\"command\":\"status\",\"pid\":1}", "bad-request", "\"pid\"");
	refuse_line("{\"version\":1,\"command\":\"flows\",\"colour\":1}", "bad-request",
		    "\"colour\"");
	refuse_line("{\"version\":1,\"command\":\"processes\",\"port\":1}", "bad-request",
		    "\"port\"");
}

static void wrong_values_are_refused(unused void **state)
{
	static const struct {
		const char *text, *part;
	} wrong[] = {
		{"\"pid\":0", "pid"},
		{"\"pid\":2147483648", "pid"},
		{"\"pid\":\"1\"", "pid"},
		{"\"port\":65536", "port"},
		{"\"port\":-1", "port"},
		{"\"limit\":0", "limit"},
		{"\"host\":\"10.0.0.1/8\"", "host"},
		{"\"host\":null", "host"},
		{"\"process\":\"\"", "process"},
		{"\"process\":\"a\\u0000b\"", "no JSON"},
		{"\"user\":[]", "user"},
		{"\"user\":\"0123456789012345678901234567890123456789012345678901234567890123\"",
		 "user"},
		{"\"sort\":\"memory\"", "sort"},
		{"\"sort\":7", "sort"},
	};

	for (size_t i = 0; i < array_length(wrong); i++) {
		char line[256];

		snprintf(line, sizeof(line), "{\"version\":1,\"command\":\"flows\",%s}",
			 wrong[i].text);
		refuse_line(line, "bad-request", wrong[i].part);
	}
}

/* Bytes of requests in any disorder: no crash, and one of the outcomes. */
static void mutations_are_survived(unused void **state)
{
	static const char good[] =
		"{\"version\":1,\"command\":\"flows\",\"host\":\"::1\",\"limit\":3}";

	srand(3);
	for (int round = 0; round < 20000; round++) {
		struct control_request request;
		struct control_refusal refusal;
		char line[sizeof(good)];
		int r;

		memcpy(line, good, sizeof(good));
		for (int i = rand() % 4; i >= 0; i--)
			line[(size_t)rand() % (sizeof(good) - 1)] = (char)rand();
		r = control_request_parse(line, (size_t)rand() % sizeof(good), &request, &refusal);
		assert_true(r == 0 || r == -EINVAL);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_are_read),
		cmocka_unit_test(what_is_sorted_is_bounded),
		cmocka_unit_test(wrong_requests_are_refused_by_name),
		cmocka_unit_test(wrong_values_are_refused),
		cmocka_unit_test(mutations_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
