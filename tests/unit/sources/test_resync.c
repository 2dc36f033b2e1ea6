/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/resync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/macros.h"

#define FIRST (7 * NS_PER_SEC)

static void nothing_lost_is_never_due(unused void **state)
{
	struct resync resync = {0};

	assert_false(resync_is_wanted(&resync));
	assert_false(resync_is_due(&resync, UINT64_MAX));
}

static void each_loss_begins_the_quiet_anew(unused void **state)
{
	struct resync resync = {0};
	uint64_t second = FIRST + RESYNC_QUIET_NS - 1;

	resync_want(&resync, FIRST);
	assert_true(resync_is_wanted(&resync));
	assert_false(resync_is_due(&resync, FIRST + RESYNC_QUIET_NS - 1));
	assert_true(resync_is_due(&resync, FIRST + RESYNC_QUIET_NS));
	resync_want(&resync, second);
	assert_false(resync_is_due(&resync, FIRST + RESYNC_QUIET_NS));
	assert_true(resync_is_due(&resync, second + RESYNC_QUIET_NS));
}

static void losses_without_an_end_are_not_waited_for(unused void **state)
{
	struct resync resync = {0};
	uint64_t now_ns = FIRST;

	for (; now_ns <= FIRST + 2 * RESYNC_PATIENCE_NS; now_ns += RESYNC_QUIET_NS / 2) {
		resync_want(&resync, now_ns);
		assert_int_equal(resync_is_due(&resync, now_ns),
				 now_ns >= FIRST + RESYNC_PATIENCE_NS);
	}
}

static void a_listing_ends_it_and_the_next_loss_has_all_the_patience(unused void **state)
{
	struct resync resync = {0};
	uint64_t later = FIRST + RESYNC_PATIENCE_NS;

	resync_want(&resync, FIRST);
	resync_begin(&resync);
	assert_false(resync_is_wanted(&resync));
	assert_false(resync_is_due(&resync, later));
	resync_want(&resync, later);
	assert_false(resync_is_due(&resync, later));
	assert_true(resync_is_due(&resync, later + RESYNC_QUIET_NS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_lost_is_never_due),
		cmocka_unit_test(each_loss_begins_the_quiet_anew),
		cmocka_unit_test(losses_without_an_end_are_not_waited_for),
		cmocka_unit_test(a_listing_ends_it_and_the_next_loss_has_all_the_patience),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
