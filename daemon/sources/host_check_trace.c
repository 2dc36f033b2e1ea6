/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sources/host_checks.h"
#include "sources/trace_setup.h"

/* Opens the event for the whole of the first CPU, as trace does for each, and never starts it. */
static int try_event(const struct trace_format *format)
{
	struct perf_event_attr attributes = {.type = PERF_TYPE_TRACEPOINT,
					     .size = sizeof(attributes),
					     .config = format->id,
					     .sample_period = 1,
					     .sample_type = PERF_SAMPLE_RAW,
					     .disabled = 1};
	cleanup_close int fd =
		(int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

static void check_tracepoint(struct host_report *report, enum trace_tracepoint tracepoint,
			     const struct trace_format *format)
{
	const char *system = trace_format_get_system(tracepoint);
	const char *name = trace_format_get_name(tracepoint);
	char reason[TRACE_REASON_SIZE];
	int r;

	if (format->id == 0) {
		host_report_write(
			report, HOST_NOTE, "tracepoint",
			"this kernel has no %s:%s (it may be a module, or come with IPv6): "
			"trace goes without it",
			system, name);
		return;
	}
	r = try_event(format);
	if (r == 0) {
		host_report_write(report, HOST_OK, "tracepoint", "%s:%s can be listened to", system,
				  name);
		return;
	}
	trace_setup_explain_open(r, tracepoint, reason);
	host_report_write(report, HOST_MISSING, "tracepoint",
			  "%s; run as root, or sysctl -w kernel.perf_event_paranoid=-1", reason);
}

void host_check_trace(struct host_report *report)
{
	struct trace_format formats[TRACE_TRACEPOINT_COUNT] = {0};
	char reason[TRACE_REASON_SIZE];

	if (!(report->config->attribution.methods & CONFIG_METHOD_TRACE)) {
		host_report_write(report, HOST_NOTE, "tracepoints",
				  "not used: processes that live shorter than a lookup takes stay "
				  "unknown; add trace to attribution.methods");
		return;
	}
	if (trace_setup_read_formats(formats, reason) < 0) {
		host_report_write(report, HOST_MISSING, "tracepoints",
				  "%s; or take trace out of attribution.methods", reason);
		return;
	}
	for (enum trace_tracepoint i = 0; i < TRACE_TRACEPOINT_COUNT; i++)
		check_tracepoint(report, i, &formats[i]);
}
