/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Brings bytes to where "to:" says, without ever waiting. Streams (stdout, file) take a part of
 * what they are given, datagrams (udp) all or nothing. */

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct transport;

/* Of files: when one would grow beyond "size", it becomes NAME.1, that NAME.2, and so on. */
struct transport_rotation {
	uint64_t size_bytes; /* 0: never */
	uint32_t keep;	     /* so many old ones stay */
};

/* Opens it. "log_name" is the exporter's, for the log; both are borrowed for the transport's life.
 * UDP: a name is looked up in the background; one that does not resolve is told in the log and tried
 * again later. 0; a negative errno, and then the reason
 * for people in the log. */
int transport_open(const struct config_address *to, const char *log_name,
		   const struct transport_rotation *rotation, struct transport **ret);
/* Accepts NULL. */
void transport_close(struct transport *transport);

/* Hands over what can be taken now. 0, and *ret_taken bytes (stream: maybe less than given) are
 * with the kernel; -EAGAIN: nothing can be taken at the moment; -ECONNREFUSED: an earlier datagram
 * was refused and this one was not sent; another negative errno as the kernel gave it. Raises no
 * SIGPIPE. */
int transport_send(struct transport *transport, const void *bytes, size_t length,
		   size_t *ret_taken);

/* Tells that what is sent next begins a message of that length (whole lines): where a file may end
 * and the next one begin. One that was removed is made anew here. */
void transport_begin_message(struct transport *transport, size_t length);

/* Opens a file again by its name, for it may have another one now (logrotate). 0;
 * TRANSPORT_HAS_NO_NAME: this kind has nothing to open again; a negative errno, and the old one
 * stays open. */
enum { TRANSPORT_HAS_NO_NAME = 1 };
int transport_reopen(struct transport *transport);

/* Of files that are regular ones, 0 or false for others. take_back: what was sent last is cut off again,
 * where it is the file's end. find_sent: how much of the bytes, in whole lines, the file ends with: what
 * a run that was killed had written of them. */
bool transport_take_back(struct transport *transport, const void *bytes, size_t length);
size_t transport_find_sent(struct transport *transport, const void *bytes, size_t length);

/* A stream keeps order and its rest can be sent later; a datagram that failed is lost. */
bool transport_is_stream(const struct transport *transport);

/* What to wait on with EPOLLOUT after -EAGAIN, or -1: then only time helps. */
int transport_get_fd(const struct transport *transport);

/* Columns of the terminal behind it, or 0 where there is none. */
unsigned transport_get_columns(const struct transport *transport);
