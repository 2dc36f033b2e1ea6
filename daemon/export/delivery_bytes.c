/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/delivery_bytes.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/transport.h"

#define RETRY_NS (200 * NS_PER_MS)

struct delivery_bytes {
	struct delivery head;
	struct transport *transport;
	struct chunk *chunk; /* a part of it is sent; or NULL */
	size_t sent;	     /* bytes of it */
	struct loop_source *writable, *timer;
	bool is_closed;
	bool may_be_sent; /* the first chunk, in part or all, by a run that was killed */
};

/* EIO: of a disk it may pass; a terminal that says so is gone. */
static bool is_end_of_stream(const struct delivery_bytes *self, int error)
{
	if (error == -EIO)
		return self->head.options.config->to.transport == CONFIG_TRANSPORT_STDOUT;
	return error == -EPIPE || error == -ECONNRESET || error == -EBADF;
}

/* A refusal is about an earlier datagram, and telling it has kept this one from being sent: it goes
 * out again at once. */
static int send_bytes(struct delivery_bytes *self, const struct chunk *chunk, size_t *ret_taken)
{
	const uint8_t *bytes = chunk->bytes.bytes + self->sent;
	size_t length = chunk->bytes.length - self->sent;
	int r = transport_send(self->transport, bytes, length, ret_taken);

	if (r != -ECONNREFUSED || transport_is_stream(self->transport))
		return r;
	self->head.options.counters->refused_messages++;
	delivery_report_gap(&self->head);
	delivery_tell_trouble(&self->head, r, "send", NULL);
	return transport_send(self->transport, bytes, length, ret_taken);
}

/* 0: all of it is sent; -EAGAIN; another negative errno. */
static int send_chunk(struct delivery_bytes *self, const struct chunk *chunk)
{
	if (self->sent == chunk->begin)
		transport_begin_message(self->transport, chunk->bytes.length - chunk->begin);
	while (self->sent < chunk->bytes.length) {
		size_t taken = 0;
		int r = send_bytes(self, chunk, &taken);

		if (r < 0)
			return r;
		if (taken == 0)
			return -EAGAIN;
		self->sent += taken;
		self->head.options.counters->sent_bytes += taken;
		delivery_tell_success(&self->head);
	}
	return 0;
}

static void lose_chunk(struct delivery_bytes *self, struct chunk *chunk, int error)
{
	struct delivery_outcome outcome = {0};

	if (error == -EMSGSIZE)
		outcome.too_large = chunk->records;
	else
		outcome.unreachable = chunk->records;
	delivery_finish(&self->head, chunk, &outcome);
}

static void on_due(void *userdata, uint64_t now_ns);
static void on_writable(void *userdata, uint32_t events);

/* After a transport error only time helps; and the timer tries again whatever the descriptor says:
 * not every file can be waited on. */
static void wait_for(struct delivery_bytes *self, int reason)
{
	int fd = transport_get_fd(self->transport);

	if (reason != -EAGAIN)
		loop_source_free(steal_pointer(&self->writable));
	else if (!self->writable && fd >= 0)
		(void)loop_add_io(self->head.options.loop, fd, EPOLLOUT, on_writable, self,
				  &self->writable);
	(void)loop_source_set_time(self->timer, clock_now_ns() + RETRY_NS);
}

/* Sends what it can. 0: the chunk is finished; a negative errno: the rest has to wait. */
static int work_on(struct delivery_bytes *self, struct chunk *chunk)
{
	bool is_stream = transport_is_stream(self->transport);
	int r = send_chunk(self, chunk);

	if (r == -EAGAIN) {
		wait_for(self, r);
		return r;
	}
	if (r < 0)
		delivery_tell_trouble(&self->head, r, "send", NULL);
	if (r < 0 && is_stream && !is_end_of_stream(self, r)) {
		wait_for(self, r);
		return r;
	}
	self->chunk = NULL;
	self->sent = 0;
	if (r == 0) {
		self->head.options.counters->sent_messages++;
		delivery_finish_sent(&self->head, chunk);
		return 0;
	}
	lose_chunk(self, chunk, r);
	if (is_stream) {
		self->is_closed = true;
		delivery_report_closed(&self->head);
	}
	return 0;
}

static int bytes_submit(struct delivery *delivery, struct chunk *chunk)
{
	struct delivery_bytes *self = (struct delivery_bytes *)delivery;

	if (self->chunk)
		return -EAGAIN;
	self->sent = chunk->begin;
	if (self->may_be_sent)
		self->sent +=
			transport_find_sent(self->transport, chunk->bytes.bytes + chunk->begin,
					    chunk->bytes.length - chunk->begin);
	self->may_be_sent = false;
	if (work_on(self, chunk) == 0)
		return 0;
	if (self->sent == chunk->begin)
		return -EAGAIN;
	self->chunk = chunk;
	return 0;
}

static void drain(struct delivery_bytes *self)
{
	loop_source_free(steal_pointer(&self->writable));
	if (self->is_closed || (self->chunk && work_on(self, self->chunk) < 0))
		return;
	delivery_ready(&self->head);
}

static void on_due(void *userdata, unused uint64_t now_ns)
{
	drain(userdata);
}

static void on_writable(void *userdata, unused uint32_t events)
{
	drain(userdata);
}

static void bytes_flush(struct delivery *delivery)
{
	drain((struct delivery_bytes *)delivery);
}

/* A pipe holds 64 KiB, the last flows of a busy host are more. */
static void bytes_finish_all(struct delivery *delivery, uint64_t until_ns)
{
	struct delivery_bytes *self = (struct delivery_bytes *)delivery;
	uint64_t now_ns = clock_now_ns();

	for (; self->writable && now_ns < until_ns; now_ns = clock_now_ns()) {
		struct pollfd ready = {.fd = transport_get_fd(self->transport), .events = POLLOUT};

		if (poll(&ready, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1) <= 0)
			break;
		drain(self);
	}
}

/* A full disk tears lines. Back to where the last whole one ends, also in the file. */
static void take_back_line(struct delivery_bytes *self)
{
	const struct chunk *chunk = self->chunk;
	size_t end = chunk && chunk->is_lines ? chunk_find_line_end(chunk, self->sent) : self->sent;

	if (end == self->sent ||
	    !transport_take_back(self->transport, chunk->bytes.bytes + end, self->sent - end))
		return;
	self->sent = end;
}

/* The rest of a line would stand alone in the new file. */
static int bytes_reopen(struct delivery *delivery)
{
	struct delivery_bytes *self = (struct delivery_bytes *)delivery;
	int r;

	take_back_line(self);
	r = transport_reopen(self->transport);
	if (r == 0 && self->chunk)
		self->sent = chunk_find_line_end(self->chunk, self->sent);
	return r == TRANSPORT_HAS_NO_NAME ? 0 : r;
}

static void bytes_give_back(struct delivery *delivery)
{
	struct delivery_bytes *self = (struct delivery_bytes *)delivery;
	struct chunk *chunk = self->chunk;
	uint32_t lines = 0;

	if (!chunk)
		return;
	take_back_line(self);
	if (chunk->is_lines) {
		self->sent = chunk_find_line_end(chunk, self->sent);
		lines = chunk_count_lines(chunk, self->sent);
		chunk->begin = self->sent;
	}
	self->chunk = NULL;
	delivery_return(delivery, chunk, lines);
}

static unsigned bytes_get_columns(const struct delivery *delivery)
{
	return transport_get_columns(((const struct delivery_bytes *)delivery)->transport);
}

static void bytes_close(struct delivery *delivery)
{
	struct delivery_bytes *self = (struct delivery_bytes *)delivery;

	loop_source_free(self->writable);
	loop_source_free(self->timer);
	take_back_line(self);
	transport_close(self->transport);
	free(self);
}

static int bytes_open(const struct delivery_options *options, struct delivery **ret)
{
	const struct config_exporter *config = options->config;
	const struct transport_rotation rotation = {.size_bytes = config->rotate_size_bytes,
						    .keep = config->rotate_keep};
	struct delivery_bytes *self = calloc(1, sizeof(*self));
	int r;

	if (!self)
		return -ENOMEM;
	delivery_init(&self->head, &delivery_bytes_ops, options);
	self->may_be_sent = config->spool != NULL;
	r = loop_add_timer(options->loop, UINT64_MAX, on_due, self, &self->timer);
	if (r == 0)
		r = transport_open(&config->to, delivery_get_name(&self->head), &rotation,
				   &self->transport);
	if (r < 0) {
		bytes_close(&self->head);
		return r;
	}
	*ret = &self->head;
	return 0;
}

const struct delivery_ops delivery_bytes_ops = {
	.open = bytes_open,
	.close = bytes_close,
	.submit = bytes_submit,
	.flush = bytes_flush,
	.reopen = bytes_reopen,
	.finish_all = bytes_finish_all,
	.give_back = bytes_give_back,
	.get_columns = bytes_get_columns,
};
