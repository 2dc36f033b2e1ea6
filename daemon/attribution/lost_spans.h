/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Spans of time of which records may be missing. A plain value; the newest LOST_SPANS_MAX are kept
 * apart, older ones grow together: then more is held for lost than was, never less. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOST_SPANS_MAX = 64 };

struct lost_spans {
	struct {
		uint64_t from_ns, until_ns;
	} spans[LOST_SPANS_MAX + 1]; /* oldest first, apart from each other; one to spare */
	size_t count;
};

void lost_spans_add(struct lost_spans *lost, uint64_t from_ns, uint64_t until_ns);
/* Whether anything between the two, both included, may be missing. */
bool lost_spans_touch(const struct lost_spans *lost, uint64_t from_ns, uint64_t until_ns);
/* Forgets what ended before "before_ns". */
void lost_spans_expire(struct lost_spans *lost, uint64_t before_ns);
