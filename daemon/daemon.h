/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The daemon as a whole: creates every module, wires them, runs them and takes them down. */

#include "config/config.h"

struct daemon;

struct daemon_options {
	const struct config *config; /* borrowed */
	const char *config_path;     /* read again with SIGHUP; NULL: SIGHUP ends us */
	bool must_exist;
	unsigned verbosity; /* -v, on top of log.level */
	const char *state_directory;
	bool is_terminal; /* -o text to a terminal */
};

/* 0; -EBUSY: another daemon runs with this state directory; -EPERM: a right is missing; another
 * negative errno. The reason is in the log. */
int daemon_new(const struct daemon_options *options, struct daemon **ret);
/* Puts everything on the host back as it was. Accepts NULL. */
void daemon_free(struct daemon *daemon);

/* Runs until SIGTERM or SIGINT; then lists the table a last time, reports what is open and returns
 * 0. A negative errno when the loop fails. */
int daemon_run(struct daemon *daemon);
