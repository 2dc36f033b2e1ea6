/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A delivery brings chunks to one collector. Two kinds stand behind this interface:
 *
 *  - byte transports (delivery_bytes.c over transport.h): stdout, file, udp, tcp, unix, tls;
 *  - services, with answers of their own (Elasticsearch, Kafka, ZeroMQ): shared objects that
 *    plugin.h loads by name, so that the daemon does without their libraries. A service is a file
 *    of export/services/ with DELIVERY_PLUGIN() at its end, a row of the meson.build there, a row
 *    with its name as "service" in the exporter kinds (config/keys.c) and one in encoder.c. It may
 *    call what export/plugin.symbols lists of the daemon.
 *
 * The way of a chunk:
 *
 *   exporter --record--> encoder --chunk--> outbox --submit()--> delivery --> collector
 *                                             ^                     |
 *                                             '- delivery_finish() -'   every record's fate is told
 *                                             '- delivery_return() -'   it goes out again
 *                                             '- delivery_ready()  -'   submit() may be tried again
 *
 * The outbox keeps everything that waits: the bounded queue, the order, the spool on disk and the
 * counters. A delivery keeps none: it takes as many chunks as it can have on their way and says
 * -EAGAIN to more. A chunk it has taken stays the outbox's memory, unchanged and in its place,
 * until the delivery finishes or returns it; each is finished or returned exactly once. So a
 * service needs no copy of its own.
 *
 * A delivery never blocks, in no function but finish_all(). It has what descriptors and timers it
 * needs in the loop of its options (loop_add_io(), loop_add_timer(); lower priority than the
 * kernel's events by itself) and connects again by itself, with back-off: delivery_backoff().
 * Everything runs in the loop's thread; a library with threads of its own (librdkafka) tells the
 * loop through a descriptor.
 *
 * What counts as sent is the strongest answer that the collector's side gives, and is to be said in
 * the documentation: file and stdout, the kernel has it; udp, it is on its way; tcp, unix and tls,
 * the peer's kernel acknowledged it; Elasticsearch and Kafka, the service answered for that very
 * record. */

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "export/chunk.h"
#include "export/counters.h"
#include "export/listening_port.h"
#include "runtime/loop.h"

struct delivery;

struct delivery_options {
	const struct config_exporter *config; /* borrowed for the delivery's life */
	struct loop *loop;		      /* borrowed */
	/* Borrowed. The delivery adds to sent_messages, sent_bytes, refused_messages, connections,
	 * failed_connections and retried_records, and to no others; it may read all. */
	struct exporter_counters *counters;
	const struct delivery_events *events; /* the outbox's */
	void *userdata;			      /* theirs */
};

/* A mistake of the configuration, at its place there. */
typedef void (*delivery_on_mistake)(void *userdata, unsigned line, unsigned column,
				    const char *text);

struct delivery_ops {
	/* Chunks come with their documents (chunk_get_documents()), one a record. */
	bool wants_documents;
	/* Each new connection begins with a preamble: delivery_begin_session(). */
	bool has_sessions;
	/* It can tell what the collector has, so that a spool makes sense. */
	bool is_reliable;
	/* Each chunk is a request: with a spool it is finished a little later than at once. */
	bool has_requests;
	/* A chunk is finished when it is as large or has so many records; 0: the usual bounds. */
	uint32_t chunk_bytes, chunk_records;

	/* 0; a negative errno, and then the reason for people in the log. A collector that is not
	 * there yet is no error: the delivery tries again. Calls delivery_init() first. */
	int (*open)(const struct delivery_options *options, struct delivery **ret);
	/* Ends at once. Chunks that are still on their way are forgotten, neither finished nor
	 * returned. */
	void (*close)(struct delivery *delivery);
	/* Takes the chunk; chunk->begin and chunk->records say what of it is to be delivered. 0:
	 * taken, maybe finished already within the call; -EAGAIN: not now, delivery_ready() will
	 * tell when. There is no other failure: what can never go is finished as such. */
	int (*submit)(struct delivery *delivery, struct chunk *chunk);

	/* May be NULL, all of them. */

	/* Tries at once what was put off until later (not a connection in its back-off). */
	void (*flush)(struct delivery *delivery);
	/* SIGUSR1: opens a file again by its name. 0, or a negative errno and all is as before. */
	int (*reopen)(struct delivery *delivery);
	/* The end of the program: works without the loop until nothing is on its way or the
	 * (monotonic) time is over. The only one that may wait. Submitting more from within
	 * delivery_ready() is part of it. */
	void (*finish_all)(struct delivery *delivery, uint64_t until_ns);
	/* Before close(), where chunks outlive the delivery, in a spool or with its successor: each
	 * that is on its way is returned, without the records that the collector is known to have,
	 * or finished; and what it has not got yet is kept from it, as far as that can be done. Does
	 * not wait for the collector. */
	void (*give_back)(struct delivery *delivery);
	/* Tells what is wrong with the exporter's configuration as far as only a library knows;
	 * connects to nobody. */
	void (*check)(const struct config_exporter *config, delivery_on_mistake on_mistake,
		      void *userdata);
	/* Columns of the terminal behind it, 0: none. */
	unsigned (*get_columns)(const struct delivery *delivery);
	/* What there is now; borrowed during the call. */
	void (*take_listening_ports)(struct delivery *delivery,
				     const struct listening_ports *ports);
};

/* The head of every delivery's own struct: set by delivery_init(). */
struct delivery {
	const struct delivery_ops *ops;
	struct delivery_options options;
	int trouble; /* the errno that was told last, 0: none */
	uint64_t trouble_ns;
	unsigned attempts; /* since the last success */
	bool is_outlived;  /* close() need not wait for a library: the program goes on */
};

/* What became of a chunk's records; the sum is chunk->records. */
struct delivery_outcome {
	uint32_t sent;
	uint32_t refused;     /* dropped_refused: the collector will never take them */
	uint32_t unreachable; /* dropped_unreachable: lost, and nobody can tell where */
	uint32_t too_large;   /* dropped_too_large */
};

/* Opens what the exporter's configuration asks for: a byte transport or a service. 0; a negative
 * errno, and then the reason for people in the log. */
int delivery_open(const struct delivery_options *options, struct delivery **ret);
/* Accepts NULL. */
void delivery_close(struct delivery *delivery);

/* For deliveries. */

void delivery_init(struct delivery *delivery, const struct delivery_ops *ops,
		   const struct delivery_options *options);
const char *delivery_get_name(const struct delivery *delivery);

/* The chunk's way has ended; it is gone when this returns. */
void delivery_finish(struct delivery *delivery, struct chunk *chunk,
		     const struct delivery_outcome *outcome);
/* For the usual end: all of it was sent. */
void delivery_finish_sent(struct delivery *delivery, struct chunk *chunk);
/* The chunk waits again, at its old place in the order. Its first "sent" records are delivered for
 * good; then the delivery has moved chunk->begin behind them (and a service must be able to take
 * the rest). */
void delivery_return(struct delivery *delivery, struct chunk *chunk, uint32_t sent);
/* After -EAGAIN: there is room again. May submit from within. */
void delivery_ready(struct delivery *delivery);

/* A new connection stands: submit() gets its preamble first. Nothing of the old one may be on its
 * way any more. */
void delivery_begin_session(struct delivery *delivery);
/* Something was lost on the way: templates, maybe. They come again soon. */
void delivery_report_gap(struct delivery *delivery);
/* There is no way back (the reader of standard output has gone). All that comes is dropped. */
void delivery_report_closed(struct delivery *delivery);

/* The log: the same trouble is told once, and once that it is over, when nothing went wrong for ten
 * seconds. "doing" is as in "cannot DOING: reason", the reason that of the errno, or "reason". */
void delivery_tell_trouble(struct delivery *delivery, int error, const char *doing,
			   const char *reason);
void delivery_tell_success(struct delivery *delivery);

/* How long to wait before the next attempt to connect: doubles from "shortest" up to "longest",
 * and differs by a quarter by chance; counts the attempt. delivery_reset_backoff(): it stands. */
uint64_t delivery_backoff(struct delivery *delivery, uint64_t shortest_ns, uint64_t longest_ns);
void delivery_reset_backoff(struct delivery *delivery);

/* What the functions above call: the outbox. */
struct delivery_events {
	void (*on_finished)(void *userdata, struct chunk *chunk,
			    const struct delivery_outcome *outcome);
	void (*on_returned)(void *userdata, struct chunk *chunk, uint32_t sent);
	void (*on_ready)(void *userdata);
	void (*on_session)(void *userdata);
	void (*on_gap)(void *userdata);
	void (*on_closed)(void *userdata);
};

/* A service's shared object exports one such object under the name "procflow_delivery_plugin". */
enum { DELIVERY_PLUGIN_INTERFACE = 3 };

struct delivery_plugin {
	uint32_t interface;    /* DELIVERY_PLUGIN_INTERFACE */
	uint32_t config_bytes; /* sizeof(struct config_exporter): built from the same sources */
	const char *version;   /* PROCFLOW_VERSION */
	const char *name;      /* "kafka" */
	const char *library;   /* for people: "librdkafka 2.8.0" */
	const struct delivery_ops *ops;
};

#define DELIVERY_PLUGIN(name_, library_, ops_)                                                     \
	extern const struct delivery_plugin procflow_delivery_plugin;                              \
	__attribute__((visibility("default")))                                                     \
	const struct delivery_plugin procflow_delivery_plugin = {                                  \
		.interface = DELIVERY_PLUGIN_INTERFACE,                                            \
		.config_bytes = sizeof(struct config_exporter),                                    \
		.version = PROCFLOW_VERSION,                                                       \
		.name = name_,                                                                     \
		.library = library_,                                                               \
		.ops = ops_}
