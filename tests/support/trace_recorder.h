/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Everything that trace tells, kept in the order in which it was told. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow_event.h"
#include "sources/trace.h"

struct trace_recorder;

struct trace_told {
	enum { TRACE_TOLD_SOCKET, TRACE_TOLD_PROCESS, TRACE_TOLD_LOST } type;
	struct socket_event socket;
	struct process_event process;
	char executable[256];
	uint64_t lost_from_ns, lost_until_ns;
};

typedef bool (*trace_told_match)(const struct trace_told *told, const void *userdata);

/* NULL, after printing why, where trace is not to be had. */
struct trace_recorder *trace_recorder_open(size_t ring_bytes);
void trace_recorder_close(struct trace_recorder *recorder);

struct trace *trace_recorder_get_trace(struct trace_recorder *recorder);
/* Lets trace's timers run for a moment. */
void trace_recorder_run(struct trace_recorder *recorder);
/* Drains, then how many things were told so far. */
size_t trace_recorder_read(struct trace_recorder *recorder);
const struct trace_told *trace_recorder_get(const struct trace_recorder *recorder, size_t index);

/* Drains until "match" takes something, for five seconds at most: its index, or -1 after printing
 * all that was told. */
ssize_t trace_recorder_wait(struct trace_recorder *recorder, trace_told_match match,
			    const void *userdata);
void trace_recorder_print(const struct trace_recorder *recorder);
