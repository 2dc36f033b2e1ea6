/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/lost_spans.h"

#include <string.h>

static void remove_spans(struct lost_spans *lost, size_t at, size_t count)
{
	memmove(&lost->spans[at], &lost->spans[at + count],
		(lost->count - at - count) * sizeof(lost->spans[0]));
	lost->count -= count;
}

static void insert_span(struct lost_spans *lost, size_t at, uint64_t from_ns, uint64_t until_ns)
{
	memmove(&lost->spans[at + 1], &lost->spans[at],
		(lost->count - at) * sizeof(lost->spans[0]));
	lost->spans[at].from_ns = from_ns;
	lost->spans[at].until_ns = until_ns;
	lost->count++;
}

void lost_spans_add(struct lost_spans *lost, uint64_t from_ns, uint64_t until_ns)
{
	size_t first = 0, last;

	while (first < lost->count && lost->spans[first].until_ns < from_ns)
		first++;
	for (last = first; last < lost->count && lost->spans[last].from_ns <= until_ns; last++) {
		if (lost->spans[last].from_ns < from_ns)
			from_ns = lost->spans[last].from_ns;
		if (lost->spans[last].until_ns > until_ns)
			until_ns = lost->spans[last].until_ns;
	}
	remove_spans(lost, first, last - first);
	insert_span(lost, first, from_ns, until_ns);
	if (lost->count > LOST_SPANS_MAX) {
		lost->spans[1].from_ns = lost->spans[0].from_ns;
		remove_spans(lost, 0, 1);
	}
}

bool lost_spans_touch(const struct lost_spans *lost, uint64_t from_ns, uint64_t until_ns)
{
	for (size_t i = lost->count; i-- > 0 && lost->spans[i].until_ns >= from_ns;)
		if (lost->spans[i].from_ns <= until_ns)
			return true;
	return false;
}

void lost_spans_expire(struct lost_spans *lost, uint64_t before_ns)
{
	size_t ended = 0;

	while (ended < lost->count && lost->spans[ended].until_ns < before_ns)
		ended++;
	remove_spans(lost, 0, ended);
}
