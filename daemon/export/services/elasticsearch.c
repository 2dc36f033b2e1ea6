/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Elasticsearch and OpenSearch: chunks of documents become _bulk requests. A few are on their way at
 * a time, each in a flight of its own, which knows the fate of each document and sends again, after a
 * while, what the server could not take; a record counts as sent when the server answered for it.
 * While the server does not answer, one flight at a time asks whether it does again. */

#define LOG_MODULE "export"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macros.h"
#include "export/delivery.h"
#include "export/services/elastic_bulk.h"
#include "export/services/elastic_http.h"
#include "export/services/elastic_index.h"
#include "export/services/secret.h"
#include "runtime/log.h"

enum {
	FLIGHTS = 4,
	CHUNK_BYTES = 1024 * 1024,
	CHUNK_RECORDS = 5000,
	PASSWORD_SIZE = 1024,
	/* Values of "error" for delivery_tell_trouble() that are no errno. */
	TROUBLE_CURL = 10000,
	TROUBLE_HTTP = 20000,
};

#define SHORTEST_WAIT_NS (500 * NS_PER_MS)
#define LONGEST_WAIT_NS	 (60 * NS_PER_SEC)
/* Only what is asked for: the answer to thousands of documents is long. */
#define BULK_PATH "/_bulk?filter_path=items.*.status,items.*.error.type,items.*.error.reason"

struct elasticsearch;

struct flight {
	struct elasticsearch *owner;
	struct elastic_request *request;
	struct chunk *chunk; /* NULL: free */
	const struct chunk_document *documents;
	uint8_t *fates;	 /* enum elastic_fate, one a document */
	uint32_t *asked; /* those of the request that runs */
	uint32_t count, asked_count, too_large;
	struct buffer plain, body;
	bool is_running, is_retry;
};

struct elasticsearch {
	struct delivery head;
	struct elastic_http *http;
	struct flight flights[FLIGHTS];
	uint32_t limit;		   /* documents a request */
	uint64_t blocked_until_ns; /* nothing is sent before */
	struct loop_source *timer;
	char refused_reason[ELASTIC_REASON_SIZE]; /* the one that was told last */
	/* The index template, where it is to be installed. */
	struct elastic_request *template_request;
	struct buffer template_body;
	bool needs_template, template_is_running;
};

DEFINE_CLEANUP(struct delivery *, delivery_close);

static const struct config_exporter *config_of(const struct elasticsearch *self)
{
	return self->head.options.config;
}

/* After something failed: for all flights alike, and once for those that failed together. */
static void block(struct elasticsearch *self, uint64_t least_ns)
{
	uint64_t now_ns = clock_now_ns(), wait_ns;

	if (now_ns < self->blocked_until_ns)
		return;
	wait_ns = delivery_backoff(&self->head, SHORTEST_WAIT_NS, LONGEST_WAIT_NS);
	self->blocked_until_ns = now_ns + (wait_ns > least_ns ? wait_ns : least_ns);
	(void)loop_source_set_time(self->timer, self->blocked_until_ns);
}

static void unblock(struct elasticsearch *self)
{
	self->blocked_until_ns = 0;
	delivery_reset_backoff(&self->head);
	delivery_tell_success(&self->head);
}

static int read_password(struct elasticsearch *self)
{
	const char *path = config_of(self)->password_file;
	char password[PASSWORD_SIZE];
	int r;

	if (!path)
		return 0;
	r = secret_read(path, password, sizeof(password));
	if (r < 0) {
		log_error("%s: password_file %s: %s", delivery_get_name(&self->head), path,
			  secret_describe(r));
		return r;
	}
	r = elastic_http_set_password(self->http, password);
	explicit_bzero(password, sizeof(password));
	return r;
}

/* A request that came to nothing as a whole. */
static void tell_failure(struct elasticsearch *self, const struct elastic_result *result)
{
	char why[ELASTIC_REASON_SIZE], text[ELASTIC_REASON_SIZE + 32];

	if (result->error) {
		self->head.options.counters->failed_connections++;
		delivery_tell_trouble(&self->head, -(TROUBLE_CURL + result->error), "send",
				      result->reason);
		return;
	}
	elastic_bulk_read_error(result->answer, result->length, why);
	snprintf(text, sizeof(text), "the server answers %ld%s%s", result->status, *why ? ": " : "",
		 why);
	delivery_tell_trouble(&self->head, -(TROUBLE_HTTP + (int)result->status), "send", text);
	if (result->status == 401)
		(void)read_password(self);
}

static bool is_open(uint8_t fate)
{
	return fate == ELASTIC_UNKNOWN || fate == ELASTIC_RETRY;
}

static void tell_refused(struct elasticsearch *self, const char *reason)
{
	if (strcmp(self->refused_reason, reason) == 0)
		return;
	snprintf(self->refused_reason, sizeof(self->refused_reason), "%s", reason);
	log_warning("%s: the server will not take a record: %s", delivery_get_name(&self->head),
		    *reason ? reason : "it does not say why");
}

/* Puts document i into the body; one without a time belongs nowhere. */
static void ask_for(struct flight *flight, uint32_t i)
{
	const struct config_exporter *config = config_of(flight->owner);
	const uint8_t *line = flight->chunk->bytes.bytes + flight->documents[i].offset;
	char index[ELASTIC_INDEX_NAME_SIZE];

	if (elastic_index_format(config->index, line, flight->documents[i].length, index) < 0) {
		flight->fates[i] = ELASTIC_REFUSED;
		return;
	}
	elastic_bulk_add(&flight->plain, index, config->data_stream, &flight->documents[i], line);
	flight->asked[flight->asked_count++] = i;
}

static int make_body(struct flight *flight)
{
	buffer_clear(&flight->plain);
	buffer_clear(&flight->body);
	flight->asked_count = 0;
	for (uint32_t i = 0; i < flight->count && flight->asked_count < flight->owner->limit; i++)
		if (is_open(flight->fates[i]))
			ask_for(flight, i);
	if (flight->plain.failed)
		return -ENOMEM;
	return elastic_bulk_compress(&flight->body, flight->plain.bytes, flight->plain.length);
}

static void finish_flight(struct flight *flight)
{
	struct delivery_outcome outcome = {.too_large = flight->too_large};
	struct chunk *chunk = steal_pointer(&flight->chunk);

	for (uint32_t i = 0; i < flight->count; i++)
		outcome.sent += flight->fates[i] == ELASTIC_SENT;
	outcome.refused = flight->count - outcome.sent - outcome.too_large;
	free(steal_pointer(&flight->fates));
	free(steal_pointer(&flight->asked));
	delivery_finish(&flight->owner->head, chunk, &outcome);
}

static bool has_open_documents(const struct flight *flight)
{
	for (uint32_t i = 0; i < flight->count; i++)
		if (is_open(flight->fates[i]))
			return true;
	return false;
}

static void start_flight(struct flight *flight)
{
	struct elasticsearch *self = flight->owner;
	struct elastic_content content = {.method = "POST",
					  .path = BULK_PATH,
					  .type = "application/x-ndjson",
					  .is_gzip = true};

	if (make_body(flight) < 0) {
		block(self, 0);
		return;
	}
	if (flight->asked_count == 0) {
		finish_flight(flight);
		return;
	}
	content.body = flight->body.bytes;
	content.length = flight->body.length;
	flight->is_running = elastic_request_send(flight->request, &content) == 0;
	if (!flight->is_running)
		block(self, 0);
	else if (flight->is_retry)
		self->head.options.counters->retried_records += flight->asked_count;
}

static void start_template(struct elasticsearch *self);

/* Whatever waits and may go now. */
static void start_waiting(struct elasticsearch *self)
{
	bool is_probing = self->head.attempts > 0, some_run = false;

	for (size_t i = 0; i < FLIGHTS; i++)
		some_run |= self->flights[i].is_running;
	if (clock_now_ns() < self->blocked_until_ns)
		return;
	if (self->needs_template && !self->template_is_running)
		start_template(self);
	for (size_t i = 0; i < FLIGHTS && !self->needs_template; i++) {
		struct flight *flight = &self->flights[i];

		if (!flight->chunk || flight->is_running || (is_probing && some_run))
			continue;
		start_flight(flight);
		some_run |= flight->is_running;
	}
}

static void take_answer(struct flight *flight, const struct elastic_result *result)
{
	struct elasticsearch *self = flight->owner;
	struct elastic_answer answer;
	cleanup_free uint8_t *fates = calloc(flight->asked_count, 1);

	if (!fates || elastic_bulk_read_answer(result->answer, result->length, flight->asked_count,
					       fates, &answer) < 0) {
		delivery_tell_trouble(&self->head, -EBADMSG, "send",
				      "the server's answer cannot be understood");
		block(self, 0);
		return;
	}
	for (uint32_t i = 0; i < flight->asked_count; i++)
		flight->fates[flight->asked[i]] = fates[i];
	self->head.options.counters->sent_messages++;
	self->head.options.counters->sent_bytes += flight->body.length;
	if (answer.refused > 0)
		tell_refused(self, answer.refused_reason);
	if (answer.retry == 0) {
		unblock(self);
		return;
	}
	delivery_tell_trouble(&self->head, -(TROUBLE_HTTP + 429), "send", answer.retry_reason);
	block(self, result->retry_after_ns);
}

/* The body is too large, or something in it spoils it: halves of it find out. */
static void divide(struct flight *flight, const struct elastic_result *result)
{
	struct elasticsearch *self = flight->owner;
	char reason[ELASTIC_REASON_SIZE];

	if (flight->asked_count > 1) {
		self->limit = flight->asked_count / 2;
		return;
	}
	flight->fates[flight->asked[0]] = ELASTIC_REFUSED;
	flight->too_large += result->status == 413;
	elastic_bulk_read_error(result->answer, result->length, reason);
	tell_refused(self, reason);
}

static void on_flight_done(void *userdata, const struct elastic_result *result)
{
	struct flight *flight = userdata;
	struct elasticsearch *self = flight->owner;

	flight->is_running = false;
	flight->is_retry = true;
	self->head.options.counters->connections += result->is_new_connection;
	if (!result->error && result->status == 200) {
		if (self->limit < CHUNK_RECORDS)
			self->limit += self->limit / 8 + 1;
		take_answer(flight, result);
	} else if (!result->error && (result->status == 413 || result->status == 400)) {
		divide(flight, result);
	} else {
		tell_failure(self, result);
		block(self, result->retry_after_ns);
	}
	if (!has_open_documents(flight))
		finish_flight(flight);
	start_waiting(self);
	delivery_ready(&self->head);
}

static void on_template_done(void *userdata, const struct elastic_result *result)
{
	struct elasticsearch *self = userdata;

	self->template_is_running = false;
	self->head.options.counters->connections += result->is_new_connection;
	if (!result->error && result->status == 200) {
		self->needs_template = false;
		unblock(self);
		start_waiting(self);
		delivery_ready(&self->head);
		return;
	}
	tell_failure(self, result);
	block(self, result->retry_after_ns);
}

/* /_index_template/NAME: the index's name up to its first conversion, without what joins it to that. */
static void start_template(struct elasticsearch *self)
{
	const char *index = config_of(self)->index;
	int length = (int)strcspn(index, "%");
	char path[64 + ELASTIC_INDEX_NAME_SIZE];
	struct elastic_content content = {.method = "PUT",
					  .path = path,
					  .type = "application/json",
					  .body = self->template_body.bytes,
					  .length = self->template_body.length};

	while (length > 1 && index[length] && strchr("-_.", index[length - 1]))
		length--;
	snprintf(path, sizeof(path), "/_index_template/%.*s", length, index);
	self->template_is_running = elastic_request_send(self->template_request, &content) == 0;
	if (!self->template_is_running)
		block(self, 0);
}

static void on_timer(void *userdata, unused uint64_t now_ns)
{
	struct elasticsearch *self = userdata;

	start_waiting(self);
	delivery_ready(&self->head);
}

static int elasticsearch_submit(struct delivery *delivery, struct chunk *chunk)
{
	struct elasticsearch *self = (struct elasticsearch *)delivery;
	size_t documents = chunk_count_documents(chunk);
	struct flight *flight = NULL;

	if (documents < chunk->records) {
		delivery_finish(delivery, chunk,
				&(struct delivery_outcome){.refused = chunk->records});
		return 0;
	}
	for (size_t i = 0; i < FLIGHTS && !flight; i++)
		if (!self->flights[i].chunk)
			flight = &self->flights[i];
	if (!flight || self->needs_template || self->blocked_until_ns > clock_now_ns()) {
		start_waiting(self);
		return -EAGAIN;
	}
	flight->fates = calloc(chunk->records, sizeof(*flight->fates));
	flight->asked = calloc(chunk->records, sizeof(*flight->asked));
	if (!flight->fates || !flight->asked) {
		free(steal_pointer(&flight->fates));
		free(steal_pointer(&flight->asked));
		block(self, 0);
		return -EAGAIN;
	}
	flight->chunk = chunk;
	flight->documents = chunk_get_documents(chunk) + documents - chunk->records;
	flight->count = chunk->records;
	flight->too_large = 0;
	flight->is_retry = false;
	start_waiting(self);
	return 0;
}

static bool is_busy(const struct elasticsearch *self, bool *ret_runs)
{
	bool is_busy = self->needs_template;

	*ret_runs = self->template_is_running;
	for (size_t i = 0; i < FLIGHTS; i++) {
		is_busy |= self->flights[i].chunk != NULL;
		*ret_runs |= self->flights[i].is_running;
	}
	return is_busy;
}

/* What waits for its time is tried once more at once: there is no later. */
static void elasticsearch_finish_all(struct delivery *delivery, uint64_t until_ns)
{
	struct elasticsearch *self = (struct elasticsearch *)delivery;
	uint64_t now_ns;
	bool runs;

	self->blocked_until_ns = 0;
	delivery_ready(delivery);
	while (is_busy(self, &runs) && (now_ns = clock_now_ns()) < until_ns) {
		uint64_t due_ns =
			self->blocked_until_ns < until_ns ? self->blocked_until_ns : until_ns;

		if (runs)
			elastic_http_run(self->http, until_ns);
		else if (due_ns > now_ns)
			poll(NULL, 0, (int)((due_ns - now_ns) / NS_PER_MS) + 1);
		start_waiting(self);
	}
}

/* A request that is under way is broken off with close(): what it stored keeps its ids. */
static void elasticsearch_give_back(struct delivery *delivery)
{
	struct elasticsearch *self = (struct elasticsearch *)delivery;

	for (size_t i = 0; i < FLIGHTS; i++) {
		struct flight *flight = &self->flights[i];
		struct chunk *chunk = steal_pointer(&flight->chunk);
		uint32_t sent = 0;

		if (!chunk)
			continue;
		while (sent < flight->count && flight->fates[sent] == ELASTIC_SENT)
			sent++;
		if (sent > 0 && sent < flight->count)
			chunk->begin = flight->documents[sent].offset;
		delivery_return(delivery, chunk, sent);
	}
}

static void elasticsearch_close(struct delivery *delivery)
{
	struct elasticsearch *self = (struct elasticsearch *)delivery;

	for (size_t i = 0; i < FLIGHTS; i++) {
		struct flight *flight = &self->flights[i];

		elastic_request_free(flight->request);
		buffer_fini(&flight->plain);
		buffer_fini(&flight->body);
		free(flight->fates);
		free(flight->asked);
	}
	elastic_request_free(self->template_request);
	buffer_fini(&self->template_body);
	elastic_http_free(self->http);
	loop_source_free(self->timer);
	free(self);
}

static const struct delivery_ops elasticsearch_ops;

static int open_requests(struct elasticsearch *self)
{
	int r = 0;

	for (size_t i = 0; i < FLIGHTS && r == 0; i++) {
		self->flights[i].owner = self;
		r = elastic_request_new(self->http, on_flight_done, &self->flights[i],
					&self->flights[i].request);
	}
	if (r == 0)
		r = elastic_request_new(self->http, on_template_done, self,
					&self->template_request);
	return r;
}

static int make_template(struct elasticsearch *self)
{
	const struct config_exporter *config = config_of(self);
	struct elastic_index_template options = {.pattern = config->index,
						 .is_ecs = config->schema == CONFIG_SCHEMA_ECS,
						 .is_data_stream = config->data_stream};

	self->needs_template = config->install_template;
	elastic_index_add_template(&self->template_body, &options);
	return self->template_body.failed ? -ENOMEM : 0;
}

static int elasticsearch_open(const struct delivery_options *options, struct delivery **ret)
{
	struct elasticsearch *self = calloc(1, sizeof(*self));
	cleanup(delivery_close_cleanup) struct delivery *delivery = self ? &self->head : NULL;
	int r;

	if (!self)
		return -ENOMEM;
	delivery_init(&self->head, &elasticsearch_ops, options);
	self->limit = CHUNK_RECORDS;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return -ENOMEM;
	r = elastic_http_new(
		&(struct elastic_http_options){.loop = options->loop,
					       .url = options->config->to.url,
					       .username = options->config->username,
					       .ca_file = options->config->ca_file,
					       .timeout_ns = options->config->timeout_ns},
		&self->http);
	if (r == 0)
		r = read_password(self);
	if (r == 0)
		r = open_requests(self);
	if (r == 0)
		r = make_template(self);
	if (r == 0)
		r = loop_add_timer(options->loop, UINT64_MAX, on_timer, self, &self->timer);
	if (r < 0)
		return r;
	*ret = steal_pointer(&delivery);
	return 0;
}

static const struct delivery_ops elasticsearch_ops = {
	.wants_documents = true,
	.is_reliable = true,
	.has_requests = true,
	.chunk_bytes = CHUNK_BYTES,
	.chunk_records = CHUNK_RECORDS,
	.open = elasticsearch_open,
	.close = elasticsearch_close,
	.submit = elasticsearch_submit,
	.finish_all = elasticsearch_finish_all,
	.give_back = elasticsearch_give_back,
};

DELIVERY_PLUGIN("elasticsearch", "libcurl " LIBCURL_VERSION, &elasticsearch_ops);
