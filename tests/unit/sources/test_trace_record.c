/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The bytes of a ring, and the merge of several. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "sources/trace_merge.h"
#include "sources/trace_record.h"

enum { RING = 1024, RINGS = 5 };

struct ring {
	uint8_t data[RING] __attribute__((aligned(8)));
	uint8_t bounce[TRACE_READER_BOUNCE] __attribute__((aligned(8)));
	struct trace_reader reader;
};

static void ring_init(struct ring *ring, uint64_t start)
{
	memset(ring, 0xa5, sizeof(*ring));
	ring->reader = (struct trace_reader){.data = ring->data,
					     .size = RING,
					     .head = start,
					     .tail = start,
					     .bounce = ring->bounce};
}

static void put(struct ring *ring, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < length; i++)
		ring->data[ring->reader.head++ % RING] = from[i];
}

static void put_header(struct ring *ring, uint32_t type, uint16_t misc, size_t size)
{
	struct perf_event_header header = {.type = type, .misc = misc, .size = (uint16_t)size};

	put(ring, &header, sizeof(header));
}

static void put_id(struct ring *ring, uint32_t pid, uint64_t when_ns)
{
	uint32_t ids[2] = {pid, pid + 1};

	put(ring, ids, sizeof(ids));
	put(ring, &when_ns, sizeof(when_ns));
}

/* "length" + 4 a multiple of 8, as the kernel pads it. */
static void put_sample(struct ring *ring, uint32_t pid, uint64_t when_ns, uint32_t length,
		       uint32_t claimed)
{
	put_header(ring, PERF_RECORD_SAMPLE, 0, 8 + 16 + 4 + length);
	put_id(ring, pid, when_ns);
	put(ring, &claimed, sizeof(claimed));
	for (uint32_t i = 0; i < length; i++)
		put(ring, &(uint8_t){(uint8_t)i}, 1);
}

static void put_task(struct ring *ring, uint32_t type, uint32_t pid, uint32_t parent,
		     uint64_t when_ns)
{
	uint32_t ids[4] = {pid, parent, pid, parent};

	put_header(ring, type, 0, 8 + sizeof(ids) + 8 + 16);
	put(ring, ids, sizeof(ids));
	put(ring, &when_ns, 8);
	put_id(ring, parent, when_ns);
}

static void put_name(struct ring *ring, uint32_t pid, const char name[8], uint64_t when_ns)
{
	put_header(ring, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC, 8 + 8 + 8 + 16);
	put(ring, (uint32_t[]){pid, pid}, 8);
	put(ring, name, 8);
	put_id(ring, pid, when_ns);
}

static void put_lost(struct ring *ring, uint64_t lost, uint64_t when_ns)
{
	put_header(ring, PERF_RECORD_LOST, 0, 8 + 16 + 16);
	put(ring, (uint64_t[]){1, lost}, 16);
	put_id(ring, 0, when_ns);
}

static struct trace_record take(struct ring *ring)
{
	struct trace_record record;

	assert_int_equal(trace_reader_peek(&ring->reader, &record), 0);
	trace_reader_take(&ring->reader);
	return record;
}

/* At every place of the ring, so that each record goes round its end in each way. */
static void test_each_kind_is_read_at_each_place(unused void **state)
{
	static struct ring ring;

	for (uint64_t start = 0; start < 2 * RING; start += 8) {
		struct trace_record record;

		ring_init(&ring, start);
		put_sample(&ring, 10, 100, 76, 76);
		put_task(&ring, PERF_RECORD_FORK, 20, 10, 101);
		put_name(&ring, 20, "true\0\0\0", 102);
		put_lost(&ring, 7, 103);
		put_task(&ring, PERF_RECORD_EXIT, 20, 10, 104);

		record = take(&ring);
		assert_int_equal(record.type, TRACE_RECORD_SAMPLE);
		assert_int_equal(record.pid, 10);
		assert_int_equal(record.thread, 11);
		assert_int_equal(record.when_ns, 100);
		assert_int_equal(record.raw_length, 76);
		for (uint8_t i = 0; i < 76; i++)
			assert_int_equal(((const uint8_t *)record.raw)[i], i);
		record = take(&ring);
		assert_int_equal(record.type, TRACE_RECORD_FORK);
		assert_int_equal(record.pid, 20);
		assert_int_equal(record.parent, 10);
		assert_int_equal(record.when_ns, 101);
		record = take(&ring);
		assert_int_equal(record.type, TRACE_RECORD_NAME);
		assert_true(record.is_exec);
		assert_string_equal(record.name, "true");
		record = take(&ring);
		assert_int_equal(record.type, TRACE_RECORD_LOST);
		assert_int_equal(record.lost, 7);
		assert_int_equal(record.when_ns, 103);
		assert_int_equal(take(&ring).type, TRACE_RECORD_EXIT);
		assert_int_equal(trace_reader_peek(&ring.reader, &record), -ENODATA);
	}
}

static void test_cgroup_behind_a_sample_is_read(unused void **state)
{
	static struct ring ring;
	uint64_t cgroup_id = 0x123456789abcdef0;

	for (uint64_t start = 0; start < RING; start += 8) {
		struct trace_record record;

		ring_init(&ring, start);
		put_header(&ring, PERF_RECORD_SAMPLE, 0, 8 + 16 + 4 + 76 + 8);
		put_id(&ring, 10, 100);
		put(&ring, &(uint32_t){76}, 4);
		for (uint8_t i = 0; i < 76; i++)
			put(&ring, &i, 1);
		put(&ring, &cgroup_id, sizeof(cgroup_id));
		put_sample(&ring, 11, 101, 76, 76);
		record = take(&ring);
		assert_int_equal(record.raw_length, 76);
		assert_true(record.cgroup_id == cgroup_id);
		record = take(&ring);
		assert_int_equal(record.pid, 11);
		assert_int_equal(record.cgroup_id, 0);
	}
}

static void test_nonsense_is_survived(unused void **state)
{
	static struct ring ring;
	struct trace_record record;

	ring_init(&ring, 0);
	put_sample(&ring, 1, 1, 4, 500); /* claims more than it has */
	put_header(&ring, PERF_RECORD_COMM, 0, 8 + 8 + 8 + 16);
	put(&ring, "\1\0\0\0\1\0\0\0notended", 16);
	put_id(&ring, 1, 2);
	put_header(&ring, PERF_RECORD_FORK, 0, 16); /* too short for anything */
	put(&ring, "12345678", 8);
	put_header(&ring, 9999, 0, 8 + 16);
	put_id(&ring, 1, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(trace_reader_peek(&ring.reader, &record), -EBADMSG);
		trace_reader_take(&ring.reader);
	}
	record = take(&ring);
	assert_int_equal(record.type, TRACE_RECORD_OTHER);
	assert_int_equal(record.when_ns, 3);
	put_header(&ring, PERF_RECORD_SAMPLE, 0, 4);
	assert_int_equal(trace_reader_peek(&ring.reader, &record), -EPIPE);
	assert_int_equal(trace_reader_peek(&ring.reader, &record), -ENODATA);
	put_header(&ring, PERF_RECORD_SAMPLE, 0, 4000);
	assert_int_equal(trace_reader_peek(&ring.reader, &record), -EPIPE);
}

/* Whatever stands in the ring: no byte outside is read (that is the sanitizer's to say), and it
 * comes to an end. */
static void test_random_bytes_are_survived(unused void **state)
{
	static struct ring ring;

	srandom(1);
	for (int round = 0; round < 20000; round++) {
		struct trace_record record;
		int r;

		ring_init(&ring, (uint64_t)(random() % RING) & ~7ull);
		for (int i = 0; i < 8; i++) {
			put_header(&ring, (uint32_t)random() % 12, (uint16_t)random(),
				   (size_t)(random() % 64) * 8 % 512);
			put(&ring, (uint64_t[]){(uint64_t)random(), (uint64_t)random()}, 16);
		}
		while ((r = trace_reader_peek(&ring.reader, &record)) != -ENODATA) {
			assert_true(r == 0 || r == -EBADMSG || r == -EPIPE);
			trace_reader_take(&ring.reader);
		}
		assert_int_equal(ring.reader.tail, ring.reader.head);
	}
}

struct merged {
	uint64_t times[1000];
	size_t count, malformed;
};

static void on_record(void *userdata, const struct trace_record *record, size_t input)
{
	struct merged *merged = userdata;

	assert_int_equal(record->pid, input);
	merged->times[merged->count++] = record->when_ns;
}

static void on_malformed(void *userdata, unused size_t input, unused bool is_torn)
{
	struct merged *merged = userdata;

	merged->malformed++;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static size_t fill(struct ring rings[RINGS], uint64_t times[], uint64_t *longest)
{
	size_t count = 0;

	for (size_t i = 0; i < RINGS; i++) {
		uint64_t when_ns = 0;
		long records = random() % 25;

		ring_init(&rings[i], (uint64_t)(random() % 4096) & ~7ull);
		for (long j = 0; j < records; j++) {
			when_ns += (uint64_t)random() % 10;
			put_sample(&rings[i], (uint32_t)i, when_ns, 4, 4);
			times[count++] = when_ns;
		}
		*longest = when_ns > *longest ? when_ns : *longest;
	}
	return count;
}

/* Against a sort of all times: everything before the limit, in order; the rest in the next run. */
static void test_merge_is_in_order_of_time(unused void **state)
{
	static struct ring rings[RINGS];
	struct trace_merge_input inputs[RINGS];
	uint32_t heap[RINGS];

	srandom(2);
	for (int round = 0; round < 500; round++) {
		uint64_t times[1000], longest = 0;
		struct merged merged = {0};
		const struct trace_merge_handlers handlers = {on_record, on_malformed, &merged};
		size_t count = fill(rings, times, &longest), before = 0;
		uint64_t limit_ns = (uint64_t)random() % (longest + 2);

		for (size_t i = 0; i < RINGS; i++)
			inputs[i].reader = &rings[i].reader;
		qsort(times, count, sizeof(times[0]), compare);
		while (before < count && times[before] < limit_ns)
			before++;
		trace_merge_run(inputs, heap, RINGS, limit_ns, &handlers);
		assert_int_equal(merged.count, before);
		trace_merge_run(inputs, heap, RINGS, UINT64_MAX, &handlers);
		assert_int_equal(merged.count, count);
		assert_memory_equal(merged.times, times, count * sizeof(times[0]));
		assert_int_equal(merged.malformed, 0);
	}
}

static void test_merge_goes_past_the_malformed(unused void **state)
{
	static struct ring rings[2];
	struct trace_merge_input inputs[2] = {{.reader = &rings[0].reader},
					      {.reader = &rings[1].reader}};
	struct merged merged = {0};
	const struct trace_merge_handlers handlers = {on_record, on_malformed, &merged};
	uint32_t heap[2];

	ring_init(&rings[0], 0);
	ring_init(&rings[1], 0);
	put_sample(&rings[0], 0, 1, 4, 500);
	put_sample(&rings[0], 0, 5, 4, 4);
	put_sample(&rings[1], 1, 4, 4, 4);
	put_header(&rings[1], PERF_RECORD_SAMPLE, 0, 3);
	trace_merge_run(inputs, heap, 2, 100, &handlers);
	assert_int_equal(merged.count, 2);
	assert_int_equal(merged.times[0], 4);
	assert_int_equal(merged.times[1], 5);
	assert_int_equal(merged.malformed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_is_read_at_each_place),
		cmocka_unit_test(test_cgroup_behind_a_sample_is_read),
		cmocka_unit_test(test_nonsense_is_survived),
		cmocka_unit_test(test_random_bytes_are_survived),
		cmocka_unit_test(test_merge_is_in_order_of_time),
		cmocka_unit_test(test_merge_goes_past_the_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
