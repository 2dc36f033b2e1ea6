/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Runs sysdig(8) as a child and tells what it sees: who connects, accepts, and sends datagrams, and
 * processes that come and go. Or lets it read a capture that it made before.
 *
 * Whatever it does, it never holds us up: it is started again after pauses that grow to a minute, also
 * where it could not be, its complaints go to the log, lines that cannot be read are counted and passed over. What it tells comes
 * late, by its own buffers: docs/sysdig.md. */

#include <stdint.h>

#include "flow/flow_event.h"
#include "runtime/loop.h"
#include "sources/sysdig_line.h"

struct sysdig;

struct sysdig_handlers {
	/* Times are monotonic. */
	void (*on_socket)(void *userdata, const struct socket_event *event);
	void (*on_process)(void *userdata, const struct process_event *event);
	/* Every line that could be read, as it stands there (wall time), with sysdig_line_parse()'s
	 * outcome; for people. NULL: nobody looks. */
	void (*on_event)(void *userdata, int outcome, const struct sysdig_event *event);
	/* The capture has been read to its end, 0, or could not be. NULL: nobody waits. */
	void (*on_captured)(void *userdata, int error);
	void *userdata;
};

struct sysdig_options {
	char *const *command; /* of the live system; ends with NULL */
	/* A file to read once instead, by the first word of "command" alone, for the others choose a
	 * driver; NULL or "": none. */
	const char *capture;
	struct sysdig_handlers handlers;
};

struct sysdig_counters {
	uint64_t lines;
	uint64_t sockets, processes; /* told */
	uint64_t useless;	     /* events that tell nothing about the owner of a tuple */
	uint64_t malformed;	     /* lines that are no object of ours, or were cut by its end */
	uint64_t unknown;	     /* events that nobody asked for */
	uint64_t too_long;	     /* lines of more than SYSDIG_LINE_MAX bytes */
	uint64_t too_old;	     /* of a time before this host was started */
	uint64_t starts, ends;	     /* of the program */
	uint64_t failures;	     /* times that it could not be started */
	uint64_t complaints;	     /* lines of its standard error */
};

/* Starts it; where it cannot be started that is logged, and no error. 0 or -ENOMEM and the like. */
int sysdig_new(struct loop *loop, const struct sysdig_options *options, struct sysdig **ret);
/* Ends the program, too. Accepts NULL. */
void sysdig_free(struct sysdig *sysdig);

const struct sysdig_counters *sysdig_get_counters(const struct sysdig *sysdig);
