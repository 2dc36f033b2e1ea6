/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* All exporters of a daemon: opened together, and changed together to another configuration. */

#include "export/exporter.h"
#include "export/template_cache.h"

struct exporter_set {
	struct exporter **items;
	size_t count;
	struct template_ids template_ids; /* of all that there ever were; it does not move */
	/* Those that a change took out, and that still send what they have. */
	struct exporter **retired;
	size_t retired_count;
	struct loop_source *timer;
};

/* Opens those of the configuration into an empty set. 0, or a negative errno, and then the set is
 * empty and the reason in the log. */
int exporter_set_open(struct exporter_set *set, const struct config *config,
		      const struct exporter_context *context);
void exporter_set_close(struct exporter_set *set);

/* Makes it that of another configuration. Those of which nothing has changed stay as they are, with
 * all that waits; what one has changed under the same name goes on in its successor, where that speaks
 * the same language. Others send what they can for another second, while the loop runs; what is left
 * then is counted where the name stays (exporter_take_over()). 0, and what was done is in the log; or a
 * negative errno, and all is as before. The set stays in its place from then on. */
int exporter_set_change(struct exporter_set *set, const struct config *config,
			const struct exporter_context *context);

void exporter_set_reopen(const struct exporter_set *set);
/* Whether each of them, and there is one, has lost its reader for good. */
bool exporter_set_is_closed(const struct exporter_set *set);
