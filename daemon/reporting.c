/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "reporting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "control_commands.h"
#include "metrics.h"
#include "summary.h"

#define LOG_MODULE "control"
#include "runtime/log.h"

#define TURN_NS (10 * NS_PER_SEC)

struct reporting {
	struct counters_parts parts;
	struct counters *counters;
	struct control_commands *commands;
	struct control *control;
	struct metrics *metrics;
	struct loop_source *timer;
	struct summary summary;
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
	else if (r == CONTROL_NOT_GIVEN)
		log_warning("%s may not be given to the group \"%s\": only root may ask there; a "
			    "drop-in "
			    "of the unit with Group=%s mends it",
			    config->socket, config->group, config->group);
	reporting->parts.control = reporting->control;
}

static void add_loss(void *userdata, const struct statistic_value *value)
{
	uint64_t *lost = userdata;

	if (value->row->kind == STATISTIC_LOSS)
		*lost += value->value;
}

static struct summary_values read_values(struct reporting *reporting, uint64_t now_ns)
{
	const struct statistics *statistics =
		counters_read(reporting->counters, &reporting->parts, now_ns);
	const struct conntrack_counters *conntrack =
		conntrack_get_counters(reporting->parts.conntrack);
	const struct counters_figures *figures = counters_get_figures(reporting->counters);
	struct summary_values values = {
		.flows = flow_table_get_counters(pipeline_get_flows(reporting->parts.pipeline))
				 ->opened,
		.records = pipeline_get_counters(reporting->parts.pipeline)->records,
		.events = conntrack->events_new + conntrack->events_update +
			  conntrack->events_destroy,
		.cpu_ns = figures->cpu_user_ns + figures->cpu_system_ns,
		.open_flows = figures->open_flows,
		.memory_bytes = figures->memory_bytes,
	};

	if (statistics)
		statistics_walk(statistics, add_loss, &values.lost);
	return values;
}

static void tell_summary(struct reporting *reporting, uint64_t now_ns)
{
	struct summary_values values = read_values(reporting, now_ns);
	char text[256];

	summary_tell(&reporting->summary, &values, now_ns, text, sizeof(text));
	log_info("%s", text);
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	struct reporting *reporting = userdata;

	log_run(now_ns);
	if (summary_is_due(&reporting->summary, now_ns))
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
	summary_init(&reporting->summary, clock_now_ns());
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
