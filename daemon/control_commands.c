/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "control_commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/macros.h"
#include "control_flows.h"
#include "control_processes.h"

struct control_commands {
	const struct counters_parts *parts;
	struct counters *counters;
};

struct query;

struct command {
	const char *name;
	/* 0, -EINVAL with the refusal, or -ENOMEM. NULL: nothing to open. */
	int (*open)(struct query *query, struct control_refusal *ret_refusal);
	int (*step)(struct query *query, struct buffer *out);
	void (*close)(struct query *query);
};

struct query {
	struct control_commands *commands;
	const struct command *command;
	struct control_request request;
	size_t next; /* exporter */
	struct control_flows *flows;
	struct control_processes *processes;
};

static void add_version(struct buffer *out)
{
	json_text_add_string(out, "version", text_from(PROCFLOW_VERSION));
	json_text_add_string(out, "features", text_from(PROCFLOW_FEATURES));
	json_text_add_number(out, "pid", (uint64_t)getpid());
}

static int step_version(unused struct query *query, struct buffer *out)
{
	control_add_item_begin(out);
	json_text_open_object(out, NULL);
	add_version(out);
	json_text_close_object(out);
	control_add_item_end(out);
	control_add_end(out, 1, 1);
	return 0;
}

static const struct statistics *read_statistics(struct query *query)
{
	return counters_read(query->commands->counters, query->commands->parts, clock_now_ns());
}

static int step_status(struct query *query, struct buffer *out)
{
	const struct statistics *statistics = read_statistics(query);

	if (!statistics)
		return -ENOMEM;
	control_add_item_begin(out);
	json_text_open_object(out, NULL);
	add_version(out);
	json_text_add_number(out, "uptime_ns",
			     counters_get_figures(query->commands->counters)->uptime_ns);
	statistics_encode_json(statistics, out);
	json_text_open_array(out, "exporters");
	for (size_t i = 0; i < statistics->instance_count; i++)
		statistics_encode_instance(statistics, &statistics->instances[i], out);
	json_text_close_array(out);
	json_text_close_object(out);
	control_add_item_end(out);
	control_add_end(out, 1, 1);
	return 0;
}

static int step_exporters(struct query *query, struct buffer *out)
{
	const struct statistics *statistics = read_statistics(query);

	if (!statistics)
		return -ENOMEM;
	if (query->next < statistics->instance_count) {
		control_add_item_begin(out);
		statistics_encode_instance(statistics, &statistics->instances[query->next++], out);
		control_add_item_end(out);
		return CONTROL_MORE;
	}
	control_add_end(out, query->next, query->next);
	return 0;
}

static int open_flows(struct query *query, unused struct control_refusal *ret_refusal)
{
	return control_flows_new(query->commands->parts->pipeline, &query->request, &query->flows);
}

static int step_flows(struct query *query, struct buffer *out)
{
	return control_flows_step(query->flows, clock_now_ns(), out);
}

static void close_flows(struct query *query)
{
	control_flows_free(query->flows);
}

static int open_processes(struct query *query, unused struct control_refusal *ret_refusal)
{
	return control_processes_new(query->commands->parts->processes, &query->request,
				     &query->processes);
}

static int step_processes(struct query *query, struct buffer *out)
{
	return control_processes_step(query->processes, clock_now_ns(), out);
}

static void close_processes(struct query *query)
{
	control_processes_free(query->processes);
}

static const struct command commands_table[] = {
	{"version", NULL, step_version, NULL},
	{"status", NULL, step_status, NULL},
	{"exporters", NULL, step_exporters, NULL},
	{"flows", open_flows, step_flows, close_flows},
	{"processes", open_processes, step_processes, close_processes},
};

static void on_close(unused void *userdata, void *query_pointer)
{
	struct query *query = query_pointer;

	if (query->command->close)
		query->command->close(query);
	free(query);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < array_length(commands_table); i++)
		if (strcmp(commands_table[i].name, name) == 0)
			return &commands_table[i];
	return NULL;
}

static int on_open(void *userdata, const struct control_request *request, void **ret_query,
		   struct control_refusal *ret_refusal)
{
	const struct command *command = find_command(request->command);
	cleanup_free struct query *query = calloc(1, sizeof(*query));
	int r = 0;

	if (!query)
		return -ENOMEM;
	if (!command) {
		ret_refusal->word = "unknown-command";
		ret_refusal->reason[0] = '\0';
		return -EINVAL;
	}
	*query = (struct query){.commands = userdata, .command = command, .request = *request};
	if (command->open)
		r = command->open(query, ret_refusal);
	if (r < 0)
		return r;
	*ret_query = steal_pointer(&query);
	return 0;
}

static int on_step(unused void *userdata, void *query_pointer, struct buffer *out)
{
	struct query *query = query_pointer;

	return query->command->step(query, out);
}

int control_commands_new(const struct counters_parts *parts, struct counters *counters,
			 struct control_commands **ret)
{
	struct control_commands *commands = calloc(1, sizeof(*commands));

	if (!commands)
		return -ENOMEM;
	*commands = (struct control_commands){.parts = parts, .counters = counters};
	*ret = commands;
	return 0;
}

void control_commands_free(struct control_commands *commands)
{
	free(commands);
}

struct control_handler control_commands_get_handler(struct control_commands *commands)
{
	return (struct control_handler){
		.open = on_open, .step = on_step, .close = on_close, .userdata = commands};
}
