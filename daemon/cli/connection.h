/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One question to the daemon over its control socket (runtime/control.h), and its answer. */

#include <jansson.h>
#include <stdint.h>

#define CONNECTION_DEFAULT_SOCKET "/run/procflow/control.sock"

/* What became of it; also what the program exits with. */
enum connection_outcome {
	CONNECTION_FINE = 0,
	CONNECTION_FAILED = 1, /* refused, or it broke off */
	CONNECTION_ABSENT = 3, /* no daemon, or it may not be asked by this user */
};

struct connection_handler {
	/* "line" is the object of one item as the daemon wrote it. Not 0 ends the answer. */
	int (*on_item)(void *userdata, const char *line, size_t length);
	void *userdata;
};

struct connection_end {
	uint64_t matched, shown;
};

/* Asks "request" (borrowed; the version is added) at "path". What went wrong was told on standard
 * error. Blocks until the answer is whole. */
enum connection_outcome connection_ask(const char *path, json_t *request,
				       const struct connection_handler *handler,
				       struct connection_end *ret);
