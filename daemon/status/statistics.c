/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "status/statistics.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"

static uint64_t read_value(const struct statistic *row, const void *values, unsigned number)
{
	uint64_t value;

	memcpy(&value, (const char *)values + row->offset + number * sizeof(value), sizeof(value));
	return value;
}

/* True: "ret" is a value that is known. */
static bool get_value(const struct statistic *row, const void *values, unsigned number,
		      struct statistic_value *ret)
{
	*ret = (struct statistic_value){.row = row};
	if (!values)
		return false;
	if (row->label_key) {
		ret->label = row->get_label(number);
		if (!ret->label)
			return false;
	}
	ret->value = read_value(row, values, number);
	return ret->value != STATISTIC_UNKNOWN;
}

static unsigned count_values(const struct statistic *row)
{
	return row->label_key ? row->count : 1;
}

void statistics_walk(const struct statistics *statistics,
		     void (*on_value)(void *userdata, const struct statistic_value *value),
		     void *userdata)
{
	for (size_t i = 0; i < statistics->row_count; i++) {
		const struct statistic *row = &statistics->rows[i];
		bool is_of_instances = row->source == statistics->instance_source;
		size_t instances = is_of_instances ? statistics->instance_count : 1;

		for (size_t j = 0; j < instances * count_values(row); j++) {
			const struct statistics_instance *instance =
				is_of_instances ? &statistics->instances[j / count_values(row)]
						: NULL;
			const void *values =
				instance ? instance->values : statistics->sources[row->source];
			struct statistic_value value;

			if (!get_value(row, values, (unsigned)(j % count_values(row)), &value))
				continue;
			value.instance = instance;
			on_value(userdata, &value);
		}
	}
}

struct json_state {
	struct buffer *out;
	const struct statistic *row; /* whose object of labels is open */
	const char *group;	     /* whose object is open */
};

static void close_labels(struct json_state *state)
{
	if (state->row)
		json_text_close_object(state->out);
	state->row = NULL;
}

static void on_json_value(void *userdata, const struct statistic_value *value)
{
	struct json_state *state = userdata;
	const struct statistic *row = value->row;

	if (value->instance)
		return;
	if (state->row != row)
		close_labels(state);
	if (!state->group || strcmp(state->group, row->group) != 0) {
		if (state->group)
			json_text_close_object(state->out);
		json_text_open_object(state->out, row->group);
		state->group = row->group;
	}
	if (value->label && !state->row) {
		json_text_open_object(state->out, row->name);
		state->row = row;
	}
	json_text_add_number(state->out, value->label ? value->label : row->name, value->value);
}

static void on_loss(void *userdata, const struct statistic_value *value)
{
	struct buffer *out = userdata, name;

	if (value->row->kind != STATISTIC_LOSS || value->value == 0)
		return;
	buffer_init(&name);
	buffer_add_text(&name, value->row->group);
	if (value->instance)
		buffer_add_format(&name, ".%s", value->instance->name);
	buffer_add_format(&name, ".%s", value->row->name);
	json_text_open_object(out, NULL);
	json_text_add_string(out, "name", (struct text){(char *)name.bytes, name.length});
	json_text_add_number(out, "count", value->value);
	json_text_add_string(out, "meaning", text_from(value->row->help));
	json_text_close_object(out);
	buffer_fini(&name);
}

void statistics_encode_json(const struct statistics *statistics, struct buffer *out)
{
	struct json_state state = {.out = out};

	statistics_walk(statistics, on_json_value, &state);
	close_labels(&state);
	if (state.group)
		json_text_close_object(out);
	json_text_open_array(out, "losses");
	statistics_walk(statistics, on_loss, out);
	json_text_close_array(out);
}

void statistics_encode_instance(const struct statistics *statistics,
				const struct statistics_instance *instance, struct buffer *out)
{
	json_text_open_object(out, NULL);
	json_text_add_string(out, "name", text_from(instance->name));
	json_text_add_string(out, "type", text_from(instance->type));
	json_text_add_string(out, "to", text_from(instance->to));
	for (size_t i = 0; i < statistics->row_count; i++) {
		const struct statistic *row = &statistics->rows[i];
		struct statistic_value value;

		if (row->source == statistics->instance_source &&
		    get_value(row, instance->values, 0, &value))
			json_text_add_number(out, row->name, value.value);
	}
	json_text_close_object(out);
}

struct metrics_state {
	struct buffer *out;
	const struct statistic *row; /* whose head was written */
};

static const char *get_suffix(const struct statistic *row)
{
	switch (row->kind) {
	case STATISTIC_COUNTER:
	case STATISTIC_LOSS:
		return "_total";
	case STATISTIC_SECONDS:
		return "_seconds_total";
	case STATISTIC_GAUGE_ONCE:
		return "_seconds";
	case STATISTIC_GAUGE:
		break;
	}
	return "";
}

static void add_metric_name(struct buffer *out, const struct statistic *row)
{
	size_t length = strlen(row->name);

	/* "cpu_ns" in nanoseconds is "cpu_seconds" there. */
	if ((row->kind == STATISTIC_SECONDS || row->kind == STATISTIC_GAUGE_ONCE) && length > 3)
		length -= 3;
	buffer_add_format(out, "procflow_%s_%.*s%s", row->group, (int)length, row->name,
			  get_suffix(row));
}

static void add_metric_head(struct buffer *out, const struct statistic *row)
{
	bool is_gauge = row->kind == STATISTIC_GAUGE || row->kind == STATISTIC_GAUGE_ONCE;

	buffer_add_text(out, "# HELP ");
	add_metric_name(out, row);
	buffer_add_format(out, " %s\n# TYPE ", row->help);
	add_metric_name(out, row);
	buffer_add_text(out, is_gauge ? " gauge\n" : " counter\n");
}

/* In a label's value a backslash, a quote and a line feed are escaped; the rest is UTF-8. */
static void add_metric_label(struct buffer *out, const char *key, const char *value)
{
	bool is_first = out->length > 0 && out->bytes[out->length - 1] == '{';

	buffer_add_format(out, "%s%s=\"", is_first ? "" : ",", key);
	for (const char *at = value; *at; at++) {
		if (*at == '\\' || *at == '"')
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, *at == '\n' ? ' ' : (uint8_t)*at);
	}
	buffer_add_byte(out, '"');
}

static void add_metric_labels(struct buffer *out, const struct statistic_value *value)
{
	if (!value->instance && !value->label)
		return;
	buffer_add_byte(out, '{');
	if (value->instance) {
		add_metric_label(out, "exporter", value->instance->name);
		add_metric_label(out, "type", value->instance->type);
	}
	if (value->label)
		add_metric_label(out, value->row->label_key, value->label);
	buffer_add_byte(out, '}');
}

static void on_metric(void *userdata, const struct statistic_value *value)
{
	struct metrics_state *state = userdata;
	const struct statistic *row = value->row;

	if (state->row != row)
		add_metric_head(state->out, row);
	state->row = row;
	add_metric_name(state->out, row);
	add_metric_labels(state->out, value);
	if (row->kind == STATISTIC_SECONDS || row->kind == STATISTIC_GAUGE_ONCE)
		buffer_add_format(state->out, " %" PRIu64 ".%09" PRIu64 "\n",
				  (uint64_t)(value->value / NS_PER_SEC),
				  (uint64_t)(value->value % NS_PER_SEC));
	else
		buffer_add_format(state->out, " %" PRIu64 "\n", value->value);
}

void statistics_encode_metrics(const struct statistics *statistics, struct buffer *out)
{
	struct metrics_state state = {.out = out};

	statistics_walk(statistics, on_metric, &state);
}
