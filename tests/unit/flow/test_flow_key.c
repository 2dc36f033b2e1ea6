/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

/* Each member tells two flows apart, the namespace and the zone (cases A33, A39) too. */
static void test_every_member_counts(unused void **state)
{
	const struct flow_key key = {.family = IP_FAMILY_V4};
	struct flow_key others[9];

	for (size_t i = 0; i < array_length(others); i++)
		others[i] = key;
	others[0].tuple.src.bytes[3] = 1;
	others[1].tuple.dst.bytes[3] = 1;
	others[2].tuple.src_port = 1;
	others[3].tuple.dst_port = 1;
	others[4].icmp_id = 1;
	others[5].zone = 1;
	others[6].netns = 1;
	others[7].family = IP_FAMILY_V6;
	others[8].protocol = 1;
	for (size_t i = 0; i < array_length(others); i++) {
		assert_false(flow_key_equal(&key, &others[i]));
		assert_true(flow_key_hash(&key, 1) != flow_key_hash(&others[i], 1));
	}
	assert_true(flow_key_equal(&key, &(struct flow_key){.family = IP_FAMILY_V4}));
	assert_true(flow_key_hash(&key, 1) != flow_key_hash(&key, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_member_counts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
