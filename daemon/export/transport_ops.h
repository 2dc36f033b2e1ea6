/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One kind of transport: what transport.c calls. */

#include "export/transport.h"

struct transport_ops {
	bool is_stream;
	int (*send)(struct transport *transport, const void *bytes, size_t length,
		    size_t *ret_taken);
	void (*close)(struct transport *transport);
	/* May be NULL, all of them: transport_begin_message(), transport_reopen() ... */
	void (*begin_message)(struct transport *transport, size_t length);
	int (*reopen)(struct transport *transport);
	bool (*take_back)(struct transport *transport, const void *bytes, size_t length);
	size_t (*find_sent)(struct transport *transport, const void *bytes, size_t length);
};

/* The head of each kind's own struct. */
struct transport {
	const struct transport_ops *ops;
	int fd; /* -1: none at the moment */
};

int transport_stdout_open(struct transport **ret);
int transport_file_open(const struct config_address *to, const char *log_name,
			const struct transport_rotation *rotation, struct transport **ret);
int transport_udp_open(const struct config_address *to, const char *log_name,
		       struct transport **ret);

/* write(2) without SIGPIPE, results as of transport_send(). */
int transport_write(int fd, const void *bytes, size_t length, size_t *ret_taken);
