/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/peak.h"

#include <string.h>

/* The first is the maximum of all, the last the newest sample: both stay. Of the others that one
 * goes whose neighbours are nearest to each other, so that no gap grows far beyond the mean. */
static void drop_one(struct peak *peak)
{
	size_t dropped = 1;
	uint64_t least = UINT64_MAX;

	for (size_t i = 1; i + 1 < peak->count; i++) {
		uint64_t gap = peak->entries[i - 1].value - peak->entries[i + 1].value;

		if (gap < least) {
			least = gap;
			dropped = i;
		}
	}
	memmove(&peak->entries[dropped], &peak->entries[dropped + 1],
		(peak->count - dropped - 1) * sizeof(peak->entries[0]));
	peak->count--;
}

void peak_add(struct peak *peak, uint64_t taken_ns, uint64_t value)
{
	while (peak->count && peak->entries[peak->count - 1].value <= value)
		peak->count--;
	peak->entries[peak->count++] = (struct peak_entry){.taken_ns = taken_ns, .value = value};
	if (peak->count > PEAK_ENTRIES)
		drop_one(peak);
}

uint64_t peak_find(const struct peak *peak, uint64_t since_ns)
{
	for (size_t i = 0; i < peak->count; i++)
		if (peak->entries[i].taken_ns >= since_ns)
			return peak->entries[i].value;
	return 0;
}
