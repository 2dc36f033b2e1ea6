/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_rings.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "sources/trace_cpus.h"

struct trace_rings {
	const struct trace_format *formats;
	char *filters[TRACE_TRACEPOINT_COUNT];
	size_t ring_bytes;
	bool wants_cgroups;
	struct trace_ring **rings;
	size_t count;
	uint8_t *bounce;
	int epoll;
};

DEFINE_CLEANUP(struct trace_rings *, trace_rings_close);
DEFINE_CLEANUP(struct trace_ring *, trace_ring_close);

static int add_ring(struct trace_rings *rings, struct trace_ring **take_ring)
{
	struct trace_ring **larger =
		realloc(rings->rings, (rings->count + 1) * sizeof(struct trace_ring *));
	struct epoll_event event = {.events = EPOLLIN};

	if (!larger)
		return -ENOMEM;
	rings->rings = larger;
	if (epoll_ctl(rings->epoll, EPOLL_CTL_ADD, trace_ring_get_fd(*take_ring), &event) < 0)
		return -errno;
	larger[rings->count++] = steal_pointer(take_ring);
	return 0;
}

static int open_ring(struct trace_rings *rings, int cpu, enum trace_tracepoint *ret_failed)
{
	cleanup(trace_ring_close_cleanup) struct trace_ring *ring = NULL;
	int r = trace_ring_open(cpu, rings->ring_bytes, rings->bounce, &ring);

	if (r < 0) {
		*ret_failed = TRACE_TRACEPOINT_COUNT;
		return r;
	}
	if (rings->wants_cgroups)
		trace_ring_want_cgroups(ring);
	for (enum trace_tracepoint i = 0; i < TRACE_TRACEPOINT_COUNT; i++) {
		if (rings->formats[i].id == 0)
			continue;
		r = trace_ring_set_tracepoint(ring, i, rings->formats[i].id, rings->filters[i]);
		if (r < 0) {
			*ret_failed = i;
			return r;
		}
	}
	trace_ring_is_alive(ring);
	return add_ring(rings, &ring);
}

static bool has_ring(const struct trace_rings *rings, int cpu)
{
	for (size_t i = 0; i < rings->count; i++)
		if (trace_ring_get_cpu(rings->rings[i]) == cpu)
			return true;
	return false;
}

/* A CPU that goes offline between the list and the call is no error. */
static int open_missing(struct trace_rings *rings, const struct trace_cpus *cpus,
			enum trace_tracepoint *ret_failed)
{
	int opened = 0;

	for (int cpu = 0; cpu < TRACE_CPUS_MAX; cpu++) {
		int r;

		if (!cpus->online[cpu] || has_ring(rings, cpu))
			continue;
		r = open_ring(rings, cpu, ret_failed);
		if (r < 0 && r != -ENODEV)
			return r;
		opened += r == 0;
	}
	return opened;
}

int trace_rings_open(const struct trace_rings_options *options, struct trace_rings **ret,
		     enum trace_tracepoint *ret_failed)
{
	cleanup(trace_rings_close_cleanup) struct trace_rings *rings = calloc(1, sizeof(*rings));
	struct trace_cpus cpus;
	int r;

	*ret_failed = TRACE_TRACEPOINT_COUNT;
	if (!rings)
		return -ENOMEM;
	rings->formats = options->formats;
	rings->ring_bytes = options->ring_bytes;
	rings->wants_cgroups = options->wants_cgroups;
	rings->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (rings->epoll < 0)
		return -errno;
	rings->bounce = malloc(TRACE_READER_BOUNCE);
	if (!rings->bounce)
		return -ENOMEM;
	for (size_t i = 0; i < TRACE_TRACEPOINT_COUNT; i++) {
		if (!options->filters[i])
			continue;
		rings->filters[i] = strdup(options->filters[i]);
		if (!rings->filters[i])
			return -ENOMEM;
	}
	r = trace_cpus_read(&cpus);
	if (r < 0)
		return r;
	r = open_missing(rings, &cpus, ret_failed);
	if (r < 0)
		return r;
	if (rings->count == 0)
		return -ENODEV;
	*ret = steal_pointer(&rings);
	return 0;
}

void trace_rings_close(struct trace_rings *rings)
{
	if (!rings)
		return;
	for (size_t i = 0; i < rings->count; i++)
		trace_ring_close(rings->rings[i]);
	for (size_t i = 0; i < TRACE_TRACEPOINT_COUNT; i++)
		free(rings->filters[i]);
	if (rings->epoll >= 0)
		close(rings->epoll);
	free(rings->rings);
	free(rings->bounce);
	free(rings);
}

int trace_rings_get_fd(const struct trace_rings *rings)
{
	return rings->epoll;
}

size_t trace_rings_get_count(const struct trace_rings *rings)
{
	return rings->count;
}

struct trace_ring *trace_rings_get(const struct trace_rings *rings, size_t number)
{
	return rings->rings[number];
}

int trace_rings_set_filter(struct trace_rings *rings, enum trace_tracepoint tracepoint,
			   const char *filter)
{
	uint16_t id = rings->formats[tracepoint].id;
	char *copy;

	if (id == 0)
		return 0;
	copy = strdup(filter);
	if (!copy)
		return -ENOMEM;
	free(rings->filters[tracepoint]);
	rings->filters[tracepoint] = copy;
	for (size_t i = 0; i < rings->count; i++) {
		int r = trace_ring_set_tracepoint(rings->rings[i], tracepoint, id, copy);

		if (r < 0 && r != -ENODEV)
			return r;
	}
	return 0;
}

int trace_rings_scan(struct trace_rings *rings)
{
	enum trace_tracepoint failed;
	struct trace_cpus cpus;
	int r = trace_cpus_read(&cpus);

	if (r < 0)
		return r;
	for (size_t i = 0; i < rings->count;) {
		struct trace_ring *ring = rings->rings[i];

		if (cpus.online[trace_ring_get_cpu(ring)] && trace_ring_is_alive(ring)) {
			i++;
			continue;
		}
		/* Closing the descriptor takes it out of the epoll set. */
		trace_ring_close(ring);
		rings->rings[i] = rings->rings[--rings->count];
	}
	return open_missing(rings, &cpus, &failed);
}
