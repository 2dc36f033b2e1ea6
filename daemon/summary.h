/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The line in the log every ten minutes: what rose since the last one, and what there is now. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct summary_values {
	/* Totals since the start. "lost" falls where a reload takes away an exporter with its losses. */
	uint64_t flows, records, events, lost, cpu_ns;
	uint64_t open_flows, memory_bytes; /* now */
};

struct summary {
	uint64_t due_ns;
	struct summary_values told;
};

void summary_init(struct summary *summary, uint64_t now_ns);
bool summary_is_due(const struct summary *summary, uint64_t now_ns);
/* The line for these values; the next one is due ten minutes later. */
void summary_tell(struct summary *summary, const struct summary_values *values, uint64_t now_ns,
		  char *text, size_t size);
