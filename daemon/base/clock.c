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

int64_t clock_wall_offset_ns(void)
{
	return (int64_t)(clock_wall_ns() - clock_now_ns());
}
