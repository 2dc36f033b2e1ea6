/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
	FIRST_SIZE = 4,
	LARGEST_SIZE = 256,
	/* What thinning must leave free, so that it is rarely needed. */
	ROOM = LARGEST_SIZE / 8,
};
#define CLOSEST_NS (10 * NS_PER_MS)
#define RECENT_NS  (120 * NS_PER_SEC)

void history_init(struct history *history)
{
	*history = (struct history){0};
}

void history_fini(struct history *history)
{
	free(history->entries);
	history_init(history);
}

static uint64_t find_gap(uint64_t age_ns, uint64_t interval_ns)
{
	uint64_t gap_ns = age_ns / 16;

	if (gap_ns > interval_ns)
		gap_ns = interval_ns;
	if (age_ns > RECENT_NS && age_ns / 8 > gap_ns)
		gap_ns = age_ns / 8;
	return gap_ns > CLOSEST_NS ? gap_ns : CLOSEST_NS;
}

/* What goes leaves its memory to the one after it. */
static void merge(const struct history_entry *gone, struct history_entry *next)
{
	if (gone->peak_kib > next->peak_kib)
		next->peak_kib = gone->peak_kib;
}

/* Keeps the first and the last, and of the others those that are far enough from the one before. */
static void thin(struct history *history, uint64_t interval_ns)
{
	struct history_entry *entries = history->entries;
	uint64_t newest_ns = entries[history->count - 1].taken_ns;
	uint32_t kept = 1;

	for (uint32_t i = 1; i < history->count; i++) {
		uint64_t taken_ns = entries[i].taken_ns;

		if (i + 1 < history->count && taken_ns - entries[kept - 1].taken_ns <
						      find_gap(newest_ns - taken_ns, interval_ns))
			merge(&entries[i], &entries[i + 1]);
		else
			entries[kept++] = entries[i];
	}
	history->count = kept;
}

/* Where samples keep coming faster than any flow needs: every other one of the older half. */
static void halve(struct history *history)
{
	struct history_entry *entries = history->entries;
	uint32_t kept = 1, half = history->count / 2;

	for (uint32_t i = 1; i < history->count; i++) {
		if (i < half && i % 2)
			merge(&entries[i], &entries[i + 1]);
		else
			entries[kept++] = entries[i];
	}
	history->count = kept;
}

static bool grow(struct history *history)
{
	uint32_t size = history->size ? history->size * 2 : FIRST_SIZE;
	struct history_entry *entries = realloc(history->entries, size * sizeof(*entries));

	if (!entries)
		return false;
	history->entries = entries;
	history->size = size;
	return true;
}

static bool make_room(struct history *history, uint64_t interval_ns)
{
	if (history->count < history->size)
		return true;
	if (history->size < LARGEST_SIZE)
		return grow(history);
	thin(history, interval_ns);
	if (history->count > LARGEST_SIZE - ROOM)
		halve(history);
	return true;
}

static bool is_same(const struct history_entry *a, const struct history_entry *b)
{
	return a->cpu_ns == b->cpu_ns && a->iowait_ns == b->iowait_ns &&
	       a->minor_faults == b->minor_faults && a->major_faults == b->major_faults &&
	       a->memory_kib == b->memory_kib;
}

void history_add(struct history *history, const struct history_entry *entry, uint64_t interval_ns)
{
	uint32_t count = history->count;
	struct history_entry *last = count ? &history->entries[count - 1] : NULL;
	struct history_entry added = *entry;

	if (last && added.taken_ns < last->taken_ns)
		added.taken_ns = last->taken_ns;
	if (count > 1 && is_same(&added, last) && is_same(last, last - 1)) {
		last->taken_ns = added.taken_ns;
	} else if ((!last || added.taken_ns > last->taken_ns) && make_room(history, interval_ns)) {
		history->entries[history->count++] = added;
	} else if (last) {
		merge(last, &added);
		*last = added;
	}
}

/* Index of the first entry that is later than "after_ns". */
static uint32_t find_index(const struct history *history, uint64_t after_ns)
{
	uint32_t low = 0, high = history->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (history->entries[middle].taken_ns > after_ns)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static uint64_t rise(uint64_t difference, uint64_t part_ns, uint64_t whole_ns)
{
	return (uint64_t)((__uint128_t)difference * part_ns / whole_ns);
}

bool history_find(const struct history *history, uint64_t when_ns, struct history_entry *ret)
{
	uint32_t index = find_index(history, when_ns);
	const struct history_entry *before, *after;
	uint64_t part_ns, whole_ns;

	if (history->count == 0)
		return false;
	if (index == 0 || index == history->count) {
		*ret = history->entries[index ? index - 1 : 0];
		return true;
	}
	after = &history->entries[index];
	before = after - 1;
	part_ns = when_ns - before->taken_ns;
	whole_ns = after->taken_ns - before->taken_ns;
	*ret = *before;
	ret->taken_ns = when_ns;
	ret->cpu_ns += rise(after->cpu_ns - before->cpu_ns, part_ns, whole_ns);
	ret->iowait_ns += rise(after->iowait_ns - before->iowait_ns, part_ns, whole_ns);
	ret->minor_faults +=
		(uint32_t)rise(after->minor_faults - before->minor_faults, part_ns, whole_ns);
	ret->major_faults +=
		(uint32_t)rise(after->major_faults - before->major_faults, part_ns, whole_ns);
	return true;
}

const struct history_entry *history_find_after(const struct history *history, uint64_t after_ns)
{
	uint32_t index = find_index(history, after_ns);

	return index < history->count ? &history->entries[index] : NULL;
}

uint32_t history_find_peak(const struct history *history, uint64_t since_ns, uint64_t until_ns)
{
	uint32_t peak_kib = 0;

	for (uint32_t i = find_index(history, since_ns ? since_ns - 1 : 0);
	     i < history->count && history->entries[i].taken_ns <= until_ns; i++)
		if (history->entries[i].peak_kib > peak_kib)
			peak_kib = history->entries[i].peak_kib;
	return peak_kib;
}
