/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/wall_steps.h"

#include <stdbool.h>
#include <string.h>

#include "base/clock.h"

/* adjtimex(2) gains or loses 500 us a second at most. */
#define SLEW_PER_SECOND 1000
#define STEP_NS		((int64_t)(200 * NS_PER_MS))

static bool is_step(const struct wall_period *last, uint64_t now_ns, int64_t offset_ns)
{
	int64_t moved_ns, most_ns = STEP_NS;

	if (__builtin_sub_overflow(offset_ns, last->offset_ns, &moved_ns))
		return true;
	if (now_ns > last->until_ns)
		most_ns += (int64_t)((now_ns - last->until_ns) / SLEW_PER_SECOND);
	return moved_ns > most_ns || moved_ns < -most_ns;
}

void wall_steps_observe(struct wall_steps *steps, uint64_t now_ns, int64_t offset_ns)
{
	struct wall_period *last = steps->count > 0 ? &steps->periods[steps->count - 1] : NULL;
	struct wall_period next = {.from_ns = now_ns, .until_ns = now_ns, .offset_ns = offset_ns};

	if (last && !is_step(last, now_ns, offset_ns)) {
		last->until_ns = now_ns;
		last->offset_ns = offset_ns;
		return;
	}
	if (last) {
		next.from_ns = last->until_ns;
		last->until_ns = now_ns;
	}
	if (steps->count == WALL_STEPS_MAX)
		memmove(steps->periods, steps->periods + 1,
			--steps->count * sizeof(*steps->periods));
	steps->periods[steps->count++] = next;
}

/* Before the clock began, as far as it is known there. */
static int64_t place_in(const struct wall_period *period, uint64_t wall_ns)
{
	int64_t ns;

	if (wall_ns > INT64_MAX || __builtin_sub_overflow((int64_t)wall_ns, period->offset_ns, &ns))
		return INT64_MAX;
	return ns < WALL_STEPS_BEFORE_CLOCK ? WALL_STEPS_BEFORE_CLOCK : ns;
}

uint64_t wall_steps_place(const struct wall_steps *steps, uint64_t wall_ns, uint64_t now_ns)
{
	uint64_t found_ns = 0, ns;

	if (steps->count == 0)
		return 0;
	for (unsigned i = 0; i < steps->count; i++) {
		const struct wall_period *period = &steps->periods[i];
		bool is_last = i + 1 == steps->count;

		ns = (uint64_t)place_in(period, wall_ns);
		if (ns < period->from_ns || ns > (is_last ? now_ns : period->until_ns))
			continue;
		if (found_ns)
			return 0;
		found_ns = ns;
	}
	ns = (uint64_t)place_in(&steps->periods[0], wall_ns);
	if (found_ns || ns < steps->periods[0].from_ns)
		return found_ns ? found_ns : ns;
	/* Clocks are read one after the other: a little in the future is now. */
	return steps->count == 1 ? now_ns : 0;
}
