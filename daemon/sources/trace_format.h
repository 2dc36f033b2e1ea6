/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the raw bytes of the tracepoints' records mean on this kernel. Ids and offsets differ from
 * kernel to kernel: each tracepoint's "format" file is read once, by libtraceevent, and its fields
 * are found by name; then records are read straight from those offsets. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/ownership.h"

enum trace_tracepoint {
	TRACE_LOOKUP_V4, /* fib:fib_table_lookup */
	TRACE_LOOKUP_V6, /* fib6:fib6_table_lookup */
	TRACE_STATE,	 /* sock:inet_sock_set_state */
	TRACE_RECEIVE,	 /* tcp:tcp_rcv_space_adjust */
	TRACE_EXEC,	 /* sched:sched_process_exec */
	TRACE_TRACEPOINT_COUNT,
};

struct trace_field {
	uint16_t offset, size;
};

enum { TRACE_FORMAT_FIELDS = 13 };

struct trace_format {
	uint16_t id;	 /* common_type of its records */
	uint16_t length; /* the fields that are read end here */
	struct trace_field fields[TRACE_FORMAT_FIELDS];
};

/* Context bits of common_flags (include/linux/trace_events.h, enum trace_flag_type). What ran with
 * one of them set was not done by the task that the record names. The last one is told by
 * newer kernels only; it sorts out packets that a VPN process writes to a tun device. */
enum {
	TRACE_CONTEXT_HARDIRQ = 0x08,
	TRACE_CONTEXT_SOFTIRQ = 0x10,
	TRACE_CONTEXT_BH_OFF = 0x80,
	TRACE_CONTEXT_BORROWED =
		TRACE_CONTEXT_HARDIRQ | TRACE_CONTEXT_SOFTIRQ | TRACE_CONTEXT_BH_OFF,
};

struct trace_lookup {
	struct socket_tuple socket; /* local is all 0 where the source was not chosen yet */
	uint8_t context;	    /* common_flags */
};

struct trace_state {
	struct socket_tuple socket; /* IPv4-mapped IPv6 is told as IPv4 */
	uint64_t socket_address;
	uint8_t old_state, new_state;
	uint8_t context;
};

struct trace_receive {
	struct socket_tuple socket; /* IPv4-mapped IPv6 is told as IPv4 */
	uint64_t socket_address;
	uint8_t context;
};

/* "fib", "fib_table_lookup". */
const char *trace_format_get_system(enum trace_tracepoint tracepoint);
const char *trace_format_get_name(enum trace_tracepoint tracepoint);

/* Parses the text of a format file. 0; -EBADMSG where it cannot be read; -ENOENT where a field is
 * missing or has a size that makes no sense: its name is in *ret_missing then. */
int trace_format_parse(enum trace_tracepoint tracepoint, const char *text, size_t length,
		       struct trace_format *ret, const char **ret_missing);

/* The id of a record's tracepoint, or -EBADMSG. */
int trace_format_read_id(const void *raw, size_t length);

/* Each returns false where the record is too short, or tells of something that is not ours (another
 * protocol or family): *ret is not written then. "raw" needs no alignment. */
bool trace_format_read_lookup(const struct trace_format *format, enum trace_tracepoint tracepoint,
			      const void *raw, size_t length, struct trace_lookup *ret);
bool trace_format_read_state(const struct trace_format *format, const void *raw, size_t length,
			     struct trace_state *ret);
bool trace_format_read_receive(const struct trace_format *format, const void *raw, size_t length,
			       struct trace_receive *ret);
/* The path that execve(2) was given, borrowed from "raw"; NULL where it cannot be read. */
const char *trace_format_read_exec(const struct trace_format *format, const void *raw,
				   size_t length);
