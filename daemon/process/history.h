/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a process had used at earlier times: a flow is often reported long after its last packet.
 *
 * Samples are kept whole for a short while and ever more thinly with age: of two that are closer to
 * each other than a sixteenth of their age (10 ms at least, a sample interval at most) one may go
 * when there is no room; beyond two minutes of age an eighth of it is enough. A process that did
 * nothing takes no room: a row of equal samples is kept as its first and its last. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 40 bytes; a busy process has 256 of them at most. */
struct history_entry {
	uint64_t taken_ns; /* monotonic */
	uint64_t cpu_ns, iowait_ns;
	uint32_t minor_faults, major_faults; /* modulo 2^32: only differences count */
	uint32_t memory_kib;		     /* 0: not known */
	uint32_t peak_kib;		     /* largest in the samples since the entry before */
};

struct history {
	struct history_entry *entries;
	uint32_t count, size;
};

/* Nothing is allocated. */
void history_init(struct history *history);
void history_fini(struct history *history);

/* One that is older than the newest is taken as of the same time. Where memory runs out the newest
 * is replaced. "interval_ns": how often samples are taken when nothing happens. */
void history_add(struct history *history, const struct history_entry *entry, uint64_t interval_ns);

/* What had been used at "when_ns": counters between two samples as if they had risen evenly, memory
 * as in the sample before. Earlier than the first sample: that one; later than the last: the last.
 * The entry's taken_ns tells. False where there is no sample. */
bool history_find(const struct history *history, uint64_t when_ns, struct history_entry *ret);

/* The first sample that is later than "after_ns"; NULL where there is none. Borrowed until the next
 * addition. */
const struct history_entry *history_find_after(const struct history *history, uint64_t after_ns);

/* The largest memory of the samples between the two times, both included, KiB; of thinned ones what
 * was sampled shortly before may count as well. 0 where there is none. */
uint32_t history_find_peak(const struct history *history, uint64_t since_ns, uint64_t until_ns);
