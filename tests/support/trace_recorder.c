/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/trace_recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct trace_recorder {
	struct loop *loop;
	struct trace *trace;
	struct trace_told *told;
	size_t count, room;
};

static struct trace_told *add(struct trace_recorder *recorder)
{
	if (recorder->count == recorder->room) {
		recorder->room = recorder->room ? recorder->room * 2 : 256;
		recorder->told = realloc(recorder->told, recorder->room * sizeof(*recorder->told));
		if (!recorder->told)
			abort();
	}
	recorder->told[recorder->count] = (struct trace_told){0};
	return &recorder->told[recorder->count++];
}

static void on_socket(void *userdata, const struct socket_event *event)
{
	struct trace_told *told = add(userdata);

	told->type = TRACE_TOLD_SOCKET;
	told->socket = *event;
}

static void on_process(void *userdata, const struct process_event *event)
{
	struct trace_told *told = add(userdata);

	told->type = TRACE_TOLD_PROCESS;
	told->process = *event;
	told->process.executable = NULL;
	if (event->executable)
		snprintf(told->executable, sizeof(told->executable), "%s", event->executable);
}

static void on_lost(void *userdata, uint64_t from_ns, uint64_t until_ns)
{
	struct trace_told *told = add(userdata);

	told->type = TRACE_TOLD_LOST;
	told->lost_from_ns = from_ns;
	told->lost_until_ns = until_ns;
}

struct trace_recorder *trace_recorder_open(size_t ring_bytes)
{
	struct trace_recorder *recorder = calloc(1, sizeof(*recorder));
	struct trace_options options = {.handlers = {.on_socket = on_socket,
						     .on_process = on_process,
						     .on_lost = on_lost,
						     .userdata = recorder},
					.ring_bytes = ring_bytes};
	char reason[TRACE_REASON_SIZE];

	if (!recorder || loop_new(&recorder->loop) < 0)
		abort();
	if (trace_new(recorder->loop, &options, reason, &recorder->trace) == 0)
		return recorder;
	printf("trace: %s\n", reason);
	trace_recorder_close(recorder);
	return NULL;
}

void trace_recorder_close(struct trace_recorder *recorder)
{
	if (!recorder)
		return;
	trace_free(recorder->trace);
	loop_free(recorder->loop);
	free(recorder->told);
	free(recorder);
}

struct trace *trace_recorder_get_trace(struct trace_recorder *recorder)
{
	return recorder->trace;
}

void trace_recorder_run(struct trace_recorder *recorder)
{
	if (loop_run_once(recorder->loop, 100 * NS_PER_MS) < 0)
		abort();
}

size_t trace_recorder_read(struct trace_recorder *recorder)
{
	trace_drain(recorder->trace);
	return recorder->count;
}

const struct trace_told *trace_recorder_get(const struct trace_recorder *recorder, size_t index)
{
	return &recorder->told[index];
}

ssize_t trace_recorder_wait(struct trace_recorder *recorder, trace_told_match match,
			    const void *userdata)
{
	uint64_t deadline_ns = clock_now_ns() + 5 * NS_PER_SEC;
	size_t next = 0;

	do {
		size_t count = trace_recorder_read(recorder);

		for (; next < count; next++)
			if (match(&recorder->told[next], userdata))
				return (ssize_t)next;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	} while (clock_now_ns() < deadline_ns);
	trace_recorder_print(recorder);
	return -1;
}

static void print_socket(const struct socket_event *event)
{
	char local[IP_ADDRESS_TEXT_SIZE], remote[IP_ADDRESS_TEXT_SIZE];

	ip_address_format(&event->socket.local, event->socket.family, local);
	ip_address_format(&event->socket.remote, event->socket.family, remote);
	printf("%" PRIu64 " socket %u %s %u -> %s %u pid %d state %u address %" PRIx64 "%s\n",
	       event->when_ns, event->socket.protocol, local, event->socket.local_port, remote,
	       event->socket.remote_port, event->pid, event->tcp_state, event->socket_address,
	       event->is_proof ? " proof" : "");
}

void trace_recorder_print(const struct trace_recorder *recorder)
{
	static const char *const types[] = {"fork", "exec", "name", "exit", "executable"};

	for (size_t i = 0; i < recorder->count; i++) {
		const struct trace_told *told = &recorder->told[i];

		if (told->type == TRACE_TOLD_SOCKET)
			print_socket(&told->socket);
		else if (told->type == TRACE_TOLD_PROCESS)
			printf("%" PRIu64 " %s %d/%d parent %d '%s' %s\n", told->process.when_ns,
			       types[told->process.type], told->process.pid, told->process.thread,
			       told->process.parent, told->process.name, told->executable);
		else
			printf("lost from %" PRIu64 " until %" PRIu64 "\n", told->lost_from_ns,
			       told->lost_until_ns);
	}
}
