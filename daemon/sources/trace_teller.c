/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_teller.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static void tell_socket(struct trace_teller *teller, const struct socket_event *event)
{
	teller->counters->sockets++;
	if (teller->handlers->on_socket)
		teller->handlers->on_socket(teller->handlers->userdata, event);
}

static void tell_process(struct trace_teller *teller, const struct process_event *event)
{
	teller->counters->processes++;
	if (teller->handlers->on_process)
		teller->handlers->on_process(teller->handlers->userdata, event);
}

static void tell_connect(struct trace_teller *teller, const struct trace_connecting *connecting)
{
	struct socket_event event = {
		.socket = connecting->socket,
		.when_ns = connecting->when_ns,
		.socket_address = connecting->socket_address,
		.cgroup_id = connecting->cgroup_id,
		.pid = connecting->pid,
		.tcp_state = TCP_SYN_SENT,
		.is_proof = true,
	};

	tell_socket(teller, &event);
}

static void on_lookup(struct trace_teller *teller, enum trace_tracepoint tracepoint,
		      const struct trace_record *record)
{
	struct trace_connecting connecting;
	struct socket_event event = {0};
	struct trace_lookup lookup;

	if (!trace_format_read_lookup(&teller->formats[tracepoint], tracepoint, record->raw,
				      record->raw_length, &lookup)) {
		teller->counters->malformed++;
		return;
	}
	if (lookup.context & TRACE_CONTEXT_BORROWED || record->pid <= 0) {
		teller->counters->borrowed++;
		return;
	}
	if (lookup.socket.protocol == IPPROTO_TCP) {
		/* Answers to a SYN look the same and may be made by whoever injects packets, so a
		 * lookup counts only as the last step of this thread's own connect. */
		if (trace_connect_join_lookup(teller->connect, record->thread, &lookup.socket,
					      &connecting))
			tell_connect(teller, &connecting);
		else
			teller->counters->unmatched++;
		return;
	}
	if (lookup.socket.protocol == IPPROTO_UDP)
		trace_busy_count(&teller->busy[TRACE_BUSY_UDP], lookup.socket.local_port);
	event.socket = lookup.socket;
	event.when_ns = record->when_ns;
	event.cgroup_id = record->cgroup_id;
	event.pid = record->pid;
	event.is_proof = true;
	tell_socket(teller, &event);
}

static void on_connect(struct trace_teller *teller, const struct trace_record *record,
		       const struct trace_state *state)
{
	struct trace_connecting connecting = {
		.socket = state->socket,
		.when_ns = record->when_ns,
		.socket_address = state->socket_address,
		.cgroup_id = record->cgroup_id,
		.pid = record->pid,
		.thread = record->thread,
	};

	if (state->context & TRACE_CONTEXT_BORROWED || record->pid <= 0) {
		teller->counters->borrowed++;
		return;
	}
	if (state->socket.local_port != 0)
		tell_connect(teller, &connecting); /* it was bound before */
	else if (trace_connect_add(teller->connect, &connecting) < 0)
		teller->counters->lost++;
}

static void on_close(struct trace_teller *teller, const struct trace_record *record,
		     const struct trace_state *state)
{
	struct socket_event event = {
		.socket = state->socket,
		.when_ns = record->when_ns,
		.socket_address = state->socket_address,
		.tcp_state = TCP_CLOSE,
	};

	if (state->socket.local_port != 0 && state->socket.remote_port != 0)
		tell_socket(teller, &event);
}

/* close(2), shutdown(2) or the end of the last process that held the socket. The accepting side does
 * nothing else in its own context that a tracepoint tells. */
static void on_hang_up(struct trace_teller *teller, const struct trace_record *record,
		       const struct trace_state *state)
{
	struct socket_event event = {
		.socket = state->socket,
		.when_ns = record->when_ns,
		.socket_address = state->socket_address,
		.cgroup_id = record->cgroup_id,
		.pid = record->pid,
		.tcp_state = state->new_state,
		.is_proof = true,
	};

	if (state->context & TRACE_CONTEXT_BORROWED || record->pid <= 0)
		teller->counters->borrowed++;
	else if (state->socket.local_port != 0 && state->socket.remote_port != 0)
		tell_socket(teller, &event);
}

static bool is_hang_up(const struct trace_state *state)
{
	return state->new_state == TCP_FIN_WAIT1 || state->new_state == TCP_LAST_ACK ||
	       (state->new_state == TCP_CLOSE &&
		(state->old_state == TCP_ESTABLISHED || state->old_state == TCP_CLOSE_WAIT));
}

static void on_state(struct trace_teller *teller, const struct trace_record *record)
{
	struct trace_connecting connecting;
	struct trace_state state;

	if (!trace_format_read_state(&teller->formats[TRACE_STATE], record->raw, record->raw_length,
				     &state)) {
		teller->counters->malformed++;
		return;
	}
	if (state.old_state == TCP_CLOSE && state.new_state == TCP_SYN_SENT) {
		on_connect(teller, record, &state);
		return;
	}
	if (state.old_state == TCP_SYN_SENT &&
	    trace_connect_join_state(teller->connect, state.socket_address, &state.socket,
				     &connecting))
		tell_connect(teller, &connecting);
	if (is_hang_up(&state))
		on_hang_up(teller, record, &state);
	if (state.new_state == TCP_CLOSE)
		on_close(teller, record, &state);
}

/* In the reader's own context. What a kernel thread or an interrupt reads (kTLS, strparser) proves
 * nothing. */
static void on_receive(struct trace_teller *teller, const struct trace_record *record)
{
	struct socket_event event = {
		.when_ns = record->when_ns,
		.cgroup_id = record->cgroup_id,
		.pid = record->pid,
		.tcp_state = TCP_ESTABLISHED,
		.is_proof = true,
	};
	struct trace_receive receive;

	if (!trace_format_read_receive(&teller->formats[TRACE_RECEIVE], record->raw,
				       record->raw_length, &receive)) {
		teller->counters->malformed++;
		return;
	}
	if (receive.context & TRACE_CONTEXT_BORROWED || record->pid <= 0) {
		teller->counters->borrowed++;
		return;
	}
	trace_busy_count(&teller->busy[TRACE_BUSY_TCP], receive.socket.local_port);
	event.socket = receive.socket;
	event.socket_address = receive.socket_address;
	tell_socket(teller, &event);
}

static void on_exec(struct trace_teller *teller, const struct trace_record *record)
{
	struct process_event event = {
		.type = PROCESS_EVENT_EXECUTABLE,
		.when_ns = record->when_ns,
		.pid = record->pid,
		.thread = record->thread,
		.executable = trace_format_read_exec(&teller->formats[TRACE_EXEC], record->raw,
						     record->raw_length),
	};

	if (!event.executable)
		teller->counters->malformed++;
	else if (record->pid > 0)
		tell_process(teller, &event);
}

static void on_sample(struct trace_teller *teller, const struct trace_record *record)
{
	int id = trace_format_read_id(record->raw, record->raw_length);
	enum trace_tracepoint tracepoint = 0;

	while (tracepoint < TRACE_TRACEPOINT_COUNT && teller->formats[tracepoint].id != id)
		tracepoint++;
	switch (tracepoint) {
	case TRACE_LOOKUP_V4:
	case TRACE_LOOKUP_V6:
		on_lookup(teller, tracepoint, record);
		break;
	case TRACE_STATE:
		on_state(teller, record);
		break;
	case TRACE_RECEIVE:
		on_receive(teller, record);
		break;
	case TRACE_EXEC:
		on_exec(teller, record);
		break;
	default:
		teller->counters->malformed++;
	}
}

static void on_task(struct trace_teller *teller, const struct trace_record *record,
		    enum process_event_type type)
{
	struct process_event event = {
		.type = type,
		.when_ns = record->when_ns,
		.pid = record->pid,
		.thread = record->thread,
		.parent = type == PROCESS_EVENT_FORK ? record->parent : 0,
	};

	/* A process of another pid namespace than ours has no number here. */
	if (record->pid <= 0)
		return;
	if (record->name)
		memcpy(event.name, record->name, strnlen(record->name, sizeof(event.name) - 1));
	tell_process(teller, &event);
}

void trace_teller_tell(struct trace_teller *teller, const struct trace_record *record)
{
	switch (record->type) {
	case TRACE_RECORD_SAMPLE:
		on_sample(teller, record);
		break;
	case TRACE_RECORD_FORK:
		on_task(teller, record, PROCESS_EVENT_FORK);
		break;
	case TRACE_RECORD_NAME:
		on_task(teller, record, record->is_exec ? PROCESS_EVENT_EXEC : PROCESS_EVENT_NAME);
		break;
	case TRACE_RECORD_EXIT:
		on_task(teller, record, PROCESS_EVENT_EXIT);
		break;
	case TRACE_RECORD_LOST:
	case TRACE_RECORD_OTHER:
		break;
	}
}
