/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The perf ring of one CPU (perf_event_open(2)). A dummy event leads it and brings the FORK, COMM
 * and EXIT records; the tracepoints of that CPU are redirected into it, so that all of it comes in
 * one stream. Times are CLOCK_MONOTONIC.
 *
 * Takes one descriptor for the leader and one for each tracepoint. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sources/trace_format.h"
#include "sources/trace_record.h"

struct trace_ring;

/* Opens the ring of an online CPU: "bytes" (rounded up to a power of two of pages; halved, down to
 * 64 KiB, where the kernel does not let this user lock so much: kernel.perf_event_mlock_kb).
 * "bounce" is TRACE_READER_BOUNCE bytes of the caller's that the rings share. -ENODEV: this CPU is
 * offline; -EACCES or -EPERM: a right is missing. */
int trace_ring_open(int cpu, size_t bytes, uint8_t *bounce, struct trace_ring **ret);
void trace_ring_close(struct trace_ring *ring);

/* Tracepoints that are set from now on tell the cgroup too, where the kernel can (Linux 5.7,
 * CONFIG_CGROUP_PERF). */
void trace_ring_want_cgroups(struct trace_ring *ring);

/* Adds the tracepoint with this id under an in-kernel filter. One that the ring has already is
 * replaced without a gap: the kernel refuses to change a filter (EEXIST), so a second event is
 * opened first, and for a moment records come twice. */
int trace_ring_set_tracepoint(struct trace_ring *ring, enum trace_tracepoint tracepoint,
			      uint16_t id, const char *filter);

int trace_ring_get_cpu(const struct trace_ring *ring);
/* Readable when a quarter of the ring is full. */
int trace_ring_get_fd(const struct trace_ring *ring);
size_t trace_ring_get_bytes(const struct trace_ring *ring);

/* Looks how far the kernel has written. The reader is the ring's. */
struct trace_reader *trace_ring_begin(struct trace_ring *ring);
/* Gives what was taken back to the kernel. */
void trace_ring_release(struct trace_ring *ring);

/* Whether the ring had so little room at trace_ring_begin() that records may be missing. */
bool trace_ring_was_full(const struct trace_ring *ring);

/* Whether the kernel still feeds it: false when the CPU went offline after the last call, also if
 * it is back by now (events do not come back with it). */
bool trace_ring_is_alive(struct trace_ring *ring);
