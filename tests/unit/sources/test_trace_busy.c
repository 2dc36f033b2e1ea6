/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "sources/trace_busy.h"

static bool has(const uint16_t *ports, size_t count, uint16_t port)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* Against exact counts: none is found that did not reach the threshold, and each that outweighs the
 * others of its place by the threshold is. */
static void test_against_exact_counts(unused void **state)
{
	static uint32_t exact[UINT16_MAX + 1];
	struct trace_busy busy = {0};
	const uint32_t threshold = 200;

	srandom(9);
	for (int round = 0; round < 50; round++) {
		uint32_t places[TRACE_BUSY_PLACES] = {0};
		uint16_t found[TRACE_BUSY_PLACES];
		size_t count;

		memset(exact, 0, sizeof(exact));
		for (int i = 0; i < 20000; i++) {
			long kind = random() % 10;
			long number = kind < 3	 ? 53
				      : kind < 5 ? 123 + random() % 8 * 256
						 : 1024 + random() % 60000;
			uint16_t port = (uint16_t)number;

			trace_busy_count(&busy, port);
			exact[port]++;
			places[port % TRACE_BUSY_PLACES]++;
		}
		count = trace_busy_take(&busy, threshold, found, TRACE_BUSY_PLACES);
		for (size_t i = 0; i < count; i++)
			assert_true(exact[found[i]] >= threshold);
		for (uint32_t port = 1; port <= UINT16_MAX; port++) {
			uint32_t others = places[port % TRACE_BUSY_PLACES] - exact[port];

			if (exact[port] >= others + threshold)
				assert_true(has(found, count, (uint16_t)port));
		}
		assert_true(has(found, count, 53));
		assert_int_equal(trace_busy_take(&busy, 1, found, TRACE_BUSY_PLACES), 0);
	}
}

static void test_no_more_than_asked_for(unused void **state)
{
	struct trace_busy busy = {0};
	uint16_t found[3];

	for (uint16_t port = 1; port <= 10; port++)
		trace_busy_count(&busy, port);
	assert_int_equal(trace_busy_take(&busy, 1, found, 3), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_exact_counts),
		cmocka_unit_test(test_no_more_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
