/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* TLS 1.2 or later over a connected, non-blocking socket, with OpenSSL: RFC 7011 11. The
 * collector's certificate and the name in it are always verified; our own is shown where there is
 * one. Writing to a closed connection raises SIGPIPE, which the caller ignores. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct tls_context; /* the certificates: of one exporter */
struct tls;	    /* a connection */

/* Reads the files named in the configuration. 0; -EOPNOTSUPP: not built in; -EACCES: others than the
 * key's owner and group can read it; another negative errno. The reason is in the log. */
int tls_context_new(const struct config_exporter *config, const char *log_name,
		    struct tls_context **ret);
/* Accepts NULL. */
void tls_context_free(struct tls_context *context);

/* The descriptor stays the caller's. 0, or -ENOMEM. */
int tls_new(struct tls_context *context, int fd, struct tls **ret);
/* Says goodbye, as far as that goes without waiting. Accepts NULL. */
void tls_free(struct tls *tls);

/* Goes on with the handshake. 0: done; TLS_WANTS_READ, TLS_WANTS_WRITE: to be called again when the
 * socket is ready so; -EPROTO: it failed, tls_get_reason() says why.
 *
 * In TLS 1.3 it is done before the collector has looked at our certificate. A refusal is seen by
 * tls_read() only; a session ticket is the sign that it liked what it saw: tls_is_confirmed(). */
enum { TLS_WANTS_READ = 1, TLS_WANTS_WRITE = 2 };
int tls_handshake(struct tls *tls);
bool tls_is_confirmed(const struct tls *tls);

/* 0, and *ret_taken bytes are encrypted and with the kernel; -EAGAIN: the same bytes again when the
 * socket is writable; -ECONNRESET, -EPROTO: it is over. */
int tls_write(struct tls *tls, const void *bytes, size_t length, size_t *ret_taken);
/* Throws away what the collector says. -EAGAIN: nothing more at the moment; -ECONNRESET, -EPROTO:
 * it is over. */
int tls_read(struct tls *tls);

/* Encrypted bytes given to the kernel so far. */
uint64_t tls_get_written(const struct tls *tls);
/* Of the last -EPROTO; borrowed. */
const char *tls_get_reason(const struct tls *tls);
