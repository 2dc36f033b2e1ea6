/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/network_use.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

#define START_NS (1000000 * NS_PER_SEC)

static void assert_minute(const struct network_use *use, uint64_t now_ns, uint64_t sent,
			  uint64_t received, uint64_t flows)
{
	struct network_counters minute = network_use_find_minute(use, now_ns);

	assert_int_equal(minute.sent_bytes, sent);
	assert_int_equal(minute.received_bytes, received);
	assert_int_equal(minute.flows, flows);
}

static void minute_forgets_and_total_does_not(unused void **state)
{
	const struct network_counters some = {.sent_bytes = 100, .received_bytes = 10, .flows = 1};
	struct network_use use = {0};

	assert_minute(&use, START_NS, 0, 0, 0);
	network_use_add(&use, &some, START_NS);
	network_use_add(&use, &some, START_NS + 30 * NS_PER_SEC);
	assert_minute(&use, START_NS + 59 * NS_PER_SEC, 200, 20, 2);
	/* Half of the first slot's time lies in the minute still. */
	assert_minute(&use, START_NS + 62500 * NS_PER_MS, 150, 15, 1);
	assert_minute(&use, START_NS + 65 * NS_PER_SEC, 100, 10, 1);
	assert_minute(&use, START_NS + 95 * NS_PER_SEC, 0, 0, 0);
	assert_minute(&use, START_NS + 100000 * NS_PER_SEC, 0, 0, 0);
	assert_int_equal(use.total.sent_bytes, 200);
	assert_int_equal(use.total.flows, 2);
	network_use_add(&use, &some, START_NS + 100000 * NS_PER_SEC);
	assert_minute(&use, START_NS + 100000 * NS_PER_SEC, 100, 10, 1);
}

static void what_was_anothers_is_taken_back(unused void **state)
{
	const struct network_counters some = {.sent_bytes = 100, .received_bytes = 10, .flows = 1};
	const struct network_counters wrong = {.sent_bytes = 150, .flows = 5};
	struct network_use use = {0};

	network_use_add(&use, &some, START_NS);
	network_use_add(&use, &some, START_NS + 10 * NS_PER_SEC);
	network_use_take_back(&use, &wrong, START_NS + 20 * NS_PER_SEC);
	assert_int_equal(use.total.sent_bytes, 50);
	assert_int_equal(use.total.received_bytes, 20);
	assert_int_equal(use.total.flows, 0);
	assert_minute(&use, START_NS + 20 * NS_PER_SEC, 50, 20, 0);
	assert_minute(&use, START_NS + 66 * NS_PER_SEC, 0, 10, 0);
}

/* Against a list of all additions, in whole slots. */
static void agrees_with_a_model(unused void **state)
{
	enum { ADDITIONS = 3000 };
	static uint64_t times[ADDITIONS], bytes[ADDITIONS];
	struct network_use use = {0};
	uint64_t now_ns = START_NS;

	srand(5);
	for (int i = 0; i < ADDITIONS; i++) {
		struct network_counters more = {.sent_bytes = (uint64_t)rand() % 1000};
		uint64_t expected = 0;

		now_ns += (uint64_t)(rand() % 5 ? rand() % 3 : rand() % 90) * 5 * NS_PER_SEC;
		times[i] = now_ns;
		bytes[i] = more.sent_bytes;
		network_use_add(&use, &more, now_ns);
		for (int j = 0; j <= i; j++)
			if (times[j] + 60 * NS_PER_SEC >= now_ns)
				expected += bytes[j];
		assert_minute(&use, now_ns, expected, 0, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(minute_forgets_and_total_does_not),
		cmocka_unit_test(what_was_anothers_is_taken_back),
		cmocka_unit_test(agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
