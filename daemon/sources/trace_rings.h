/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One ring for each online CPU, each with the same tracepoints under the same filters; CPUs come
 * and go. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sources/trace_ring.h"

struct trace_rings;

/* What each ring records: "filters" are borrowed until the call returns; NULL is no filter. A
 * format with id 0 is a tracepoint that this kernel lacks. */
struct trace_rings_options {
	const struct trace_format *formats; /* TRACE_TRACEPOINT_COUNT of them, borrowed for life */
	const char *filters[TRACE_TRACEPOINT_COUNT];
	size_t ring_bytes;
	bool wants_cgroups; /* see trace_ring_want_cgroups() */
};

/* 0, or a negative errno; *ret_failed is the tracepoint that could not be opened then, or
 * TRACE_TRACEPOINT_COUNT for the ring itself. */
int trace_rings_open(const struct trace_rings_options *options, struct trace_rings **ret,
		     enum trace_tracepoint *ret_failed);
void trace_rings_close(struct trace_rings *rings);

/* Readable when one of them fills. */
int trace_rings_get_fd(const struct trace_rings *rings);
size_t trace_rings_get_count(const struct trace_rings *rings);
struct trace_ring *trace_rings_get(const struct trace_rings *rings, size_t number);

/* Sets another filter in all rings. 0 or a negative errno, and then some may have it. */
int trace_rings_set_filter(struct trace_rings *rings, enum trace_tracepoint tracepoint,
			   const char *filter);

/* Closes the rings of CPUs that went (drain them first) and opens those of CPUs that came; the
 * number of rings opened, or a negative errno (those that could be opened are there). */
int trace_rings_scan(struct trace_rings *rings);
