/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Makes events out of records: what a tracepoint says becomes who did what to which socket. */

#include "sources/trace.h"
#include "sources/trace_busy.h"
#include "sources/trace_connect.h"
#include "sources/trace_format.h"
#include "sources/trace_record.h"

/* All but "busy" is borrowed. */
struct trace_teller {
	const struct trace_handlers *handlers;
	const struct trace_format *formats; /* TRACE_TRACEPOINT_COUNT */
	struct trace_counters *counters;
	struct trace_connect *connect;
	struct trace_busy busy[TRACE_BUSY_COUNT];
};

/* Calls the handlers with what "record" says; what it says of losses is the caller's. */
void trace_teller_tell(struct trace_teller *teller, const struct trace_record *record);
