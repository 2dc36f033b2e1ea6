/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A connection to a collector: TCP, TLS over it, or a unix stream socket; from the look-up of the
 * name to its end, without ever waiting. It does not know what is sent. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "export/tls.h"

struct connection;

/* Opening: nothing has been sent. 0, or a negative errno with the reason in the log (certificates).
 * Both are borrowed. */
int connection_new(const struct config_exporter *config, const char *log_name,
		   struct connection **ret);
/* Accepts NULL. */
void connection_free(struct connection *connection);

/* Begins an attempt; connection_step() goes on with it. Not while one is under way. */
void connection_start(struct connection *connection);

/* Goes on after the descriptor was ready, or after connection_get_wait_ns(). */
enum connection_state {
	CONNECTION_CLOSED, /* not started, or lost: connection_get_reason() */
	CONNECTION_OPENING,
	CONNECTION_OPEN,
};
enum connection_state connection_step(struct connection *connection, uint64_t now_ns);
enum connection_state connection_get_state(const struct connection *connection);

/* What to wait for: a descriptor (-1: none), EPOLL bits, and the longest time until the next step
 * (UINT64_MAX: none). */
int connection_get_fd(const struct connection *connection);
uint32_t connection_get_events(const struct connection *connection);
uint64_t connection_get_wait_ns(const struct connection *connection);

/* 0, and *ret_taken bytes are with the kernel; -EAGAIN: later, connection_get_events() asks for it;
 * another negative errno: the connection is lost. */
int connection_write(struct connection *connection, const void *bytes, size_t length,
		     size_t *ret_taken);
/* Bytes on the wire (encrypted where it is) since the connection stands: given to the kernel, and
 * of those, acknowledged by the peer's (SIOCOUTQ; on a unix socket all, they are in its queue). Good
 * after the connection was lost too, until it is closed or started again. */
uint64_t connection_get_written(const struct connection *connection);
uint64_t connection_get_acknowledged(const struct connection *connection);

/* Ends it. "at_once": what the peer has not acknowledged is not sent any more (it will go out on the
 * next connection), and the peer sees a reset. */
void connection_close(struct connection *connection, bool at_once);

/* Why the last one was lost or not made: for people, and an errno. */
const char *connection_get_reason(const struct connection *connection);
int connection_get_error(const struct connection *connection);
