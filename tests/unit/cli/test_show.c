/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

static void assert_exporters(const char *items, const char *expected)
{
	json_t *json = json_loads(items, 0, NULL);
	struct show show = {.width = 0};
	size_t length = 0;
	char *text = NULL;

	assert_non_null(json);
	show.out = open_memstream(&text, &length);
	assert_non_null(show.out);
	assert_int_equal(show_exporters(&show, json), 0);
	fclose(show.out);
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
}

/* The sum in the table, each reason behind it, what is 0 nowhere. */
static void test_exporters(unused void **state)
{
	assert_exporters(
		"[{\"name\":\"a\",\"type\":\"ipfix\",\"to\":\"udp://x:1\",\"sent_records\":10,"
		"\"sent_messages\":2,\"sent_bytes\":900,\"waiting_records\":3,"
		"\"dropped_queue_full\":4,\"dropped_unreachable\":0,\"dropped_refused\":2,"
		"\"dropped_new\":1},"
		"{\"name\":\"b\",\"type\":\"json\",\"to\":\"stdout:\",\"sent_records\":1,"
		"\"sent_messages\":1,\"sent_bytes\":8,\"waiting_records\":0,\"dropped_spool\":0}]",
		"NAME TYPE  TO        RECORDS MESSAGES BYTES WAITING DROPPED\n"
		"a    ipfix udp://x:1      10        2  900B       3       7\n"
		"b    json  stdout:         1        1    8B       0       0\n"
		"a: dropped_queue_full 4: the queue was full\n"
		"a: dropped_refused 2: the collector will never take them\n"
		"a: dropped_new 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exporters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
