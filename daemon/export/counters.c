/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/counters.h"

#include <stddef.h>

uint64_t exporter_counters_sum_dropped(const struct exporter_counters *counters)
{
	return counters->dropped_queue_full + counters->dropped_unreachable +
	       counters->dropped_too_large + counters->dropped_refused +
	       counters->dropped_no_memory + counters->dropped_spool;
}

void exporter_counters_add(struct exporter_counters *counters, const struct exporter_counters *more)
{
	uint64_t *to = (uint64_t *)counters;
	const uint64_t *from = (const uint64_t *)more;

	_Static_assert(sizeof(*counters) % sizeof(*to) == 0, "numbers alone");
	for (size_t i = 0; i < sizeof(*counters) / sizeof(*to); i++)
		to[i] += from[i];
}
