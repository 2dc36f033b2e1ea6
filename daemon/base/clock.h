/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#define NS_PER_MS  1000000ull
#define NS_PER_US  1000u
#define NS_PER_SEC 1000000000ull

/* Time inside the daemon is CLOCK_MONOTONIC in nanoseconds: no step of the wall clock disturbs it.
 */
uint64_t clock_now_ns(void);

/* The wall clock, nanoseconds since 1970: only where time leaves the daemon or comes from a kernel
 * interface that counts in it (conntrack timestamps). */
uint64_t clock_wall_ns(void);

/* What to add to a monotonic time to make it wall time now. */
int64_t clock_wall_offset_ns(void);
