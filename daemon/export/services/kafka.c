/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Kafka: each document of a chunk is a message, keyed by its flow's id. librdkafka sends from threads
 * of its own and tells what became of each message by a queue, which wakes the loop through a pipe; a
 * record counts as sent when the brokers acknowledged it. The producer is idempotent unless the options
 * say otherwise: what librdkafka sends again by itself is not stored twice. What it gave up, and
 * knows not to be stored, is given to it again after a while. A producer that broke for good (idempotence
 * that cannot be kept up: librdkafka's fatal errors) is replaced, when it has told of all that it had. */

#define LOG_MODULE "export"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "config/options.h"
#include "export/delivery.h"
#include "export/services/secret.h"
#include "runtime/log.h"

enum {
	CHUNK_BYTES = 256 * 1024,
	CHUNK_RECORDS = 1000,
	/* Messages with librdkafka: enough for a round trip at 100,000 a second. The others wait where
	 * the queue's bound counts. */
	MOST_IN_FLIGHT = 20000,
	EVENTS_A_TURN = 1000,
	REASON_SIZE = 512,
	SECRET_SIZE = 1024,
};

#define SHORTEST_WAIT_NS (500 * NS_PER_MS)
#define LONGEST_WAIT_NS	 (60 * NS_PER_SEC)
#define CLOSE_WAIT_NS	 (500 * NS_PER_MS)
#define PURGE_WAIT_NS	 (100 * NS_PER_MS)

enum fate { FATE_OPEN, FATE_GIVEN, FATE_SENT, FATE_REFUSED, FATE_TOO_LARGE, FATE_UNKNOWN };

struct kafka;
struct flight;

/* One document; what its report is found by. */
struct ticket {
	struct flight *flight;
	uint8_t fate; /* enum fate */
};

/* A chunk with librdkafka. */
struct flight {
	struct list_node node;
	struct kafka *owner;
	struct chunk *chunk;
	const struct chunk_document *documents;
	uint32_t count, open, left; /* documents; to be given; without an end yet */
	bool is_retry;
	struct ticket tickets[];
};

struct kafka {
	struct delivery head;
	rd_kafka_t *producer;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	int wake[2]; /* a pipe that librdkafka writes to */
	struct loop_source *readable, *timer;
	struct list_node flights;
	uint32_t in_flight;
	uint64_t blocked_until_ns;
	bool is_full;	/* librdkafka takes no more at the moment */
	bool is_broken; /* the producer is, for good; or there is none */
	bool is_giving_back;
};

DEFINE_CLEANUP(struct delivery *, delivery_close);

static void tell_through_log(void *userdata, unsigned line, unsigned column, const char *text)
{
	log_error("%s: line %u, column %u: %s", delivery_get_name(userdata), line, column, text);
}

/* 0, or -EINVAL and the reason. */
static int set_option(rd_kafka_conf_t *conf, const struct config_option *option,
		      char reason[REASON_SIZE])
{
	const char *value = option->value;
	char secret[SECRET_SIZE];
	int r;

	if (strcmp(option->name, "bootstrap.servers") == 0 ||
	    strcmp(option->name, "metadata.broker.list") == 0) {
		snprintf(reason, REASON_SIZE, "this is what \"to\" says");
		return -EINVAL;
	}
	if (config_options_is_secret(text_from(option->name))) {
		value += strlen("file://");
		r = secret_read(value, secret, sizeof(secret));
		if (r < 0) {
			snprintf(reason, REASON_SIZE, "%s: %s", value, secret_describe(r));
			return -EINVAL;
		}
		value = secret;
	}
	r = rd_kafka_conf_set(conf, option->name, value, reason, REASON_SIZE) == RD_KAFKA_CONF_OK
		    ? 0
		    : -EINVAL;
	explicit_bzero(secret, sizeof(secret));
	return r;
}

/* What is ours to say, and may be said otherwise. */
static rd_kafka_conf_t *make_conf(const struct config_exporter *config,
				  delivery_on_mistake on_mistake, void *userdata)
{
	static const char *const defaults[][2] = {
		{"client.id", "procflow"},   {"enable.idempotence", "true"},
		{"message.timeout.ms", "0"}, {"log.queue", "true"},
		{"log_level", "6"},	     {"enable.random.seed", "true"},
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[REASON_SIZE], text[REASON_SIZE + 128];
	bool is_good = true;

	for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
		rd_kafka_conf_set(conf, defaults[i][0], defaults[i][1], reason, sizeof(reason));
	for (size_t i = 0; i < config->options.count; i++) {
		const struct config_option *option = &config->options.items[i];

		if (set_option(conf, option, reason) == 0)
			continue;
		snprintf(text, sizeof(text), "exporters.options: %.100s: %s", option->name, reason);
		on_mistake(userdata, option->line, option->column, text);
		is_good = false;
	}
	if (is_good)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

/* Without brokers, so that nothing is connected to. */
static void kafka_check(const struct config_exporter *config, delivery_on_mistake on_mistake,
			void *userdata)
{
	rd_kafka_conf_t *conf = make_conf(config, on_mistake, userdata);
	char reason[REASON_SIZE], text[REASON_SIZE + 64];
	rd_kafka_t *producer;

	if (!conf)
		return;
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (producer) {
		rd_kafka_destroy(producer);
		return;
	}
	rd_kafka_conf_destroy(conf);
	snprintf(text, sizeof(text), "exporters.options: %s", reason);
	if (config->options.count > 0)
		on_mistake(userdata, config->options.items[0].line, config->options.items[0].column,
			   text);
	else
		on_mistake(userdata, config->line, config->column, text);
}

static void block(struct kafka *self)
{
	uint64_t now_ns = clock_now_ns();

	if (now_ns < self->blocked_until_ns)
		return;
	self->blocked_until_ns =
		now_ns + delivery_backoff(&self->head, SHORTEST_WAIT_NS, LONGEST_WAIT_NS);
	(void)loop_source_set_time(self->timer, self->blocked_until_ns);
}

static void finish_flight(struct flight *flight)
{
	struct kafka *self = flight->owner;
	struct chunk *chunk = flight->chunk;
	struct delivery_outcome outcome = {.sent = 0};

	for (uint32_t i = 0; i < flight->count; i++) {
		uint8_t fate = flight->tickets[i].fate;

		outcome.sent += fate == FATE_SENT;
		outcome.refused += fate == FATE_REFUSED;
		outcome.too_large += fate == FATE_TOO_LARGE;
		outcome.unreachable += fate == FATE_UNKNOWN;
	}
	list_remove(&flight->node);
	self->in_flight -= flight->count;
	free(flight);
	delivery_finish(&self->head, chunk, &outcome);
}

static void set_fate(struct ticket *ticket, enum fate fate)
{
	struct flight *flight = ticket->flight;

	flight->open -= ticket->fate == FATE_OPEN;
	flight->open += fate == FATE_OPEN;
	flight->left -= fate != FATE_OPEN && fate != FATE_GIVEN;
	ticket->fate = (uint8_t)fate;
}

static enum fate fate_of(rd_kafka_resp_err_t error, rd_kafka_msg_status_t status)
{
	switch (error) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return FATE_SENT;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		return FATE_TOO_LARGE;
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
		return FATE_REFUSED;
	default:
		return status == RD_KAFKA_MSG_STATUS_NOT_PERSISTED ? FATE_OPEN : FATE_UNKNOWN;
	}
}

static void tell_error(struct kafka *self, rd_kafka_resp_err_t error, const char *reason)
{
	delivery_tell_trouble(&self->head, -(10000 - (int)error), "send",
			      reason ? reason : rd_kafka_err2str(error));
}

/* What the producer still has comes back, and says whether it may be stored. */
static void give_up_producer(struct kafka *self)
{
	char reason[REASON_SIZE] = "";

	if (self->is_broken)
		return;
	self->is_broken = true;
	(void)loop_source_set_time(self->timer, 0);
	(void)rd_kafka_fatal_error(self->producer, reason, sizeof(reason));
	log_warning("%s: the producer has failed for good, another takes over: %s",
		    delivery_get_name(&self->head), reason);
	rd_kafka_purge(self->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
					       RD_KAFKA_PURGE_F_NON_BLOCKING);
}

/* 0; -EAGAIN: the others have to wait. */
static int give_one(struct flight *flight, uint32_t i)
{
	struct kafka *self = flight->owner;
	const struct chunk_document *document = &flight->documents[i];
	struct ticket *ticket = &flight->tickets[i];
	rd_kafka_resp_err_t error;
	char key[24];
	int key_length = snprintf(key, sizeof(key), "%" PRIu64, document->flow_id);

	if (rd_kafka_produce(self->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
			     flight->chunk->bytes.bytes + document->offset, document->length, key,
			     (size_t)key_length, ticket) == 0) {
		set_fate(ticket, FATE_GIVEN);
		self->head.options.counters->retried_records += flight->is_retry;
		return 0;
	}
	error = rd_kafka_last_error();
	if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		self->is_full = true;
		return -EAGAIN;
	}
	if (error == RD_KAFKA_RESP_ERR__FATAL) {
		give_up_producer(self);
		return -EAGAIN;
	}
	set_fate(ticket, fate_of(error, RD_KAFKA_MSG_STATUS_NOT_PERSISTED));
	tell_error(self, error, NULL);
	if (ticket->fate != FATE_OPEN)
		return 0;
	block(self);
	return -EAGAIN;
}

static void give(struct flight *flight)
{
	for (uint32_t i = 0; flight->open > 0 && i < flight->count; i++)
		if (flight->tickets[i].fate == FATE_OPEN && give_one(flight, i) < 0)
			break;
	if (flight->left == 0)
		finish_flight(flight);
}

static void give_waiting(struct kafka *self)
{
	if (self->is_giving_back || self->is_broken || clock_now_ns() < self->blocked_until_ns)
		return;
	self->is_full = false;
	list_for_each_safe (node, &self->flights) {
		if (self->is_full || self->is_broken || clock_now_ns() < self->blocked_until_ns)
			return;
		give(container_of(node, struct flight, node));
	}
}

static void take_report(struct kafka *self, const rd_kafka_message_t *message)
{
	struct ticket *ticket = message->_private;
	struct flight *flight = ticket->flight;
	enum fate fate = fate_of(message->err, rd_kafka_message_status(message));

	if (self->is_giving_back && fate == FATE_UNKNOWN)
		fate = FATE_OPEN; /* rather twice than not at all */
	set_fate(ticket, fate);
	if (fate == FATE_SENT) {
		self->head.options.counters->sent_bytes += message->len;
		self->head.options.counters->sent_messages++;
		delivery_reset_backoff(&self->head);
		delivery_tell_success(&self->head);
	} else {
		tell_error(self, message->err, NULL);
	}
	if (fate == FATE_OPEN) {
		flight->is_retry = true;
		block(self);
	}
	if (flight->left == 0)
		finish_flight(flight);
}

static void take_error(struct kafka *self, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t error = rd_kafka_event_error(event);

	if (rd_kafka_event_error_is_fatal(event)) {
		give_up_producer(self);
		return;
	}
	self->head.options.counters->failed_connections +=
		error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__RESOLVE;
	tell_error(self, error, rd_kafka_event_error_string(event));
}

static void take_log(struct kafka *self, rd_kafka_event_t *event)
{
	const char *facility, *text;
	int level;

	if (rd_kafka_event_log(event, &facility, &text, &level) == 0)
		log_debug("%s: librdkafka: %s: %s", delivery_get_name(&self->head), facility, text);
}

static void take_event(struct kafka *self, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *message;

	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_DR:
		while ((message = rd_kafka_event_message_next(event)))
			take_report(self, message);
		break;
	case RD_KAFKA_EVENT_ERROR:
		take_error(self, event);
		break;
	case RD_KAFKA_EVENT_LOG:
		take_log(self, event);
		break;
	default:
		break;
	}
	rd_kafka_event_destroy(event);
}

static bool has_given(const struct kafka *self)
{
	list_for_each (node, &self->flights) {
		const struct flight *flight = container_of(node, struct flight, node);

		if (flight->left > flight->open)
			return true;
	}
	return false;
}

static void *destroy_producer(void *producer)
{
	rd_kafka_destroy(producer);
	return NULL;
}

/* rd_kafka_destroy() joins threads, of which one may wait for the resolver: not longer than "wait_ns". */
static void close_producer(struct kafka *self, uint64_t wait_ns)
{
	struct timespec until;
	pthread_t thread;

	if (self->topic)
		rd_kafka_topic_destroy(self->topic);
	if (!self->producer)
		return;
	rd_kafka_purge(self->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
					       RD_KAFKA_PURGE_F_NON_BLOCKING);
	if (self->queue) {
		rd_kafka_queue_io_event_enable(self->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(self->queue);
	}
	wait_ns += clock_now_ns();
	until = (struct timespec){(time_t)(wait_ns / NS_PER_SEC), (long)(wait_ns % NS_PER_SEC)};
	if (pthread_create(&thread, NULL, destroy_producer, self->producer) == 0 &&
	    pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0)
		pthread_detach(thread);
	self->producer = NULL;
	self->queue = NULL;
	self->topic = NULL;
}

static int open_producer(struct kafka *self)
{
	const struct config_exporter *config = self->head.options.config;
	rd_kafka_conf_t *conf = make_conf(config, tell_through_log, &self->head);
	char reason[REASON_SIZE];

	if (!conf)
		return -EINVAL;
	rd_kafka_conf_set_events(conf,
				 RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
	if (rd_kafka_conf_set(conf, "bootstrap.servers", config->to.url, reason, sizeof(reason)) ==
	    RD_KAFKA_CONF_OK)
		self->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (!self->producer) {
		rd_kafka_conf_destroy(conf);
		log_error("%s: exporters.options: %s", delivery_get_name(&self->head), reason);
		return -EINVAL;
	}
	rd_kafka_set_log_queue(self->producer, NULL);
	self->queue = rd_kafka_queue_get_main(self->producer);
	self->topic = rd_kafka_topic_new(self->producer, config->topic, NULL);
	if (!self->topic)
		return -ENOMEM;
	rd_kafka_queue_io_event_enable(self->queue, self->wake[1], "1", 1);
	return 0;
}

/* When all that it had has come back. */
static void replace_broken(struct kafka *self)
{
	if (!self->is_broken || has_given(self))
		return;
	if (clock_now_ns() < self->blocked_until_ns) {
		(void)loop_source_set_time(self->timer, self->blocked_until_ns);
		return;
	}
	close_producer(self, 0);
	block(self); /* one that breaks at once is not replaced all the time */
	self->is_broken = open_producer(self) < 0;
}

/* Waits for the first one at most. */
static void take_events(struct kafka *self, int wait_ms)
{
	rd_kafka_event_t *event;
	unsigned count = 0;

	while (self->queue && count < EVENTS_A_TURN &&
	       (event = rd_kafka_queue_poll(self->queue, count == 0 ? wait_ms : 0))) {
		take_event(self, event);
		count++;
	}
	if (count == EVENTS_A_TURN)
		(void)loop_source_set_time(self->timer, 0);
	replace_broken(self);
	give_waiting(self);
	delivery_ready(&self->head);
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	(void)now_ns;
	take_events(userdata, 0);
}

static void on_readable(void *userdata, uint32_t events)
{
	struct kafka *self = userdata;
	char bytes[64];

	(void)events;
	while (read(self->wake[0], bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
		;
	take_events(self, 0);
}

static int kafka_submit(struct delivery *delivery, struct chunk *chunk)
{
	struct kafka *self = (struct kafka *)delivery;
	uint32_t most = delivery->options.config->queue / 2;
	struct flight *flight;

	if (chunk_count_documents(chunk) < chunk->records) {
		delivery_finish(delivery, chunk,
				&(struct delivery_outcome){.refused = chunk->records});
		return 0;
	}
	if (most > MOST_IN_FLIGHT)
		most = MOST_IN_FLIGHT;
	if (self->is_full || self->is_broken || clock_now_ns() < self->blocked_until_ns ||
	    (self->in_flight > 0 && self->in_flight + chunk->records > most))
		return -EAGAIN;
	flight = calloc(1, sizeof(*flight) + chunk->records * sizeof(*flight->tickets));
	if (!flight) {
		block(self);
		return -EAGAIN;
	}
	flight->owner = self;
	flight->chunk = chunk;
	flight->count = flight->open = flight->left = chunk->records;
	for (uint32_t i = 0; i < flight->count; i++)
		flight->tickets[i].flight = flight;
	flight->documents =
		chunk_get_documents(chunk) + chunk_count_documents(chunk) - chunk->records;
	list_add_tail(&self->flights, &flight->node);
	self->in_flight += chunk->records;
	give(flight);
	return 0;
}

static void kafka_finish_all(struct delivery *delivery, uint64_t until_ns)
{
	struct kafka *self = (struct kafka *)delivery;
	uint64_t now_ns;

	self->blocked_until_ns = 0;
	delivery_ready(delivery);
	while (!list_is_empty(&self->flights) && (now_ns = clock_now_ns()) < until_ns)
		take_events(self, (int)((until_ns - now_ns) / NS_PER_MS) + 1);
}

/* What is in front of the first record without an answer is there for good. */
static void return_flight(struct flight *flight)
{
	struct kafka *self = flight->owner;
	struct chunk *chunk = flight->chunk;
	uint32_t sent = 0;

	while (sent < flight->count && flight->tickets[sent].fate == FATE_SENT)
		sent++;
	if (sent > 0 && sent < flight->count)
		chunk->begin = flight->documents[sent].offset;
	list_remove(&flight->node);
	self->in_flight -= flight->count;
	free(flight);
	delivery_return(&self->head, chunk, sent);
}

/* librdkafka answers for what it gives up at once: it waits for no broker. */
static void kafka_give_back(struct delivery *delivery)
{
	struct kafka *self = (struct kafka *)delivery;
	uint64_t until_ns = clock_now_ns() + PURGE_WAIT_NS, now_ns;

	self->is_giving_back = true;
	if (self->producer)
		rd_kafka_purge(self->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	while (has_given(self) && (now_ns = clock_now_ns()) < until_ns)
		take_events(self, (int)((until_ns - now_ns) / NS_PER_MS) + 1);
	list_for_each_safe (node, &self->flights)
		return_flight(container_of(node, struct flight, node));
}

static void kafka_close(struct delivery *delivery)
{
	struct kafka *self = (struct kafka *)delivery;

	close_producer(self, self->head.is_outlived ? 0 : CLOSE_WAIT_NS);
	list_for_each_safe (node, &self->flights)
		free(container_of(node, struct flight, node));
	loop_source_free(self->readable);
	loop_source_free(self->timer);
	for (size_t i = 0; i < 2; i++)
		if (self->wake[i] >= 0)
			close(self->wake[i]);
	free(self);
}

static const struct delivery_ops kafka_ops;

static int kafka_open(const struct delivery_options *options, struct delivery **ret)
{
	struct kafka *self = calloc(1, sizeof(*self));
	cleanup(delivery_close_cleanup) struct delivery *delivery = self ? &self->head : NULL;
	int r;

	if (!self)
		return -ENOMEM;
	delivery_init(&self->head, &kafka_ops, options);
	list_init(&self->flights);
	self->wake[0] = self->wake[1] = -1;
	if (pipe2(self->wake, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	r = open_producer(self);
	if (r == 0)
		r = loop_add_io(options->loop, self->wake[0], EPOLLIN, on_readable, self,
				&self->readable);
	if (r == 0)
		r = loop_add_timer(options->loop, UINT64_MAX, on_timer, self, &self->timer);
	if (r < 0)
		return r;
	*ret = steal_pointer(&delivery);
	return 0;
}

static const struct delivery_ops kafka_ops = {
	.wants_documents = true,
	.is_reliable = true,
	.chunk_bytes = CHUNK_BYTES,
	.chunk_records = CHUNK_RECORDS,
	.open = kafka_open,
	.close = kafka_close,
	.submit = kafka_submit,
	.finish_all = kafka_finish_all,
	.give_back = kafka_give_back,
	.check = kafka_check,
};

DELIVERY_PLUGIN("kafka", "librdkafka", &kafka_ops);
