/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Wall time to monotonic time over steps of the wall clock: a time that was stamped before somebody set the
 * clock lies another way off than one that was stamped after. */

#include <stdint.h>

enum { WALL_STEPS_MAX = 8 };

struct wall_period {
	uint64_t from_ns, until_ns; /* monotonic; they overlap where the step may have been */
	int64_t offset_ns;	    /* wall time - monotonic time */
};

/* All zero: nothing was observed yet. */
struct wall_steps {
	struct wall_period
		periods[WALL_STEPS_MAX]; /* the last one is now; the oldest are forgotten */
	unsigned count;
};

/* To be told of the clocks now and then. What the clock gains by being slewed is no step. */
void wall_steps_observe(struct wall_steps *steps, uint64_t now_ns, int64_t offset_ns);

enum { WALL_STEPS_BEFORE_CLOCK = 1 };

/* When it was that the wall clock said "wall_ns". WALL_STEPS_BEFORE_CLOCK: before the machine's monotonic clock began; never later
 * than "now_ns"; 0: at no time that is known, or it may have been at more than one. */
uint64_t wall_steps_place(const struct wall_steps *steps, uint64_t wall_ns, uint64_t now_ns);
