/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "reporting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control_commands.h"

#define LOG_MODULE "control"
#include "runtime/log.h"

struct reporting {
	struct counters_parts parts;
	struct counters *counters;
	struct control_commands *commands;
	struct control *control;
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

	if (config->socket[0] == '\0')
		return;
	r = control_new(loop, &options, &reporting->control);
	if (r < 0)
		tell_trouble(config, r);
	else if (r == CONTROL_NO_GROUP)
		log_info("there is no group \"%s\": only root may ask at %s", config->group,
			 config->socket);
	reporting->parts.control = reporting->control;
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
	*ret = steal_pointer(&reporting);
	return 0;
}

void reporting_free(struct reporting *reporting)
{
	if (!reporting)
		return;
	control_free(reporting->control);
	control_commands_free(reporting->commands);
	counters_free(reporting->counters);
	free(reporting);
}
