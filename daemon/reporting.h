/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the daemon tells of itself while it runs: the control socket, the metrics, and a line
 * in the log every ten minutes. */

#include "counters.h"
#include "runtime/loop.h"

struct reporting;

/* "parts" is copied, but for its control socket, which is made here. What cannot be opened is told in
 * the log and left out: nobody's flows are lost for it. 0, or a negative errno. */
int reporting_new(struct loop *loop, const struct counters_parts *parts, struct reporting **ret);
/* Accepts NULL. */
void reporting_free(struct reporting *reporting);
