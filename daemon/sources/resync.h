/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* When the table is listed after events were lost: when no other loss came for RESYNC_QUIET_NS, so that
 * the listing does not make matters worse, and at the latest RESYNC_PATIENCE_NS after the first one.
 * Pure: whoever keeps it has the clock. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define RESYNC_QUIET_NS	   (250 * NS_PER_MS)
#define RESYNC_PATIENCE_NS (3 * NS_PER_SEC)

/* All zero: nothing was lost. */
struct resync {
	uint64_t since_ns; /* the first loss that no listing has mended yet; 0: none */
	uint64_t due_ns;
};

/* Events were lost until "now_ns", which is not 0. */
void resync_want(struct resync *resync, uint64_t now_ns);
bool resync_is_wanted(const struct resync *resync);
bool resync_is_due(const struct resync *resync, uint64_t now_ns);
/* A listing begins. */
void resync_begin(struct resync *resync);
