/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_merge.h"

#include <errno.h>

struct merge {
	struct trace_merge_input *inputs;
	uint32_t *heap; /* numbers of inputs that have a record, the earliest on top */
	size_t used;
	uint64_t limit_ns;
	const struct trace_merge_handlers *handlers;
};

static uint64_t time_at(const struct merge *merge, size_t place)
{
	return merge->inputs[merge->heap[place]].record.when_ns;
}

static void swap(struct merge *merge, size_t a, size_t b)
{
	uint32_t input = merge->heap[a];

	merge->heap[a] = merge->heap[b];
	merge->heap[b] = input;
}

static void sift_up(struct merge *merge, size_t place)
{
	while (place > 0 && time_at(merge, place) < time_at(merge, (place - 1) / 2)) {
		swap(merge, place, (place - 1) / 2);
		place = (place - 1) / 2;
	}
}

static void sift_down(struct merge *merge, size_t place)
{
	for (;;) {
		size_t child = 2 * place + 1;

		if (child >= merge->used)
			return;
		if (child + 1 < merge->used && time_at(merge, child + 1) < time_at(merge, child))
			child++;
		if (time_at(merge, place) <= time_at(merge, child))
			return;
		swap(merge, place, child);
		place = child;
	}
}

/* Whether the input has a record of before the limit; it is in its "record" then. */
static bool fetch(struct merge *merge, size_t number)
{
	struct trace_merge_input *input = &merge->inputs[number];

	for (;;) {
		int r = trace_reader_peek(input->reader, &input->record);

		if (r == 0)
			return input->record.when_ns < merge->limit_ns;
		if (r == -ENODATA)
			return false;
		merge->handlers->on_malformed(merge->handlers->userdata, number, r == -EPIPE);
		trace_reader_take(input->reader);
	}
}

void trace_merge_run(struct trace_merge_input *inputs, uint32_t *heap, size_t count,
		     uint64_t limit_ns, const struct trace_merge_handlers *handlers)
{
	struct merge merge = {
		.inputs = inputs, .heap = heap, .limit_ns = limit_ns, .handlers = handlers};

	for (size_t i = 0; i < count; i++) {
		if (!fetch(&merge, i))
			continue;
		heap[merge.used] = (uint32_t)i;
		sift_up(&merge, merge.used++);
	}
	while (merge.used > 0) {
		size_t number = heap[0];

		handlers->on_record(handlers->userdata, &inputs[number].record, number);
		trace_reader_take(inputs[number].reader);
		if (!fetch(&merge, number))
			heap[0] = heap[--merge.used];
		sift_down(&merge, 0);
	}
}
