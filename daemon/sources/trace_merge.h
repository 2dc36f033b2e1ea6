/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Hands out the records of several rings in the order of time. Each ring is in order by itself, but
 * for records of an interrupt in the middle of another's; those come as they stand in the ring. */

#include <stddef.h>
#include <stdint.h>

#include "sources/trace_record.h"

struct trace_merge_input {
	struct trace_reader *reader;
	struct trace_record record; /* the merge's own from here on */
};

struct trace_merge_handlers {
	void (*on_record)(void *userdata, const struct trace_record *record, size_t input);
	/* A record that could not be read was left out. "is_torn": all that the ring held was. */
	void (*on_malformed)(void *userdata, size_t input, bool is_torn);
	void *userdata;
};

/* Takes what was written before "limit_ns" out of the readers; a later record stays, with all that
 * stands behind it. "heap" is room for "count" numbers. */
void trace_merge_run(struct trace_merge_input *inputs, uint32_t *heap, size_t count,
		     uint64_t limit_ns, const struct trace_merge_handlers *handlers);
