/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The delivery over a connection (connection.h): tcp, tls, unix. Many chunks are on their way; one
 * is sent when the peer's kernel has acknowledged its last byte. When the connection is lost, what
 * was not acknowledged waits for the next one: lines from the first that is not whole with the
 * peer, messages, and whatever went through TLS, as a whole.
 *
 * What the peer's kernel acknowledged and its program never read is lost with that program, and what
 * it got without the acknowledgement reaching us is sent twice: no transport without answers of its
 * own can tell. */

#include "export/delivery.h"

extern const struct delivery_ops delivery_stream_ops;
