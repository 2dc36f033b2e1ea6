/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "cli/format.h"
#include "cli/table.h"

bool show_find_number(const json_t *object, const char *path, uint64_t *ret)
{
	const char *dot = strchr(path, '.');
	const json_t *value;
	char key[64];

	if (dot && (size_t)(dot - path) < sizeof(key)) {
		memcpy(key, path, (size_t)(dot - path));
		key[dot - path] = '\0';
		return show_find_number(json_object_get(object, key), dot + 1, ret);
	}
	value = json_object_get(object, path);
	if (!json_is_integer(value))
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

uint64_t show_get_number(const json_t *object, const char *path)
{
	uint64_t number = 0;

	show_find_number(object, path, &number);
	return number;
}

const char *show_get_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void begin_line(const struct show *show, const char *title)
{
	fprintf(show->out, "  %s%-12s%s ", show->has_colours ? "\x1b[1m" : "", title,
		show->has_colours ? "\x1b[0m" : "");
}

static void show_own(const struct show *show, const json_t *status)
{
	uint64_t uptime_ns = show_get_number(status, "uptime_ns"), cpu_ns, memory;
	char text[FORMAT_SIZE];

	fprintf(show->out, "procflowd %s, process %" PRIu64 ", up %s\n",
		show_get_text(status, "version"), show_get_number(status, "pid"),
		format_duration(uptime_ns, text));
	begin_line(show, "own use");
	cpu_ns = show_get_number(status, "daemon.cpu_user_ns") +
		 show_get_number(status, "daemon.cpu_system_ns");
	fprintf(show->out, "%s of a CPU",
		format_percent(uptime_ns ? cpu_ns / (uptime_ns / 10000 + 1) : 0, text));
	if (show_find_number(status, "daemon.memory_bytes", &memory))
		fprintf(show->out, ", %s of memory", format_bytes(memory, text));
	fputc('\n', show->out);
}

static void show_flows_line(const struct show *show, const json_t *status)
{
	uint64_t entries, most;

	begin_line(show, "flows");
	fprintf(show->out,
		"%" PRIu64 " open (at most %" PRIu64 "), %" PRIu64 " begun, %" PRIu64 " records\n",
		show_get_number(status, "flows.open"), show_get_number(status, "flows.max"),
		show_get_number(status, "flows.opened"),
		show_get_number(status, "records.records"));
	begin_line(show, "conntrack");
	if (show_find_number(status, "conntrack.entries", &entries) &&
	    show_find_number(status, "conntrack.max_entries", &most))
		fprintf(show->out, "%" PRIu64 " entries (at most %" PRIu64 "), ", entries, most);
	fprintf(show->out, "%" PRIu64 " events\n",
		show_get_number(status, "conntrack.events_new") +
			show_get_number(status, "conntrack.events_update") +
			show_get_number(status, "conntrack.events_destroy"));
}

static bool is_other_end(const char *method)
{
	return strcmp(method, "none") == 0 || strcmp(method, "remote") == 0;
}

/* Of the ends on this host whose process was found. */
static uint64_t sum_found(const json_t *labels)
{
	const json_t *value;
	const char *label;
	uint64_t sum = 0;

	json_object_foreach((json_t *)labels, label, value)
	{
		if (!is_other_end(label))
			sum += (uint64_t)json_integer_value(value);
	}
	return sum;
}

/* "trace 12, sock_diag 3", the ones of 0 left out. */
static void list_labels(const struct show *show, const json_t *labels)
{
	const json_t *value;
	const char *label, *comma = "";

	json_object_foreach((json_t *)labels, label, value)
	{
		if (json_integer_value(value) == 0 || is_other_end(label))
			continue;
		fprintf(show->out, "%s%s %" JSON_INTEGER_FORMAT, comma, label,
			json_integer_value(value));
		comma = ", ";
	}
}

static void show_attribution(const struct show *show, const json_t *status)
{
	const json_t *records = json_object_get(status, "records");
	const json_t *ends = json_object_get(records, "ends");
	const json_t *unknown = json_object_get(records, "ends_unknown");
	uint64_t found = sum_found(ends);
	uint64_t none = show_get_number(ends, "none");
	char text[FORMAT_SIZE];

	begin_line(show, "processes");
	if (found + none == 0) {
		fputs("no flow of this host's processes reported yet\n", show->out);
		return;
	}
	fprintf(show->out, "found for %s of %" PRIu64 " local ends: ",
		format_percent(found * 10000 / (found + none), text), found + none);
	list_labels(show, ends);
	if (none > 0) {
		fputs(found > 0 ? "; not found: " : "not found: ", show->out);
		list_labels(show, unknown);
	}
	fputc('\n', show->out);
}

static uint64_t sum_dropped(const json_t *exporter)
{
	const json_t *value;
	const char *key;
	uint64_t sum = 0;

	json_object_foreach((json_t *)exporter, key, value)
	{
		if (strncmp(key, "dropped_", 8) == 0)
			sum += (uint64_t)json_integer_value(value);
	}
	return sum;
}

static void show_exporter_lines(const struct show *show, const json_t *status)
{
	const json_t *exporters = json_object_get(status, "exporters"), *exporter;
	size_t i;

	json_array_foreach((json_t *)exporters, i, exporter)
	{
		begin_line(show, i == 0 ? "exporters" : "");
		fprintf(show->out,
			"%s: %" PRIu64 " sent, %" PRIu64 " waiting, %" PRIu64 " dropped\n",
			show_get_text(exporter, "name"), show_get_number(exporter, "sent_records"),
			show_get_number(exporter, "waiting_records"), sum_dropped(exporter));
	}
}

static void show_losses(const struct show *show, const json_t *status)
{
	const json_t *losses = json_object_get(status, "losses"), *loss;
	size_t i;

	if (json_array_size(losses) == 0) {
		begin_line(show, "lost");
		fputs("nothing\n", show->out);
	}
	json_array_foreach((json_t *)losses, i, loss)
	{
		begin_line(show, i == 0 ? "lost" : "");
		fprintf(show->out, "%s %" PRIu64 ": %s\n", show_get_text(loss, "name"),
			show_get_number(loss, "count"), show_get_text(loss, "meaning"));
	}
}

int show_status(const struct show *show, const json_t *items)
{
	const json_t *status = json_array_get(items, 0);

	if (!status)
		return -EBADMSG;
	show_own(show, status);
	show_flows_line(show, status);
	show_attribution(show, status);
	show_exporter_lines(show, status);
	show_losses(show, status);
	return 0;
}

/* Behind the table: which exporter dropped how many, and why. */
static void list_dropped(const struct show *show, const json_t *exporter)
{
	static const struct {
		const char *name, *meaning;
	} reasons[] = {
		{"dropped_queue_full", "the queue was full"},
		{"dropped_unreachable", "sent in vain, and nobody can send them again"},
		{"dropped_too_large", "did not fit a message"},
		{"dropped_refused", "the collector will never take them"},
		{"dropped_no_memory", "no memory"},
		{"dropped_spool", "the spool was full, torn, or of another template"},
	};
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)exporter, key, value)
	{
		const char *meaning = NULL;

		if (strncmp(key, "dropped_", 8) != 0 || json_integer_value(value) == 0)
			continue;
		for (size_t i = 0; i < array_length(reasons); i++)
			if (strcmp(key, reasons[i].name) == 0)
				meaning = reasons[i].meaning;
		fprintf(show->out, "%s: %s %" JSON_INTEGER_FORMAT "%s%s\n",
			show_get_text(exporter, "name"), key, json_integer_value(value),
			meaning ? ": " : "", meaning ? meaning : "");
	}
}

int show_exporters(const struct show *show, const json_t *items)
{
	static const struct table_column columns[] = {
		{"NAME", false, true},	  {"TYPE", false, false},    {"TO", false, true},
		{"RECORDS", true, false}, {"MESSAGES", true, false}, {"BYTES", true, false},
		{"WAITING", true, false}, {"DROPPED", true, false},
	};
	struct table *table = table_new(columns, array_length(columns));
	const json_t *item;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach((json_t *)items, i, item)
	{
		char records[FORMAT_SIZE], messages[FORMAT_SIZE], bytes[FORMAT_SIZE];
		char waiting[FORMAT_SIZE], dropped[FORMAT_SIZE];
		const char *const texts[] = {
			show_get_text(item, "name"),
			show_get_text(item, "type"),
			show_get_text(item, "to"),
			format_count(show_get_number(item, "sent_records"), records),
			format_count(show_get_number(item, "sent_messages"), messages),
			format_bytes(show_get_number(item, "sent_bytes"), bytes),
			format_count(show_get_number(item, "waiting_records"), waiting),
			format_count(sum_dropped(item), dropped),
		};

		_Static_assert(array_length(texts) == array_length(columns), "a text a column");
		if (table_add(table, texts) < 0) {
			table_free(table);
			return -ENOMEM;
		}
	}
	table_print(table, show->out, show->width, show->has_colours);
	table_free(table);
	json_array_foreach((json_t *)items, i, item)
	{
		list_dropped(show, item);
	}
	return 0;
}
