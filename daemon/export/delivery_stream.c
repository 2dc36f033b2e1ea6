/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include "export/delivery_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "config/keys.h"
#include "export/connection.h"
#include "runtime/log.h"

enum { MOST_FLIGHTS = 1024 };

/* Nothing tells when the peer acknowledges, so it is asked. */
#define ACKNOWLEDGED_EVERY_NS (50 * NS_PER_MS)
#define FIRST_RETRY_NS	      NS_PER_SEC
#define LEAST_RETRY_NS	      (100 * NS_PER_MS)
#define LAST_POLL_MS	      10

/* A chunk on its way, and where it stands on the wire. */
struct flight {
	struct chunk *chunk;
	uint64_t begin, end;
};

struct delivery_stream {
	struct delivery head;
	struct connection *connection;
	struct loop_source *io, *timer;
	int io_fd;
	uint64_t retry_ns, started_ns;
	bool is_up, is_full;
	struct flight flights[MOST_FLIGHTS]; /* a ring */
	size_t first, count;
	bool is_writing; /* the last one is not all with the kernel */
	size_t sent;	 /* its bytes that are */
};

static void on_io(void *userdata, uint32_t events);
static void lose(struct delivery_stream *self);

static struct flight *flight_at(struct delivery_stream *self, size_t index)
{
	return &self->flights[(self->first + index) % MOST_FLIGHTS];
}

static struct exporter_counters *counters_of(struct delivery_stream *self)
{
	return self->head.options.counters;
}

static void count_message(struct delivery_stream *self, const struct chunk *chunk)
{
	counters_of(self)->sent_messages++;
	counters_of(self)->sent_bytes += chunk->bytes.length - chunk->begin;
}

static void reap(struct delivery_stream *self)
{
	uint64_t acknowledged = connection_get_acknowledged(self->connection);

	while (self->count > self->is_writing && flight_at(self, 0)->end <= acknowledged) {
		struct chunk *chunk = flight_at(self, 0)->chunk;

		self->first = (self->first + 1) % MOST_FLIGHTS;
		self->count--;
		count_message(self, chunk);
		if (chunk->records > 0)
			delivery_reset_backoff(&self->head);
		delivery_finish_sent(&self->head, chunk);
	}
}

/* The io source follows the descriptor and the events; the timer, the next thing that is due. */
static void arm(struct delivery_stream *self)
{
	uint64_t now_ns = clock_now_ns(), wait_ns = connection_get_wait_ns(self->connection);
	int fd = connection_get_fd(self->connection);

	if (self->io && self->io_fd != fd)
		loop_source_free(steal_pointer(&self->io));
	if (fd >= 0 && !self->io)
		(void)loop_add_io(self->head.options.loop, fd,
				  connection_get_events(self->connection), on_io, self, &self->io);
	else if (fd >= 0)
		(void)loop_source_set_events(self->io, connection_get_events(self->connection));
	self->io_fd = fd;
	if (connection_get_state(self->connection) == CONNECTION_CLOSED)
		wait_ns = self->retry_ns > now_ns ? self->retry_ns - now_ns : 0;
	else if (self->count > 0 && wait_ns > ACKNOWLEDGED_EVERY_NS)
		wait_ns = ACKNOWLEDGED_EVERY_NS;
	(void)loop_source_set_time(self->timer,
				   wait_ns == UINT64_MAX ? UINT64_MAX : now_ns + wait_ns);
}

static void write_some(struct delivery_stream *self)
{
	struct flight *flight;

	if (!self->is_writing)
		return;
	flight = flight_at(self, self->count - 1);
	while (self->sent < flight->chunk->bytes.length) {
		const struct buffer *bytes = &flight->chunk->bytes;
		size_t taken = 0;
		int r = connection_write(self->connection, bytes->bytes + self->sent,
					 bytes->length - self->sent, &taken);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			lose(self);
			return;
		}
		self->sent += taken;
	}
	flight->end = connection_get_written(self->connection);
	self->is_writing = false;
}

static int stream_submit(struct delivery *delivery, struct chunk *chunk)
{
	struct delivery_stream *self = (struct delivery_stream *)delivery;

	if (self->is_up && !self->is_writing && self->count == MOST_FLIGHTS)
		reap(self);
	if (!self->is_up || self->is_writing || self->count == MOST_FLIGHTS) {
		self->is_full = true;
		return -EAGAIN;
	}
	*flight_at(self, self->count++) =
		(struct flight){.chunk = chunk, .begin = connection_get_written(self->connection)};
	self->sent = chunk->begin;
	self->is_writing = true;
	write_some(self);
	arm(self);
	return 0;
}

/* How many of the chunk's records the peer has, where that can be told: whole lines in the clear. */
static uint32_t keep_whole_lines(struct delivery_stream *self, const struct flight *flight,
				 uint64_t acknowledged)
{
	struct chunk *chunk = flight->chunk;
	size_t end = chunk->begin;
	uint32_t lines;

	if (!chunk->is_lines || acknowledged <= flight->begin ||
	    self->head.options.config->to.transport == CONFIG_TRANSPORT_TLS)
		return 0;
	end += acknowledged - flight->begin;
	end = chunk_find_line_end(chunk, end < chunk->bytes.length ? end : chunk->bytes.length);
	lines = chunk_count_lines(chunk, end);
	counters_of(self)->sent_bytes += end - chunk->begin;
	chunk->begin = end;
	return lines;
}

static void return_flights(struct delivery_stream *self)
{
	uint64_t acknowledged = connection_get_acknowledged(self->connection);

	while (self->count > 0) {
		struct flight flight = *flight_at(self, 0);
		uint32_t delivered = keep_whole_lines(self, &flight, acknowledged);

		self->first = (self->first + 1) % MOST_FLIGHTS;
		self->count--;
		counters_of(self)->retried_records += flight.chunk->records - delivered;
		delivery_return(&self->head, flight.chunk, delivered);
	}
	self->is_writing = false;
}

/* RFC 7011 10.4.4: an exporter tries once in a minute, unless told otherwise. Others begin at a
 * second. */
static void choose_retry(struct delivery_stream *self)
{
	const struct config_exporter *config = self->head.options.config;
	uint64_t now_ns = clock_now_ns(), longest_ns = config->reconnect_ns;

	if (config->type == CONFIG_EXPORTER_IPFIX)
		self->retry_ns = self->started_ns + longest_ns;
	else
		self->retry_ns =
			now_ns +
			delivery_backoff(&self->head,
					 longest_ns < FIRST_RETRY_NS ? longest_ns : FIRST_RETRY_NS,
					 longest_ns);
	if (self->retry_ns < now_ns + LEAST_RETRY_NS)
		self->retry_ns = now_ns + LEAST_RETRY_NS;
}

/* The connection was lost, or could not be made. */
static void lose(struct delivery_stream *self)
{
	bool was_up = self->is_up;

	self->is_up = false;
	if (was_up) {
		reap(self);
		return_flights(self);
	} else {
		counters_of(self)->failed_connections++;
	}
	delivery_tell_trouble(&self->head, connection_get_error(self->connection),
			      was_up ? "keep the connection" : "connect",
			      connection_get_reason(self->connection));
	connection_close(self->connection, true);
	choose_retry(self);
}

static void tell_up(struct delivery_stream *self)
{
	if (self->head.trouble)
		log_notice("%s: connected", delivery_get_name(&self->head));
	self->head.trouble = 0;
}

static void begin_session(struct delivery_stream *self)
{
	counters_of(self)->connections++;
	tell_up(self);
	delivery_begin_session(&self->head);
	self->is_up = self->is_full = true; /* not before: the preamble is first */
}

/* The connection's next step. */
static void step(struct delivery_stream *self, uint64_t now_ns)
{
	enum connection_state state;

	if (connection_get_state(self->connection) == CONNECTION_CLOSED) {
		if (now_ns < self->retry_ns)
			return;
		self->started_ns = now_ns;
		connection_start(self->connection);
	}
	state = connection_step(self->connection, now_ns);
	if (state == CONNECTION_CLOSED)
		lose(self);
	else if (state == CONNECTION_OPEN && !self->is_up)
		begin_session(self);
}

static void work(struct delivery_stream *self, uint64_t now_ns)
{
	step(self, now_ns);
	if (self->is_up) {
		write_some(self);
		reap(self);
	}
	if (self->is_up && self->is_full && !self->is_writing && self->count < MOST_FLIGHTS) {
		self->is_full = false;
		delivery_ready(&self->head);
	}
	arm(self);
}

static void on_io(void *userdata, unused uint32_t events)
{
	work(userdata, clock_now_ns());
}

static void on_due(void *userdata, uint64_t now_ns)
{
	work(userdata, now_ns);
}

static void stream_flush(struct delivery *delivery)
{
	struct delivery_stream *self = (struct delivery_stream *)delivery;

	if (connection_get_state(self->connection) != CONNECTION_CLOSED)
		work(self, clock_now_ns());
}

static void stream_finish_all(struct delivery *delivery, uint64_t until_ns)
{
	struct delivery_stream *self = (struct delivery_stream *)delivery;

	while (counters_of(self)->waiting_records > 0 && clock_now_ns() < until_ns &&
	       connection_get_state(self->connection) != CONNECTION_CLOSED) {
		struct pollfd ready = {.fd = connection_get_fd(self->connection),
				       .events = (short)connection_get_events(self->connection)};

		(void)poll(&ready, 1, LAST_POLL_MS);
		work(self, clock_now_ns());
	}
}

/* What the kernel would still deliver goes out again from the first line that is not whole with the
 * peer: so it must not, and the connection is reset. */
static void stream_give_back(struct delivery *delivery)
{
	struct delivery_stream *self = (struct delivery_stream *)delivery;
	bool is_all_there;

	if (!self->is_up)
		return;
	reap(self);
	is_all_there = self->count == 0;
	return_flights(self);
	self->is_up = false;
	connection_close(self->connection, !is_all_there);
}

static void stream_close(struct delivery *delivery)
{
	struct delivery_stream *self = (struct delivery_stream *)delivery;

	loop_source_free(self->io);
	loop_source_free(self->timer);
	connection_free(self->connection);
	free(self);
}

static int stream_open(const struct delivery_options *options, struct delivery **ret)
{
	struct delivery_stream *self = calloc(1, sizeof(*self));
	int r;

	if (!self)
		return -ENOMEM;
	delivery_init(&self->head, &delivery_stream_ops, options);
	self->io_fd = -1;
	r = loop_add_timer(options->loop, 0, on_due, self, &self->timer);
	if (r == 0)
		r = connection_new(options->config, delivery_get_name(&self->head),
				   &self->connection);
	if (r < 0) {
		stream_close(&self->head);
		return r;
	}
	*ret = &self->head;
	return 0;
}

const struct delivery_ops delivery_stream_ops = {
	.has_sessions = true,
	.is_reliable = true,
	.open = stream_open,
	.close = stream_close,
	.submit = stream_submit,
	.flush = stream_flush,
	.finish_all = stream_finish_all,
	.give_back = stream_give_back,
};
