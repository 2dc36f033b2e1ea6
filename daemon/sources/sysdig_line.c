/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/sysdig_line.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(json_t *, json_decref);

static bool get_number(const json_t *object, const char *key, int64_t least, int64_t most,
		       int64_t *ret)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < least ||
	    json_integer_value(value) > most)
		return false;
	*ret = json_integer_value(value);
	return true;
}

/* "" where it is not there; sysdig has "<NA>" for some that it does not know. */
static const char *get_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && strcmp(text, "<NA>") != 0 && strcmp(text, "NULL") != 0 ? text : "";
}

static int parse_port(const char *text, uint16_t *ret)
{
	size_t length = strspn(text, "0123456789");
	unsigned long port;

	if (length == 0 || length > 5 || text[length] != '\0')
		return -EINVAL;
	port = strtoul(text, NULL, 10);
	if (port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

/* What is before the last colon is an address, of IPv6 without brackets. */
static int parse_side(const char *text, size_t length, enum ip_family *ret_family,
		      struct ip_address *ret_address, uint16_t *ret_port)
{
	char copy[IP_ADDRESS_TEXT_SIZE + 8];
	char *colon;

	if (length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	colon = strrchr(copy, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	if (parse_port(colon + 1, ret_port) < 0)
		return -EINVAL;
	return ip_address_parse(copy, ret_family, ret_address);
}

int sysdig_line_parse_tuple(const char *text, struct sysdig_tuple *ret)
{
	const char *arrow = strstr(text, "->");
	enum ip_family from_family, to_family;
	struct ip_address from, to;
	struct sysdig_tuple tuple;

	if (!arrow ||
	    parse_side(text, (size_t)(arrow - text), &from_family, &tuple.from, &tuple.from_port) <
		    0 ||
	    parse_side(arrow + 2, strlen(arrow + 2), &to_family, &tuple.to, &tuple.to_port) < 0 ||
	    from_family != to_family)
		return -EINVAL;
	tuple.family = (uint8_t)from_family;
	if (from_family == IP_FAMILY_V6 && ip_address_unmap(&tuple.to, &to) &&
	    (ip_address_unmap(&tuple.from, &from) || ip_address_is_zero(&tuple.from))) {
		tuple.family = IP_FAMILY_V4;
		tuple.from = ip_address_is_zero(&tuple.from) ? (struct ip_address){{0}} : from;
		tuple.to = to;
	}
	*ret = tuple;
	return 0;
}

enum call { CALL_CONNECT, CALL_ACCEPT, CALL_SEND, CALL_BIND, CALL_FORK, CALL_EXEC, CALL_EXIT };

static const struct {
	const char *name;
	enum call call;
} calls[] = {
	{"connect", CALL_CONNECT}, {"accept", CALL_ACCEPT}, {"accept4", CALL_ACCEPT},
	{"sendto", CALL_SEND},	   {"sendmsg", CALL_SEND},  {"sendmmsg", CALL_SEND},
	{"bind", CALL_BIND},	   {"clone", CALL_FORK},    {"clone3", CALL_FORK},
	{"fork", CALL_FORK},	   {"vfork", CALL_FORK},    {"execve", CALL_EXEC},
	{"execveat", CALL_EXEC},   {"procexit", CALL_EXIT},
};

static int find_call(const char *name, enum call *ret)
{
	for (size_t i = 0; i < array_length(calls); i++)
		if (strcmp(calls[i].name, name) == 0) {
			*ret = calls[i].call;
			return 0;
		}
	return -ENOENT;
}

/* A connect that is on its way has sent its first packet. */
static bool has_failed(enum call call, const struct sysdig_event *event)
{
	if (call == CALL_SEND) /* told before it is done */
		return false;
	if (!event->has_result || (event->result < 0 && event->result != -EINPROGRESS))
		return true;
	return event->result < 0 && call != CALL_CONNECT;
}

static int read_socket(const json_t *object, enum call call, struct sysdig_event *event)
{
	struct socket_event *socket = &event->socket;
	const char *protocol = get_text(object, "fd.l4proto");
	struct sysdig_tuple tuple;

	if (has_failed(call, event) || call == CALL_BIND ||
	    sysdig_line_parse_tuple(get_text(object, "evt.arg.tuple"), &tuple) < 0 ||
	    tuple.from_port == 0 || tuple.to_port == 0)
		return SYSDIG_LINE_E_USELESS;
	if (strcmp(protocol, "udp") == 0)
		socket->socket.protocol = IPPROTO_UDP;
	else if (strcmp(protocol, "tcp") == 0)
		socket->socket.protocol = IPPROTO_TCP;
	else
		return SYSDIG_LINE_E_USELESS;
	/* TCP sends on what it connected or accepted. */
	if (call == CALL_SEND && socket->socket.protocol == IPPROTO_TCP)
		return SYSDIG_LINE_E_USELESS;
	socket->socket.family = tuple.family;
	socket->socket.local = call == CALL_ACCEPT ? tuple.to : tuple.from;
	socket->socket.local_port = call == CALL_ACCEPT ? tuple.to_port : tuple.from_port;
	socket->socket.remote = call == CALL_ACCEPT ? tuple.from : tuple.to;
	socket->socket.remote_port = call == CALL_ACCEPT ? tuple.from_port : tuple.to_port;
	socket->is_proof = true;
	if (socket->socket.protocol == IPPROTO_TCP)
		socket->tcp_state = call == CALL_ACCEPT ? TCP_ESTABLISHED : TCP_SYN_SENT;
	return SYSDIG_LINE_SOCKET;
}

/* clone(2) returns twice; in the child it tells both. */
static int read_process(enum call call, int64_t thread, int64_t parent, struct sysdig_event *event)
{
	struct process_event *process = &event->process;

	if (call != CALL_EXIT && (!event->has_result || event->result != 0))
		return SYSDIG_LINE_E_USELESS;
	process->type = call == CALL_FORK   ? PROCESS_EVENT_FORK
			: call == CALL_EXEC ? PROCESS_EVENT_EXEC
					    : PROCESS_EVENT_EXIT;
	process->thread = (pid_t)thread;
	process->parent = parent > 0 ? (pid_t)parent : 0;
	snprintf(process->name, sizeof(process->name), "%.15s", event->name);
	if (call == CALL_FORK && process->thread == process->pid && process->parent == 0)
		return SYSDIG_LINE_E_USELESS;
	return SYSDIG_LINE_PROCESS;
}

static int read_event(const json_t *object, struct sysdig_event *event)
{
	const char *direction = get_text(object, "evt.dir"), *type = get_text(object, "evt.type");
	int64_t when, latency, pid, thread, parent;
	enum call call;

	if (!get_number(object, "evt.rawtime", 1, INT64_MAX, &when) ||
	    !get_number(object, "proc.pid", 1, INT32_MAX, &pid) ||
	    !get_number(object, "thread.tid", 1, INT32_MAX, &thread))
		return -EBADMSG;
	if (!get_number(object, "evt.latency", 0, when, &latency))
		latency = 0;
	if (!get_number(object, "proc.ppid", 1, INT32_MAX, &parent))
		parent = 0;
	event->has_result = get_number(object, "evt.rawres", INT64_MIN, INT64_MAX, &event->result);
	snprintf(event->name, sizeof(event->name), "%s", get_text(object, "proc.name"));
	snprintf(event->call, sizeof(event->call), "%s", type);
	if (find_call(type, &call) < 0)
		return SYSDIG_LINE_E_UNKNOWN;
	if ((call == CALL_SEND || call == CALL_EXIT) != (direction[0] == '>'))
		return SYSDIG_LINE_E_UNKNOWN;
	event->socket.pid = event->process.pid = (pid_t)pid;
	event->process.when_ns = (uint64_t)when;
	event->socket.when_ns = (uint64_t)(call == CALL_CONNECT ? when - latency : when);
	if (call == CALL_FORK || call == CALL_EXEC || call == CALL_EXIT)
		return read_process(call, thread, parent, event);
	return read_socket(object, call, event);
}

int sysdig_line_parse(const char *line, size_t length, struct sysdig_event *ret)
{
	cleanup(json_decref_cleanup) json_t *object =
		length <= SYSDIG_LINE_MAX ? json_loadb(line, length, 0, NULL) : NULL;

	*ret = (struct sysdig_event){0};
	return json_is_object(object) ? read_event(object, ret) : -EBADMSG;
}
