/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include "export/delivery.h"

static void check_wait(struct delivery *delivery, uint64_t wanted_ns)
{
	uint64_t wait_ns = delivery_backoff(delivery, NS_PER_SEC, 10 * NS_PER_SEC);

	assert_in_range(wait_ns, wanted_ns / 4 * 3, wanted_ns);
}

/* A second, twice that and so on, up to the bound; less by a quarter at most. */
static void test_back_off_doubles(unused void **state)
{
	struct delivery delivery = {.attempts = 0};

	for (unsigned round = 0; round < 100; round++) {
		for (uint64_t wanted = 1; wanted < 10; wanted *= 2)
			check_wait(&delivery, wanted * NS_PER_SEC);
		for (unsigned i = 0; i < 80; i++)
			check_wait(&delivery, 10 * NS_PER_SEC);
		delivery_reset_backoff(&delivery);
	}
}

/* Probes that lost their collector at one moment do not come back at one. */
static void test_back_off_differs(unused void **state)
{
	struct delivery one = {.attempts = 3};
	unsigned same = 0;

	for (unsigned i = 0; i < 20; i++) {
		struct delivery other = {.attempts = 3};

		one.attempts = 3;
		same += delivery_backoff(&one, NS_PER_SEC, 60 * NS_PER_SEC) ==
			delivery_backoff(&other, NS_PER_SEC, 60 * NS_PER_SEC);
	}
	assert_true(same < 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back_off_doubles),
		cmocka_unit_test(test_back_off_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
