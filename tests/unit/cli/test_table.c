/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/table.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

static const struct table_column columns[] = {
	{"NAME", false, true}, {"PID", true, false}, {"HOST", false, true}};

static void assert_printed(const struct table *table, unsigned width, bool has_colours,
			   const char *expected)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	table_print(table, out, width, has_colours);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static struct table *make_table(void)
{
	static const char *const rows[][3] = {{"curl", "1", "10.0.0.1:443"},
					      {"a-long-name", "12345", NULL}};
	struct table *table = table_new(columns, array_length(columns));

	assert_non_null(table);
	for (size_t i = 0; i < array_length(rows); i++)
		assert_int_equal(table_add(table, rows[i]), 0);
	return table;
}

static void columns_are_as_wide_as_needed(unused void **state)
{
	struct table *table = make_table();

	assert_printed(table, 0, false,
		       "NAME          PID HOST\n"
		       "curl            1 10.0.0.1:443\n"
		       "a-long-name 12345 \n");
	table_free(table);
}

static void flexible_columns_are_cut(unused void **state)
{
	struct table *table = make_table();

	assert_printed(table, 24, false,
		       "NAME       PID HOST\n"
		       "curl         1 10.0.0.1~\n"
		       "a-long-~ 12345 \n");
	/* They keep something, however narrow the terminal is. */
	assert_printed(table, 3, false,
		       "NAME     PID HOST\n"
		       "curl       1 10.0.~\n"
		       "a-lon~ 12345 \n");
	table_free(table);
}

static void titles_are_bold_on_a_terminal(unused void **state)
{
	struct table *table = table_new(columns, 1);

	assert_non_null(table);
	assert_printed(table, 0, true, "\x1b[1mNAME\x1b[0m\n");
	table_free(table);
}

static void width_counts_characters(unused void **state)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	assert_int_equal(table_measure("h\xc3\xa9llo"), 5);
	assert_int_equal(table_measure("\xe6\x97\xa5"), 2); /* a wide one */
	assert_int_equal(table_measure("\xff\xfe"), 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_needed),
		cmocka_unit_test(flexible_columns_are_cut),
		cmocka_unit_test(titles_are_bold_on_a_terminal),
		cmocka_unit_test(width_counts_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
