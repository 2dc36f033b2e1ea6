/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* All counters of all modules as one table: what procflow status and exporters, the metrics and the
 * log's summary show. A new counter is a row in counters.c. */

#include <stddef.h>
#include <stdint.h>

#include "attribution/attribution.h"
#include "export/exporter.h"
#include "packets.h"
#include "pipeline.h"
#include "process/process_table.h"
#include "process_reporter.h"
#include "runtime/control.h"
#include "sources/conntrack.h"
#include "sources/proc_connector.h"
#include "sources/socket_end.h"
#include "sources/sysdig.h"
#include "sources/trace.h"
#include "status/statistics.h"

/* What has to be asked for: the daemon's own use, and how full the tables are. */
struct counters_figures {
	uint64_t start_ns; /* wall clock */
	uint64_t uptime_ns;
	uint64_t cpu_user_ns, cpu_system_ns;
	uint64_t memory_bytes, peak_memory_bytes;
	uint64_t open_files;
	uint64_t open_flows, max_flows;
	/* STATISTIC_UNKNOWN where the kernel does not tell them here. */
	uint64_t conntrack_entries, conntrack_max;
	uint64_t log_held_back;
};

/* The modules, all borrowed; NULL where one is not there. */
struct counters_parts {
	const struct config *config;
	struct pipeline *pipeline;
	const struct conntrack *conntrack;
	const struct socket_end *socket_end;
	const struct packets *packets;
	const struct proc_connector *proc_connector;
	const struct sysdig *sysdig;
	struct trace *trace;
	const struct attribution *attribution;
	struct process_table *processes;
	const struct process_reporter *reporter;
	const struct exporter_set *exporters;
	const struct control *control;
	int proc_fd;
	uint64_t start_ns; /* monotonic */
};

struct counters;

int counters_new(struct counters **ret);
/* Accepts NULL. */
void counters_free(struct counters *counters);

/* Brings the values up to date; about 0.1 ms. Borrowed until the next call, and as long as the parts
 * stay; NULL when memory ran out. */
const struct statistics *counters_read(struct counters *counters,
				       const struct counters_parts *parts, uint64_t now_ns);
const struct counters_figures *counters_get_figures(const struct counters *counters);
