/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_format.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <traceevent/event-parse.h>

#include "base/cleanup.h"

/* A field's place in struct trace_format. */
enum {
	FIELD_TYPE,
	FIELD_CONTEXT,
	FIELD_LOCAL_PORT,
	FIELD_REMOTE_PORT,
	FIELD_PROTOCOL,
	FIELD_LOCAL,
	FIELD_REMOTE,
	STATE_LOCAL_V6,
	STATE_REMOTE_V6,
	STATE_FAMILY,
	STATE_SOCKET,
	STATE_OLD,
	STATE_NEW,
	EXEC_PATH = FIELD_LOCAL_PORT,
};

struct field_wish {
	const char *name; /* NULL: not used */
	uint16_t size;	  /* 0: a number of 1, 2, 4 or 8 bytes */
};

struct tracepoint_wish {
	const char *system, *name;
	struct field_wish fields[TRACE_FORMAT_FIELDS];
};

static const struct tracepoint_wish wishes[TRACE_TRACEPOINT_COUNT] = {
	[TRACE_LOOKUP_V4] = {"fib",
			     "fib_table_lookup",
			     {[FIELD_TYPE] = {"common_type", 2},
			      [FIELD_CONTEXT] = {"common_flags", 1},
			      [FIELD_LOCAL_PORT] = {"sport", 2},
			      [FIELD_REMOTE_PORT] = {"dport", 2},
			      [FIELD_PROTOCOL] = {"proto", 0},
			      [FIELD_LOCAL] = {"src", 4},
			      [FIELD_REMOTE] = {"dst", 4}}},
	[TRACE_LOOKUP_V6] = {"fib6",
			     "fib6_table_lookup",
			     {[FIELD_TYPE] = {"common_type", 2},
			      [FIELD_CONTEXT] = {"common_flags", 1},
			      [FIELD_LOCAL_PORT] = {"sport", 2},
			      [FIELD_REMOTE_PORT] = {"dport", 2},
			      [FIELD_PROTOCOL] = {"proto", 0},
			      [FIELD_LOCAL] = {"src", 16},
			      [FIELD_REMOTE] = {"dst", 16}}},
	[TRACE_STATE] = {"sock",
			 "inet_sock_set_state",
			 {[FIELD_TYPE] = {"common_type", 2},
			  [FIELD_CONTEXT] = {"common_flags", 1},
			  [FIELD_LOCAL_PORT] = {"sport", 2},
			  [FIELD_REMOTE_PORT] = {"dport", 2},
			  [FIELD_PROTOCOL] = {"protocol", 0},
			  [FIELD_LOCAL] = {"saddr", 4},
			  [FIELD_REMOTE] = {"daddr", 4},
			  [STATE_LOCAL_V6] = {"saddr_v6", 16},
			  [STATE_REMOTE_V6] = {"daddr_v6", 16},
			  [STATE_FAMILY] = {"family", 0},
			  [STATE_SOCKET] = {"skaddr", 0},
			  [STATE_OLD] = {"oldstate", 0},
			  [STATE_NEW] = {"newstate", 0}}},
	/* Before Linux 6.6 it has no family; of IPv4 the IPv6 fields are mapped addresses. */
	[TRACE_RECEIVE] = {"tcp",
			   "tcp_rcv_space_adjust",
			   {[FIELD_TYPE] = {"common_type", 2},
			    [FIELD_CONTEXT] = {"common_flags", 1},
			    [FIELD_LOCAL_PORT] = {"sport", 2},
			    [FIELD_REMOTE_PORT] = {"dport", 2},
			    [STATE_LOCAL_V6] = {"saddr_v6", 16},
			    [STATE_REMOTE_V6] = {"daddr_v6", 16},
			    [STATE_SOCKET] = {"skaddr", 0}}},
	[TRACE_EXEC] = {"sched",
			"sched_process_exec",
			{[FIELD_TYPE] = {"common_type", 2},
			 [FIELD_CONTEXT] = {"common_flags", 1},
			 [EXEC_PATH] = {"filename", 4}}},
};

DEFINE_CLEANUP(struct tep_handle *, tep_free);

const char *trace_format_get_system(enum trace_tracepoint tracepoint)
{
	return wishes[tracepoint].system;
}

const char *trace_format_get_name(enum trace_tracepoint tracepoint)
{
	return wishes[tracepoint].name;
}

static bool is_number_size(int size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool resolve(struct tep_event *event, const struct field_wish *wish, struct trace_field *ret)
{
	const struct tep_format_field *field = tep_find_any_field(event, wish->name);

	if (!field || field->offset < 0 || field->offset > UINT16_MAX - 64)
		return false;
	if (wish->size ? field->size != wish->size : !is_number_size(field->size))
		return false;
	*ret = (struct trace_field){.offset = (uint16_t)field->offset,
				    .size = (uint16_t)field->size};
	return true;
}

int trace_format_parse(enum trace_tracepoint tracepoint, const char *text, size_t length,
		       struct trace_format *ret, const char **ret_missing)
{
	const struct tracepoint_wish *wish = &wishes[tracepoint];
	cleanup(tep_free_cleanup) struct tep_handle *tep = tep_alloc();
	struct trace_format format = {0};
	struct tep_event *event;

	if (!tep)
		return -ENOMEM;
	/* A print format that the library does not know is none of our business. */
	tep_set_loglevel(TEP_LOG_NONE);
	tep_parse_event(tep, text, length, wish->system);
	event = tep_find_event_by_name(tep, wish->system, wish->name);
	if (!event || event->id <= 0 || event->id > UINT16_MAX)
		return -EBADMSG;
	format.id = (uint16_t)event->id;
	for (size_t i = 0; i < TRACE_FORMAT_FIELDS; i++) {
		uint16_t end;

		if (!wish->fields[i].name)
			continue;
		if (!resolve(event, &wish->fields[i], &format.fields[i])) {
			*ret_missing = wish->fields[i].name;
			return -ENOENT;
		}
		end = (uint16_t)(format.fields[i].offset + format.fields[i].size);
		if (end > format.length)
			format.length = end;
	}
	*ret = format;
	return 0;
}

static uint64_t read_number(const struct trace_field *field, const uint8_t *raw)
{
	const uint8_t *at = raw + field->offset;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (field->size) {
	case 1:
		return *at;
	case 2:
		memcpy(&u16, at, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, at, sizeof(u32));
		return u32;
	default:
		memcpy(&u64, at, sizeof(u64));
		return u64;
	}
}

static void read_address(const struct trace_field *field, const uint8_t *raw,
			 struct ip_address *ret)
{
	memcpy(ret->bytes, raw + field->offset, field->size);
}

int trace_format_read_id(const void *raw, size_t length)
{
	uint16_t id;

	/* struct trace_entry begins with the type on every kernel that has perf tracepoints. */
	if (length < sizeof(id))
		return -EBADMSG;
	memcpy(&id, raw, sizeof(id));
	return id;
}

bool trace_format_read_lookup(const struct trace_format *format, enum trace_tracepoint tracepoint,
			      const void *raw, size_t length, struct trace_lookup *ret)
{
	const struct trace_field *fields = format->fields;
	struct socket_tuple socket = {0};
	uint64_t protocol;

	if (length < format->length)
		return false;
	protocol = read_number(&fields[FIELD_PROTOCOL], raw);
	if (protocol == 0 || protocol > UINT8_MAX)
		return false;
	socket.protocol = (uint8_t)protocol;
	socket.family = tracepoint == TRACE_LOOKUP_V4 ? IP_FAMILY_V4 : IP_FAMILY_V6;
	socket.local_port = (uint16_t)read_number(&fields[FIELD_LOCAL_PORT], raw);
	socket.remote_port = (uint16_t)read_number(&fields[FIELD_REMOTE_PORT], raw);
	read_address(&fields[FIELD_LOCAL], raw, &socket.local);
	read_address(&fields[FIELD_REMOTE], raw, &socket.remote);
	ret->socket = socket;
	ret->context = (uint8_t)read_number(&fields[FIELD_CONTEXT], raw);
	return true;
}

/* Of IPv6, or of IPv4 as mapped addresses. */
static void read_addresses_v6(const struct trace_format *format, const uint8_t *raw,
			      struct socket_tuple *socket)
{
	struct ip_address local = {0}, remote = {0};

	read_address(&format->fields[STATE_LOCAL_V6], raw, &local);
	read_address(&format->fields[STATE_REMOTE_V6], raw, &remote);
	if (ip_address_unmap(&remote, &socket->remote)) {
		socket->family = IP_FAMILY_V4;
		if (!ip_address_unmap(&local, &socket->local))
			socket->local = (struct ip_address){0};
		return;
	}
	socket->family = IP_FAMILY_V6;
	socket->local = local;
	socket->remote = remote;
}

/* The IPv4 fields of an IPv6 socket are garbage unless it is a mapped one (saddr=127.0.0.6 was seen
 * for ::1), and the IPv6 fields of a mapped one hold all that there is. */
static bool read_state_addresses(const struct trace_format *format, const uint8_t *raw,
				 struct socket_tuple *socket)
{
	const struct trace_field *fields = format->fields;
	uint64_t family = read_number(&fields[STATE_FAMILY], raw);

	if (family == AF_INET) {
		socket->family = IP_FAMILY_V4;
		read_address(&fields[FIELD_LOCAL], raw, &socket->local);
		read_address(&fields[FIELD_REMOTE], raw, &socket->remote);
		return true;
	}
	if (family != AF_INET6)
		return false;
	read_addresses_v6(format, raw, socket);
	return true;
}

bool trace_format_read_state(const struct trace_format *format, const void *raw, size_t length,
			     struct trace_state *ret)
{
	const struct trace_field *fields = format->fields;
	struct trace_state state = {.socket.protocol = IPPROTO_TCP};

	if (length < format->length)
		return false;
	if (read_number(&fields[FIELD_PROTOCOL], raw) != IPPROTO_TCP ||
	    !read_state_addresses(format, raw, &state.socket))
		return false;
	state.socket.local_port = (uint16_t)read_number(&fields[FIELD_LOCAL_PORT], raw);
	state.socket.remote_port = (uint16_t)read_number(&fields[FIELD_REMOTE_PORT], raw);
	state.socket_address = read_number(&fields[STATE_SOCKET], raw);
	state.old_state = (uint8_t)read_number(&fields[STATE_OLD], raw);
	state.new_state = (uint8_t)read_number(&fields[STATE_NEW], raw);
	state.context = (uint8_t)read_number(&fields[FIELD_CONTEXT], raw);
	*ret = state;
	return true;
}

bool trace_format_read_receive(const struct trace_format *format, const void *raw, size_t length,
			       struct trace_receive *ret)
{
	const struct trace_field *fields = format->fields;
	struct trace_receive receive = {.socket.protocol = IPPROTO_TCP};

	if (length < format->length)
		return false;
	read_addresses_v6(format, raw, &receive.socket);
	receive.socket.local_port = (uint16_t)read_number(&fields[FIELD_LOCAL_PORT], raw);
	receive.socket.remote_port = (uint16_t)read_number(&fields[FIELD_REMOTE_PORT], raw);
	receive.socket_address = read_number(&fields[STATE_SOCKET], raw);
	receive.context = (uint8_t)read_number(&fields[FIELD_CONTEXT], raw);
	*ret = receive;
	return true;
}

const char *trace_format_read_exec(const struct trace_format *format, const void *raw,
				   size_t length)
{
	uint32_t location;
	size_t offset, size;

	if (length < format->length)
		return NULL;
	/* __data_loc: where the text stands in the record, and above it how long it is. */
	location = (uint32_t)read_number(&format->fields[EXEC_PATH], raw);
	offset = location & 0xffff;
	size = location >> 16;
	if (offset > length || size > length - offset ||
	    !memchr((const char *)raw + offset, '\0', size))
		return NULL;
	return (const char *)raw + offset;
}
