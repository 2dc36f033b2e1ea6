/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/counters.h"

uint64_t exporter_counters_sum_dropped(const struct exporter_counters *counters)
{
	return counters->dropped_queue_full + counters->dropped_unreachable +
	       counters->dropped_too_large + counters->dropped_refused +
	       counters->dropped_no_memory + counters->dropped_spool;
}
