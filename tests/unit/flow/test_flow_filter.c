/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix parsed;

	assert_int_equal(ip_prefix_parse(text, &parsed), 0);
	return parsed;
}

static struct flow_key key(const char *src, const char *dst)
{
	struct flow_key made = {0};
	enum ip_family family;

	assert_int_equal(ip_address_parse(src, &family, &made.tuple.src), 0);
	assert_int_equal(ip_address_parse(dst, &family, &made.tuple.dst), 0);
	made.family = (uint8_t)family;
	return made;
}

static bool passes(const struct flow_filter *filter, const char *src, const char *dst)
{
	struct flow_key made = key(src, dst);

	return flow_filter_passes(filter, &made);
}

static void test_no_lists_take_all(unused void **state)
{
	struct flow_filter filter = {0};

	assert_true(passes(&filter, "10.0.0.1", "192.0.2.1"));
	assert_true(passes(&filter, "::1", "::1"));
}

static void test_either_end_is_included(unused void **state)
{
	struct ip_prefix include[] = {prefix("10.0.0.0/8"), prefix("2001:db8::/32")};
	struct flow_filter filter = {.include = include, .include_count = 2};

	assert_true(passes(&filter, "10.1.2.3", "192.0.2.1"));
	assert_true(passes(&filter, "192.0.2.1", "10.1.2.3"));
	assert_true(passes(&filter, "2001:db8::1", "::1"));
	assert_false(passes(&filter, "192.0.2.1", "192.0.2.2"));
	/* The bits of another family's prefix do not count. */
	assert_false(passes(&filter, "a00::1", "a00::2"));
}

static void test_exclude_wins(unused void **state)
{
	struct ip_prefix include[] = {prefix("10.0.0.0/8")};
	struct ip_prefix exclude[] = {prefix("10.9.0.0/16"), prefix("192.0.2.7")};
	struct flow_filter filter = {
		.include = include, .include_count = 1, .exclude = exclude, .exclude_count = 2};

	assert_true(passes(&filter, "10.1.0.1", "192.0.2.1"));
	assert_false(passes(&filter, "10.1.0.1", "192.0.2.7"));
	assert_false(passes(&filter, "10.9.0.1", "10.1.0.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_lists_take_all),
		cmocka_unit_test(test_either_end_is_included),
		cmocka_unit_test(test_exclude_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
