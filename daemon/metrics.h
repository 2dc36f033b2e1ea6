/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The counters for Prometheus: a file that is written anew every so often, and a page. */

#include "config/config.h"
#include "counters.h"
#include "runtime/loop.h"

struct metrics;

/* All but "config" borrowed for life. What cannot be opened is told in the log and left out. 0 or a
 * negative errno. */
int metrics_new(struct loop *loop, const struct counters_parts *parts, struct counters *counters,
		struct metrics **ret);
/* Accepts NULL. Removes the file: what it says is not true any more. */
void metrics_free(struct metrics *metrics);
