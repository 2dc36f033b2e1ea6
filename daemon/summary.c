/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "summary.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

#define SUMMARY_NS (600 * NS_PER_SEC)

void summary_init(struct summary *summary, uint64_t now_ns)
{
	*summary = (struct summary){.due_ns = now_ns + SUMMARY_NS};
}

bool summary_is_due(const struct summary *summary, uint64_t now_ns)
{
	return now_ns >= summary->due_ns;
}

static uint64_t rise(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void summary_tell(struct summary *summary, const struct summary_values *values, uint64_t now_ns,
		  char *text, size_t size)
{
	const struct summary_values *told = &summary->told;

	snprintf(text, size,
		 "in ten minutes: %" PRIu64 " flows, %" PRIu64 " records, %" PRIu64
		 " events, %" PRIu64 " losses (procflow status names them), %" PRIu64
		 " ms of CPU; now %" PRIu64 " flows open, %" PRIu64 " KiB of memory",
		 rise(values->flows, told->flows), rise(values->records, told->records),
		 rise(values->events, told->events), rise(values->lost, told->lost),
		 (uint64_t)(rise(values->cpu_ns, told->cpu_ns) / NS_PER_MS), values->open_flows,
		 values->memory_bytes / 1024);
	summary->told = *values;
	summary->due_ns = now_ns + SUMMARY_NS;
}
