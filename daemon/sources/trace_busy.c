/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_busy.h"

void trace_busy_count(struct trace_busy *busy, uint16_t port)
{
	uint16_t *candidate = &busy->places[port % TRACE_BUSY_PLACES].port;
	uint32_t *count = &busy->places[port % TRACE_BUSY_PLACES].count;

	if (*count == 0)
		*candidate = port;
	if (*candidate == port)
		(*count)++;
	else
		(*count)--;
}

size_t trace_busy_take(struct trace_busy *busy, uint32_t threshold, uint16_t *ports, size_t max)
{
	size_t found = 0;

	for (size_t i = 0; i < TRACE_BUSY_PLACES; i++) {
		if (busy->places[i].count >= threshold && found < max)
			ports[found++] = busy->places[i].port;
		busy->places[i].count = 0;
	}
	return found;
}
