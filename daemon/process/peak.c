/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/peak.h"

#include <string.h>

static void drop_nearest(struct peak *peak)
{
	size_t nearest = 0;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i + 1 < peak->count; i++) {
		uint64_t difference = peak->entries[i].value - peak->entries[i + 1].value;

		if (difference < least) {
			least = difference;
			nearest = i;
		}
	}
	memmove(&peak->entries[nearest], &peak->entries[nearest + 1],
		(peak->count - nearest - 1) * sizeof(peak->entries[0]));
	peak->count--;
}

void peak_add(struct peak *peak, uint64_t taken_ns, uint64_t value)
{
	while (peak->count && peak->entries[peak->count - 1].value <= value)
		peak->count--;
	if (peak->count == PEAK_ENTRIES)
		drop_nearest(peak);
	peak->entries[peak->count++] = (struct peak_entry){.taken_ns = taken_ns, .value = value};
}

uint64_t peak_find(const struct peak *peak, uint64_t since_ns)
{
	for (size_t i = 0; i < peak->count; i++)
		if (peak->entries[i].taken_ns >= since_ns)
			return peak->entries[i].value;
	return 0;
}
