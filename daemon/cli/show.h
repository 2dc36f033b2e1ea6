/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How each command's answer is shown to people. Items are JSON as the daemon sends them; what is not in
 * them is not shown. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/connection.h"

struct show {
	FILE *out;
	unsigned width;	  /* columns of the terminal; 0: no terminal, nothing is cut */
	bool has_colours; /* a terminal, and no NO_COLOR (no-color.org) */
};

/* Each takes the items of one answer ("items" an array). 0 or a negative errno. */
int show_status(const struct show *show, const json_t *items);
int show_exporters(const struct show *show, const json_t *items);
int show_flows(const struct show *show, const json_t *items);
int show_processes(const struct show *show, const json_t *items);

/* A number in an object, "path" as "flows.open"; false where there is none. */
bool show_find_number(const json_t *object, const char *path, uint64_t *ret);
/* The same, 0 where there is none. */
uint64_t show_get_number(const json_t *object, const char *path);
/* A text in an object, NULL where there is none. */
const char *show_get_text(const json_t *object, const char *key);
