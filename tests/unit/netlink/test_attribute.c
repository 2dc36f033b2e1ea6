/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "netlink/attribute.h"

enum { FAMILY_HEADER = 4 };

/* Attributes 1 (8 bytes), 2 (3 bytes), and 3 with 4 (1 byte) and 5 (4 bytes) in it. */
static struct nlmsghdr *make_message(char *buffer)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nlattr *nest;

	mnl_nlmsg_put_extra_header(message, FAMILY_HEADER);
	mnl_attr_put_u64(message, 1, 1);
	mnl_attr_put(message, 2, 3, "abc");
	nest = mnl_attr_nest_start(message, 3);
	mnl_attr_put_u8(message, 4, 4);
	mnl_attr_put_u32(message, 5, 5);
	mnl_attr_nest_end(message, nest);
	return message;
}

/* One bit for each type that was seen. */
static unsigned walk(const struct nlmsghdr *message)
{
	unsigned seen = 0;

	netlink_for_each_attribute (attribute, message, FAMILY_HEADER) {
		seen |= 1u << mnl_attr_get_type(attribute);
		if (mnl_attr_get_type(attribute) != 3)
			continue;
		netlink_for_each_nested (inner, attribute)
			seen |= 1u << mnl_attr_get_type(inner);
	}
	return seen;
}

static void test_whole_message(unused void **state)
{
	char buffer[128] = {0};

	assert_int_equal(walk(make_message(buffer)), 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5);
}

static void test_cut_attribute_is_none(unused void **state)
{
	/* Where each attribute ends, to the byte: its padding need not be there. */
	static const struct {
		uint32_t end;
		unsigned types;
	} ends[] = {{32, 1 << 1}, {39, 1 << 2}, {60, 1 << 3 | 1 << 4 | 1 << 5}};
	char buffer[128] = {0};
	uint32_t length = make_message(buffer)->nlmsg_len;

	assert_int_equal(length, ends[2].end);
	for (uint32_t cut = 0; cut <= length; cut++) {
		struct nlmsghdr *exact = malloc(length);
		unsigned expected = 0;

		/* Only so much is there, for a sanitiser. */
		exact = realloc(exact, cut < NLMSG_HDRLEN ? NLMSG_HDRLEN : cut);
		assert_non_null(exact);
		memcpy(exact, buffer, cut < NLMSG_HDRLEN ? NLMSG_HDRLEN : cut);
		exact->nlmsg_len = cut;
		for (size_t i = 0; i < array_length(ends); i++)
			if (cut >= ends[i].end)
				expected |= ends[i].types;
		if (walk(exact) != expected)
			fail_msg("cut to %u: %#x, not %#x", cut, walk(exact), expected);
		free(exact);
	}
}

static void test_a_value_is_copied(unused void **state)
{
	char buffer[128] = {0};
	struct nlmsghdr *message = make_message(buffer);
	uint32_t number = 7;
	uint16_t start;

	assert_true(netlink_message_copy_value(message, FAMILY_HEADER, 1, &number, 4));
	assert_int_equal(number, 1);
	assert_true(netlink_message_copy_value(message, FAMILY_HEADER, 2, &start, 2));
	assert_memory_equal(&start, "ab", 2);
	/* Too short, in a nest, not there, cut. */
	assert_false(netlink_message_copy_value(message, FAMILY_HEADER, 2, &number, 4));
	assert_false(netlink_message_copy_value(message, FAMILY_HEADER, 5, &number, 4));
	assert_false(netlink_message_copy_value(message, FAMILY_HEADER, 6, &number, 4));
	message->nlmsg_len = 31;
	assert_false(netlink_message_copy_value(message, FAMILY_HEADER, 1, &number, 4));
	assert_int_equal(number, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_message),
		cmocka_unit_test(test_cut_attribute_is_none),
		cmocka_unit_test(test_a_value_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
