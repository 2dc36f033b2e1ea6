/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Requests to one server by libcurl's multi interface in the daemon's loop: nothing here waits, but
 * elastic_http_run(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/loop.h"

/* The longest answer that is read; of a larger one the request has failed. */
enum { ELASTIC_ANSWER_MAX = 64 * 1024 * 1024 };

struct elastic_http;
struct elastic_request;

/* How a request ended; all borrowed during the callback. */
struct elastic_result {
	int error;	    /* 0: the server has answered; else a CURLcode */
	const char *reason; /* of an error, for people */
	long status;	    /* of HTTP */
	const char *answer;
	size_t length;
	uint64_t retry_after_ns; /* what the server asks for; 0: nothing */
	bool is_new_connection;
};

/* May send the next request from within. */
typedef void (*elastic_on_done)(void *userdata, const struct elastic_result *result);

struct elastic_http_options {
	struct loop *loop;    /* borrowed */
	const char *url;      /* without a slash at its end; all texts are borrowed */
	const char *username; /* NULL: none */
	const char *ca_file;  /* NULL: those the system trusts */
	uint64_t timeout_ns;  /* of a whole request */
};

/* 0, or -ENOMEM. */
int elastic_http_new(const struct elastic_http_options *options, struct elastic_http **ret);
/* After its requests. Accepts NULL. */
void elastic_http_free(struct elastic_http *http);
/* Of requests from now on; a copy is kept. */
int elastic_http_set_password(struct elastic_http *http, const char *password);
/* Works without the loop until something happened or the (monotonic) time is over. */
void elastic_http_run(struct elastic_http *http, uint64_t until_ns);

/* 0, or -ENOMEM. */
int elastic_request_new(struct elastic_http *http, elastic_on_done on_done, void *userdata,
			struct elastic_request **ret);
/* Ends at once; the callback is not called. Accepts NULL. */
void elastic_request_free(struct elastic_request *request);

struct elastic_content {
	const char *method, *path; /* "POST", "/_bulk" */
	const char *type;	   /* of the body: "application/json" */
	const uint8_t *body;	   /* borrowed until the request has ended */
	size_t length;
	bool is_gzip;
};

/* Begins; one at a time. 0, or -ENOMEM. The callback comes later, never from within. */
int elastic_request_send(struct elastic_request *request, const struct elastic_content *content);
