/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* procflowd --check: one line for each thing the daemon leans on, what works and what is missing,
 * with the command that mends it. Changes nothing on the host. */

#include <stdio.h>

#include "config/config.h"

/* Prints to "out". The number of lines that keep the daemon from what "config" asks for. */
unsigned host_check(const struct config *config, FILE *out);
/* The same by a call for each line; "status" is "ok", "missing" or "note". */
unsigned host_check_each(const struct config *config,
			 void (*on_line)(void *userdata, const char *status, const char *what,
					 const char *text),
			 void *userdata);
