/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/control_request.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"

enum key {
	KEY_VERSION,
	KEY_COMMAND,
	KEY_PROCESS,
	KEY_PID,
	KEY_USER,
	KEY_PORT,
	KEY_HOST,
	KEY_CONTAINER,
	KEY_SORT,
	KEY_LIMIT,
	KEY_COUNT,
};

static const char *const key_names[KEY_COUNT] = {
	"version", "command", "process",   "pid",  "user",
	"port",	   "host",    "container", "sort", "limit",
};

enum {
	KEYS_ALWAYS = 1u << KEY_VERSION | 1u << KEY_COMMAND,
	KEYS_PROCESS = 1u << KEY_PROCESS | 1u << KEY_PID | 1u << KEY_USER | 1u << KEY_CONTAINER |
		       1u << KEY_SORT | 1u << KEY_LIMIT,
	KEYS_FLOW = KEYS_PROCESS | 1u << KEY_PORT | 1u << KEY_HOST,
};

/* What means something to a command. */
static const struct command {
	const char *name;
	unsigned keys, sorts;
} commands[] = {
	{"status", KEYS_ALWAYS, 0},
	{"version", KEYS_ALWAYS, 0},
	{"exporters", KEYS_ALWAYS, 0},
	{"flows", KEYS_ALWAYS | KEYS_FLOW,
	 1u << CONTROL_SORT_BYTES | 1u << CONTROL_SORT_CPU | 1u << CONTROL_SORT_AGE},
	{"processes", KEYS_ALWAYS | KEYS_PROCESS,
	 1u << CONTROL_SORT_BYTES | 1u << CONTROL_SORT_CPU | 1u << CONTROL_SORT_AGE |
		 1u << CONTROL_SORT_MEMORY},
};

static const char *const sort_names[] = {
	[CONTROL_SORT_BYTES] = "bytes",
	[CONTROL_SORT_CPU] = "cpu",
	[CONTROL_SORT_MEMORY] = "memory",
	[CONTROL_SORT_AGE] = "age",
};

static int refuse(struct control_refusal *refusal, const char *word, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct control_refusal *refusal, const char *word, const char *format, ...)
{
	va_list arguments;

	refusal->word = word;
	va_start(arguments, format);
	vsnprintf(refusal->reason, sizeof(refusal->reason), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int refuse_key(struct control_refusal *refusal, enum key key, const char *expected)
{
	return refuse(refusal, "bad-request", "%s: expected %s", key_names[key], expected);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < array_length(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static enum key find_key(const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strcmp(key_names[i], name) == 0)
			return (enum key)i;
	return KEY_COUNT;
}

/* jansson refuses NUL in strings unless it is told to allow it. */
static bool read_text(const json_t *value, char *room, size_t size)
{
	const char *text = json_string_value(value);

	if (!text || text[0] == '\0' || strlen(text) >= size)
		return false;
	strcpy(room, text);
	return true;
}

static bool read_number(const json_t *value, uint64_t least, uint64_t most, uint64_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number < least ||
	    (uint64_t)number > most)
		return false;
	*ret = (uint64_t)number;
	return true;
}

static int read_sort(const struct command *command, const json_t *value,
		     struct control_request *request, struct control_refusal *refusal)
{
	const char *text = json_string_value(value);

	for (size_t i = 1; text && i < array_length(sort_names); i++)
		if (command->sorts & 1u << i && strcmp(sort_names[i], text) == 0) {
			request->sort = (enum control_sort)i;
			return 0;
		}
	return refuse(refusal, "bad-request", "sort: %s can be sorted by%s%s%s%s", command->name,
		      command->sorts & 1u << CONTROL_SORT_BYTES ? " bytes" : "",
		      command->sorts & 1u << CONTROL_SORT_CPU ? " cpu" : "",
		      command->sorts & 1u << CONTROL_SORT_MEMORY ? " memory" : "",
		      command->sorts & 1u << CONTROL_SORT_AGE ? " age" : "");
}

static int read_value(enum key key, const struct command *command, const json_t *value,
		      struct control_request *request, struct control_refusal *refusal)
{
	struct control_filter *filter = &request->filter;
	uint64_t number = 0;

	switch (key) {
	case KEY_PROCESS:
		if (!read_text(value, filter->process, sizeof(filter->process)))
			return refuse_key(refusal, key, "the name of a process");
		break;
	case KEY_USER:
		if (!read_text(value, filter->user, sizeof(filter->user)))
			return refuse_key(refusal, key, "a user's name or number");
		break;
	case KEY_CONTAINER:
		if (!read_text(value, filter->container, sizeof(filter->container)))
			return refuse_key(refusal, key, "the id or the name of a container");
		break;
	case KEY_PID:
		if (!read_number(value, 1, INT32_MAX, &number))
			return refuse_key(refusal, key, "a process number");
		filter->pid = (uint32_t)number;
		break;
	case KEY_PORT:
		if (!read_number(value, 0, UINT16_MAX, &number))
			return refuse_key(refusal, key, "a port number");
		filter->port = (uint16_t)number;
		filter->has_port = true;
		break;
	case KEY_HOST:
		if (!json_is_string(value) ||
		    ip_prefix_parse(json_string_value(value), &filter->host) < 0)
			return refuse_key(refusal, key, "an address or a network (10.0.0.0/8)");
		break;
	case KEY_SORT:
		return read_sort(command, value, request, refusal);
	case KEY_LIMIT:
		if (!read_number(value, 1, UINT32_MAX, &number))
			return refuse_key(refusal, key, "a number above 0");
		request->limit = (uint32_t)number;
		break;
	case KEY_VERSION:
	case KEY_COMMAND:
	case KEY_COUNT:
		break;
	}
	return 0;
}

static int read_head(const json_t *object, const struct command **ret,
		     struct control_refusal *refusal)
{
	const json_t *version = json_object_get(object, key_names[KEY_VERSION]);
	const char *name = json_string_value(json_object_get(object, key_names[KEY_COMMAND]));

	if (!json_is_integer(version))
		return refuse_key(refusal, KEY_VERSION, "the number of the protocol's version");
	if (json_integer_value(version) != CONTROL_VERSION)
		return refuse(refusal, "unsupported-version",
			      "this daemon speaks version %d of the protocol", CONTROL_VERSION);
	if (!name)
		return refuse_key(refusal, KEY_COMMAND, "the name of a command");
	*ret = find_command(name);
	if (!*ret)
		return refuse(refusal, "unknown-command", "this daemon does not know \"%.40s\"",
			      name);
	return 0;
}

static int read_object(json_t *object, struct control_request *request,
		       struct control_refusal *refusal)
{
	const struct command *command;
	const char *name;
	json_t *value;
	int r;

	if (!json_is_object(object))
		return refuse(refusal, "bad-request", "the request is no object");
	r = read_head(object, &command, refusal);
	if (r < 0)
		return r;
	strcpy(request->command, command->name);
	json_object_foreach(object, name, value)
	{
		enum key key = find_key(name);

		if (key == KEY_COUNT || !(command->keys & 1u << key))
			return refuse(refusal, "bad-request", "%s has no \"%.40s\"", command->name,
				      name);
		r = read_value(key, command, value, request, refusal);
		if (r < 0)
			return r;
	}
	if (request->sort && (request->limit == 0 || request->limit > CONTROL_SORTED_MAX))
		request->limit = CONTROL_SORTED_MAX;
	return 0;
}

int control_request_parse(const char *line, size_t length, struct control_request *ret,
			  struct control_refusal *ret_refusal)
{
	struct control_request request = {0};
	json_error_t error;
	json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	int r;

	if (!object)
		return refuse(ret_refusal, "bad-request", "the request is no JSON: %.120s",
			      error.text);
	r = read_object(object, &request, ret_refusal);
	json_decref(object);
	if (r == 0)
		*ret = request;
	return r;
}
