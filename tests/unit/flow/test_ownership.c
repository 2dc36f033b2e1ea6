/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/ownership.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/macros.h"

static void test_a_proven_answer_stays(unused void **state)
{
	struct ownership trace = {.method = OWNERSHIP_TRACE};
	struct ownership exact = {.method = OWNERSHIP_SOCK_DIAG};
	struct ownership listener = {.method = OWNERSHIP_LISTENER, .is_provisional = true};
	struct ownership none = {.method = OWNERSHIP_NONE};

	assert_true(ownership_is_better(&exact, &listener));
	assert_true(ownership_is_better(&trace, &exact));
	assert_true(ownership_is_better(&listener, &none));
	assert_false(ownership_is_better(&listener, &exact));
	assert_false(ownership_is_better(&exact, &trace));
	assert_false(ownership_is_better(&none, &listener));
	assert_false(ownership_is_better(&exact, &exact));
	assert_true(ownership_is_better(&listener, &listener)); /* it was open */
}

static void test_every_value_has_its_word(unused void **state)
{
	for (int i = 0; i < OWNERSHIP_METHOD_COUNT; i++)
		assert_non_null(ownership_method_name((enum ownership_method)i));
	for (int i = 0; i < OWNERSHIP_REASON_COUNT; i++)
		assert_non_null(ownership_reason_name((enum ownership_reason)i));
	assert_string_equal(ownership_method_name(OWNERSHIP_SOCK_DIAG), "sock_diag");
	assert_string_equal(ownership_method_name(OWNERSHIP_REMOTE), "remote");
	assert_string_equal(ownership_reason_name(OWNERSHIP_REASON_NO_PERMISSION), "no-permission");
	assert_string_equal(ownership_reason_name(OWNERSHIP_REASON_UNTRACKED_NAMESPACE),
			    "untracked-namespace");
}

/* The process that accepted a connection has handed it on: both hold it for a moment. */
static void test_shared_corrects_a_provisional_holder(unused void **state)
{
	struct ownership holder = {.method = OWNERSHIP_SOCK_DIAG, .is_provisional = true};
	const struct ownership shared = {.method = OWNERSHIP_SHARED};

	assert_true(ownership_is_better(&shared, &holder));
	holder.is_provisional = false;
	assert_false(ownership_is_better(&shared, &holder));
}

/* Its namespace was not known yet. */
static void test_a_remote_end_may_turn_out_to_be_ours(unused void **state)
{
	struct ownership remote = {.method = OWNERSHIP_REMOTE, .is_provisional = true};
	const struct ownership trace = {.method = OWNERSHIP_TRACE};
	const struct ownership none = {.method = OWNERSHIP_NONE};
	const struct ownership unknown = {.method = OWNERSHIP_UNKNOWN};
	const struct ownership final = {.method = OWNERSHIP_REMOTE};

	assert_true(ownership_is_better(&trace, &remote));
	assert_true(ownership_is_better(&none, &remote));
	assert_true(ownership_is_better(&final, &remote));
	assert_false(ownership_is_better(&unknown, &remote));
	remote.is_provisional = false;
	assert_false(ownership_is_better(&trace, &remote));
	assert_false(ownership_is_better(&final, &remote));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_proven_answer_stays),
		cmocka_unit_test(test_every_value_has_its_word),
		cmocka_unit_test(test_shared_corrects_a_provisional_holder),
		cmocka_unit_test(test_a_remote_end_may_turn_out_to_be_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
