/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_ring.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"

/* The longest record that we get is a sample of fib6_table_lookup, below 200 bytes. */
enum { SMALLEST_RING = 65536, NO_ROOM = 1024 };

struct trace_ring {
	struct trace_reader reader;
	struct perf_event_mmap_page *page;
	size_t mapped;
	uint64_t enabled_ns; /* how long the leader was enabled, when last asked */
	int leader;
	int events[TRACE_TRACEPOINT_COUNT];
	int cpu;
	bool wants_cgroups;
	bool was_full;
};

DEFINE_CLEANUP(struct trace_ring *, trace_ring_close);

static int open_event(struct perf_event_attr *attributes, int cpu)
{
	attributes->size = sizeof(*attributes);
	attributes->sample_type |= PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
	attributes->sample_id_all = 1;
	attributes->use_clockid = 1;
	attributes->clockid = CLOCK_MONOTONIC;
	return (int)syscall(SYS_perf_event_open, attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int open_leader(int cpu, size_t ring_bytes)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED,
		.task = 1,
		.comm = 1,
		.comm_exec = 1,
		.watermark = 1,
		.wakeup_watermark = (uint32_t)(ring_bytes / 4),
	};

	return open_event(&attributes, cpu);
}

static int open_tracepoint(const struct trace_ring *ring, uint16_t id)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT,
		.config = id,
		.sample_period = 1,
		.disabled = 1,
		.sample_type = ring->wants_cgroups ? PERF_SAMPLE_CGROUP : 0,
	};
	int fd = open_event(&attributes, ring->cpu);

	if (fd >= 0 || errno != EINVAL || !ring->wants_cgroups)
		return fd;
	attributes.sample_type = 0;
	return open_event(&attributes, ring->cpu);
}

static size_t round_up(size_t bytes)
{
	size_t size = SMALLEST_RING;

	while (size < bytes && size < (size_t)1 << 30)
		size *= 2;
	return size;
}

/* 0 or a negative errno; the mapping decides how large a watermark makes sense, so both are made
 * for one size. */
static int try_size(struct trace_ring *ring, size_t bytes)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	cleanup_close int leader = open_leader(ring->cpu, bytes);
	void *page;

	if (leader < 0)
		return -errno;
	page = mmap(NULL, page_size + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, leader, 0);
	if (page == MAP_FAILED)
		return -errno;
	ring->leader = steal_fd(&leader);
	ring->page = page;
	ring->mapped = page_size + bytes;
	ring->reader.data = (const uint8_t *)page + page_size;
	ring->reader.size = bytes;
	return 0;
}

int trace_ring_open(int cpu, size_t bytes, uint8_t *bounce, struct trace_ring **ret)
{
	cleanup(trace_ring_close_cleanup) struct trace_ring *ring = calloc(1, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	ring->cpu = cpu;
	ring->leader = -1;
	ring->reader.bounce = bounce;
	for (size_t i = 0; i < array_length(ring->events); i++)
		ring->events[i] = -1;
	bytes = round_up(bytes);
	do {
		r = try_size(ring, bytes);
		bytes /= 2;
	} while ((r == -EPERM || r == -ENOMEM) && bytes >= SMALLEST_RING);
	if (r < 0)
		return r;
	*ret = steal_pointer(&ring);
	return 0;
}

void trace_ring_want_cgroups(struct trace_ring *ring)
{
	ring->wants_cgroups = true;
}

void trace_ring_close(struct trace_ring *ring)
{
	if (!ring)
		return;
	for (size_t i = 0; i < array_length(ring->events); i++)
		if (ring->events[i] >= 0)
			close(ring->events[i]);
	if (ring->page)
		munmap(ring->page, ring->mapped);
	if (ring->leader >= 0)
		close(ring->leader);
	free(ring);
}

int trace_ring_set_tracepoint(struct trace_ring *ring, enum trace_tracepoint tracepoint,
			      uint16_t id, const char *filter)
{
	cleanup_close int fd = open_tracepoint(ring, id);

	if (fd < 0)
		return -errno;
	if (filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->leader) < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	if (ring->events[tracepoint] >= 0)
		close(ring->events[tracepoint]);
	ring->events[tracepoint] = steal_fd(&fd);
	return 0;
}

int trace_ring_get_cpu(const struct trace_ring *ring)
{
	return ring->cpu;
}

int trace_ring_get_fd(const struct trace_ring *ring)
{
	return ring->leader;
}

size_t trace_ring_get_bytes(const struct trace_ring *ring)
{
	return ring->reader.size;
}

struct trace_reader *trace_ring_begin(struct trace_ring *ring)
{
	struct trace_reader *reader = &ring->reader;

	/* Pairs with the kernel's barrier before it moves data_head (perf_output_put_handle() in
	 * kernel/events/ring_buffer.c). */
	reader->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	ring->was_full = reader->head - reader->tail > reader->size - NO_ROOM;
	return reader;
}

void trace_ring_release(struct trace_ring *ring)
{
	__atomic_store_n(&ring->page->data_tail, ring->reader.tail, __ATOMIC_RELEASE);
}

bool trace_ring_was_full(const struct trace_ring *ring)
{
	return ring->was_full;
}

bool trace_ring_is_alive(struct trace_ring *ring)
{
	struct {
		uint64_t value, enabled_ns;
	} counts = {0};
	bool is_alive;

	if (read(ring->leader, &counts, sizeof(counts)) != sizeof(counts))
		return false;
	is_alive = counts.enabled_ns > ring->enabled_ns;
	ring->enabled_ns = counts.enabled_ns;
	return is_alive;
}
