/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/resync.h"

void resync_want(struct resync *resync, uint64_t now_ns)
{
	uint64_t latest_ns;

	if (!resync->since_ns)
		resync->since_ns = now_ns;
	latest_ns = resync->since_ns + RESYNC_PATIENCE_NS;
	resync->due_ns = now_ns + RESYNC_QUIET_NS;
	if (resync->due_ns > latest_ns)
		resync->due_ns = latest_ns;
}

bool resync_is_wanted(const struct resync *resync)
{
	return resync->since_ns != 0;
}

bool resync_is_due(const struct resync *resync, uint64_t now_ns)
{
	return resync_is_wanted(resync) && now_ns >= resync->due_ns;
}

void resync_begin(struct resync *resync)
{
	resync->since_ns = 0;
}
