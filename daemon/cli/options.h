/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* procflow's command line: which command, and what to tell the daemon. */

#include <jansson.h>
#include <stdbool.h>

enum options_outcome {
	OPTIONS_RUN = 0,
	OPTIONS_SHOWN = 1, /* help or the version: all is done */
};

struct options {
	const char *command;
	const char *socket;	 /* never NULL */
	const char *config_path; /* of check; NULL: the default one */
	bool is_json;
	json_t *request; /* the object to be sent, "version" left out */
};

/* One of the outcomes; -EINVAL: wrong usage, told on standard error. options_fini() after any. */
int options_parse(int argc, char **argv, struct options *ret);
void options_fini(struct options *options);
