/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* GET /metrics over HTTP, by libmicrohttpd in the daemon's own loop: so many connections at once, so
 * much memory and so many seconds each (the enum below), and nothing but that one page. */

#include <stdint.h>

#include "base/address.h"
#include "base/buffer.h"
#include "runtime/loop.h"

struct metrics_server;

enum {
	METRICS_CONNECTIONS_MAX = 16,
	METRICS_CONNECTION_BYTES = 16 * 1024,
	METRICS_CONNECTION_SECONDS = 10,
};

struct metrics_server_options {
	struct ip_address address;
	enum ip_family family;
	uint16_t port;
	/* Adds the page. */
	void (*encode)(void *userdata, struct buffer *out);
	void *userdata;
};

struct metrics_server_counters {
	uint64_t served, refused; /* refused: another path or method */
};

/* 0; -EADDRINUSE or another negative errno; -EOPNOTSUPP where it is not built in. */
int metrics_server_new(struct loop *loop, const struct metrics_server_options *options,
		       struct metrics_server **ret);
/* Accepts NULL. */
void metrics_server_free(struct metrics_server *server);
const struct metrics_server_counters *
metrics_server_get_counters(const struct metrics_server *server);
