/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The largest value since any time, in little memory: of the samples so far only those are kept
 * that no later one reaches, so that the values fall from the oldest to the newest, and the first
 * entry not older than a time is the maximum since that time. */

#include <stddef.h>
#include <stdint.h>

enum { PEAK_ENTRIES = 24 };

struct peak_entry {
	uint64_t taken_ns, value;
};

struct peak {
	struct peak_entry entries[PEAK_ENTRIES + 1];
	uint8_t count;
};

/* "taken_ns" is not before that of the last addition. When the list is full one entry goes: a
 * maximum is then too low by at most 2 / (PEAK_ENTRIES - 1) of the whole fall, or by the fall
 * between two samples that followed each other, and never too high. */
void peak_add(struct peak *peak, uint64_t taken_ns, uint64_t value);

/* The largest value added with a time of "since_ns" or later; 0 where there is none. */
uint64_t peak_find(const struct peak *peak, uint64_t since_ns);
