/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/clock.h"

#include <time.h>

static uint64_t read_clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void)
{
	return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
	return read_clock_ns(CLOCK_REALTIME);
}

/* The wall clock is read between two readings of the other one; of a few tries the one counts in which
 * those lay nearest together, so that being put off the CPU half way does not show. */
int64_t clock_wall_offset_ns(void)
{
	uint64_t smallest_ns = UINT64_MAX;
	int64_t offset_ns = 0;

	for (int i = 0; i < 3 && smallest_ns > 1000; i++) {
		uint64_t before_ns = clock_now_ns();
		uint64_t wall_ns = clock_wall_ns();
		uint64_t between_ns = clock_now_ns() - before_ns;

		if (between_ns >= smallest_ns)
			continue;
		smallest_ns = between_ns;
		offset_ns = (int64_t)(wall_ns - before_ns - between_ns / 2);
	}
	return offset_ns;
}
