/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What trace needs of this kernel before its rings can be opened: the formats of the tracepoints
 * and the filters for them; and what to tell people where something is missing. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "sources/trace.h"
#include "sources/trace_format.h"
#include "sources/trace_ports.h"

/* Reads the formats from tracefs. A tracepoint that trace can do without gets id 0 where the kernel
 * lacks it. 0, or a negative errno and the reason. */
int trace_setup_read_formats(struct trace_format formats[TRACE_TRACEPOINT_COUNT],
			     char reason[TRACE_REASON_SIZE]);

/* The in-kernel filter of a tracepoint, with its NUL, without UDP from the ports, or, of
 * TRACE_RECEIVE, without TCP at these; empty for none. (Documentation/trace/events.rst, "Event
 * filtering".) */
void trace_setup_build_filter(enum trace_tracepoint tracepoint, const struct trace_ports *ports,
			      struct buffer *filter);

/* Whether the cgroup that perf tells of a task is that of cgroup v2: not where a hierarchy of v1 has the
 * controller perf_event. "file" is /proc/PID/cgroup. Pure. */
bool trace_setup_has_cgroups(const char *file);

/* Why opening the rings failed; TRACE_TRACEPOINT_COUNT for the rings themselves. */
void trace_setup_explain_open(int error, enum trace_tracepoint failed,
			      char reason[TRACE_REASON_SIZE]);
