/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* procflowd --capture FILE: what a recording of sysdig holds, as the method "sysdig" reads it; one line
 * an event, to standard output:
 *
 *     2018-08-17T17:35:48.547360753Z connect tcp 10.0.0.5:37140 -> 10.0.0.9:80 curl[17497] -115
 *
 * The first address is that of the process; "<-" where it accepted the connection. */

#include "config/config.h"

/* Reads "path" with the program of sysdig.command. 0, or a negative errno that was logged. */
int capture_print(const struct config *config, const char *path);
