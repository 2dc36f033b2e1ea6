/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "reporting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "control_commands.h"
#include "metrics.h"

#define LOG_MODULE "control"
#include "runtime/log.h"

#define SUMMARY_NS (600 * NS_PER_SEC)
#define TURN_NS	   (10 * NS_PER_SEC)

/* What a summary tells the rise of. */
struct summary {
	uint64_t flows, records, events, lost, cpu_ns;
};

struct reporting {
	struct counters_parts parts;
	struct counters *counters;
	struct control_commands *commands;
	struct control *control;
	struct metrics *metrics;
	struct loop_source *timer;
	uint64_t summary_due_ns;
	struct summary told; /* by the last summary */
};

DEFINE_CLEANUP(struct reporting *, reporting_free);

static void tell_trouble(const struct config_control *config, int error)
{
	if (error == -EADDRINUSE)
		log_warning("%s: another procflowd answers there; this one has no control socket",
			    config->socket);
	else
		log_warning("%s: no control socket: %s", config->socket, strerror(-error));
}

static void open_control(struct reporting *reporting, struct loop *loop)
{
	const struct config_control *config = &reporting->parts.config->control;
	struct control_options options = {
		.path = config->socket,
		.group = config->group,
		.handler = control_commands_get_handler(reporting->commands),
	};
	int r;

	if (strcmp(config->socket, "none") == 0)
		return;
	r = control_new(loop, &options, &reporting->control);
	if (r < 0)
		tell_trouble(config, r);
	else if (r == CONTROL_NO_GROUP)
		log_info("there is no group \"%s\": only root may ask at %s", config->group,
			 config->socket);
	reporting->parts.control = reporting->control;
}

static void add_loss(void *userdata, const struct statistic_value *value)
{
	uint64_t *lost = userdata;

	if (value->row->kind == STATISTIC_LOSS)
		*lost += value->value;
}

static struct summary read_summary(struct reporting *reporting, uint64_t now_ns)
{
	const struct statistics *statistics =
		counters_read(reporting->counters, &reporting->parts, now_ns);
	const struct conntrack_counters *conntrack =
		conntrack_get_counters(reporting->parts.conntrack);
	const struct counters_figures *figures = counters_get_figures(reporting->counters);
	struct summary summary = {
		.flows = flow_table_get_counters(pipeline_get_flows(reporting->parts.pipeline))
				 ->opened,
		.records = pipeline_get_counters(reporting->parts.pipeline)->records,
		.events = conntrack->events_new + conntrack->events_update +
			  conntrack->events_destroy,
		.cpu_ns = figures->cpu_user_ns + figures->cpu_system_ns,
	};

	if (statistics)
		statistics_walk(statistics, add_loss, &summary.lost);
	return summary;
}

static void tell_summary(struct reporting *reporting, uint64_t now_ns)
{
	struct summary now = read_summary(reporting, now_ns), *told = &reporting->told;
	const struct counters_figures *figures = counters_get_figures(reporting->counters);

	log_info("in ten minutes: %" PRIu64 " flows, %" PRIu64 " records, %" PRIu64
		 " events, %" PRIu64 " losses (procflow status names them), %" PRIu64
		 " ms of CPU; now %" PRIu64 " flows open, %" PRIu64 " KiB of memory",
		 now.flows - told->flows, now.records - told->records, now.events - told->events,
		 now.lost - told->lost, (uint64_t)((now.cpu_ns - told->cpu_ns) / NS_PER_MS),
		 figures->open_flows, figures->memory_bytes / 1024);
	*told = now;
	reporting->summary_due_ns = now_ns + SUMMARY_NS;
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	struct reporting *reporting = userdata;

	log_run(now_ns);
	if (now_ns >= reporting->summary_due_ns)
		tell_summary(reporting, now_ns);
	loop_source_set_time(reporting->timer, now_ns + TURN_NS);
}

int reporting_new(struct loop *loop, const struct counters_parts *parts, struct reporting **ret)
{
	cleanup(reporting_free_cleanup) struct reporting *reporting = calloc(1, sizeof(*reporting));
	int r;

	if (!reporting)
		return -ENOMEM;
	reporting->parts = *parts;
	r = counters_new(&reporting->counters);
	if (r < 0)
		return r;
	r = control_commands_new(&reporting->parts, reporting->counters, &reporting->commands);
	if (r < 0)
		return r;
	open_control(reporting, loop);
	r = metrics_new(loop, &reporting->parts, reporting->counters, &reporting->metrics);
	if (r < 0)
		return r;
	reporting->summary_due_ns = clock_now_ns() + SUMMARY_NS;
	r = loop_add_timer(loop, clock_now_ns() + TURN_NS, on_timer, reporting, &reporting->timer);
	if (r < 0)
		return r;
	*ret = steal_pointer(&reporting);
	return 0;
}

void reporting_free(struct reporting *reporting)
{
	if (!reporting)
		return;
	loop_source_free(reporting->timer);
	metrics_free(reporting->metrics);
	control_free(reporting->control);
	control_commands_free(reporting->commands);
	counters_free(reporting->counters);
	free(reporting);
}
