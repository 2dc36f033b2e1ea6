/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The control socket: a unix stream socket on which the daemon answers questions about itself.
 *
 * A client sends one request (control_request.h) and reads lines of JSON:
 *
 *     {"procflow":1,"command":"flows"}          the answer begins: version and command
 *     {"item":{...}}                            any number of them
 *     {"end":{"matched":12,"shown":10}}         it is whole
 *     {"error":"busy","message":"..."}          instead of any of these: it is over
 *
 * and then the end of the stream. Nothing a client does holds the daemon up or costs it much: an
 * answer is made piece by piece while the client reads, a client has one buffer of bounded size, so
 * many clients at once, and so much time (the enum below). Whoever may ask: root, the daemon's own
 * user, and the members of one group, by the peer's credentials as the kernel tells them. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "runtime/control_request.h"
#include "runtime/loop.h"

struct control;

enum {
	CONTROL_CLIENTS_MAX = 64,
	CONTROL_CLIENTS_RESERVED = 16, /* of these, for root alone */
	CONTROL_ACCEPTS_PER_TURN = 16,
	CONTROL_BUFFER_BYTES = 64 * 1024, /* an answer is not made further than this ahead */
	CONTROL_REQUEST_SECONDS = 5,	  /* until the whole request must be here */
	CONTROL_STALL_SECONDS = 5,	  /* without a byte being read */
	CONTROL_ANSWER_SECONDS = 120,	  /* for the whole answer */
};

/* Named outcomes of making an answer. */
enum { CONTROL_MORE = 1 };

/* How the commands are answered. */
struct control_handler {
	/* Begins the answer to a request. 0; -EINVAL with the refusal; or another negative errno.
	 * "*ret_query" is what the others are given. */
	int (*open)(void *userdata, const struct control_request *request, void **ret_query,
		    struct control_refusal *ret_refusal);
	/* Adds some whole items: control_add_item_begin(), an object, control_add_item_end(). Work
	 * and bytes are to be bounded, some 0.5 ms and 16 KiB. CONTROL_MORE; 0 when it is whole (it
	 * adds the line of the end itself); a negative errno. */
	int (*step)(void *userdata, void *query, struct buffer *out);
	void (*close)(void *userdata, void *query);
	void *userdata;
};

struct control_options {
	const char *path;  /* of the socket; copied */
	const char *group; /* NULL or "": none */
	struct control_handler handler;
};

struct control_counters {
	uint64_t clients; /* now */
	uint64_t accepted, answered;
	uint64_t refused_full;	   /* CONTROL_CLIENTS_MAX */
	uint64_t refused_peers;	   /* not root, not the daemon's user, not in the group */
	uint64_t refused_requests; /* no JSON, an unknown command or key, another version */
	uint64_t refused_too_long; /* CONTROL_REQUEST_BYTES */
	uint64_t timeouts_request, timeouts_stalled, timeouts_answer;
	uint64_t hangups; /* it went away before the answer was whole */
	uint64_t accept_errors, no_memory;
};

/* Named outcomes of control_new(): the group does not exist, or the socket may not be given to it; it is
 * there for root and the daemon's own user. */
enum { CONTROL_NO_GROUP = 1, CONTROL_NOT_GIVEN = 2 };

/* Makes the socket, and the directory above it where that is not there (mode 0755). A socket that
 * nobody listens to any more is replaced. 0; CONTROL_NO_GROUP; CONTROL_NOT_GIVEN; -EADDRINUSE: a living daemon answers
 * there; -EEXIST: there is something else than a socket; or another negative errno. */
int control_new(struct loop *loop, const struct control_options *options, struct control **ret);
/* Removes the socket, if it is still this one's. Accepts NULL. */
void control_free(struct control *control);

const struct control_counters *control_get_counters(const struct control *control);

void control_add_item_begin(struct buffer *out);
void control_add_item_end(struct buffer *out);
/* The line of the end: items that passed the filter, and those of them that were told. */
void control_add_end(struct buffer *out, uint64_t matched, uint64_t shown);
