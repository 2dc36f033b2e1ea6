/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How the reader builds a configuration up: what config_new() does at once, in its parts. Each is
 * 0, or -ENOMEM. */

#include "config/config.h"

int config_new_without_exporters(struct config **ret);

/* One more exporter with the defaults of the table, borrowed until the next one is added. */
int config_add_exporter(struct config *config, struct config_exporter **ret);
void config_exporter_fini(struct config_exporter *exporter);

/* The one of an empty file. */
int config_add_default_exporter(struct config *config);

/* Sets "to" to what the type takes without one, where there is such. */
int config_exporter_complete_address(struct config_exporter *exporter);

/* Shows each exporter the flows' keys, names each that has none after its type, with -2, -3 ... where that is
 * taken, and gives each without an observation domain the first that no other to the same collector has. */
int config_complete_names(struct config *config);

/* Whether both send messages of one kind to one collector. */
bool config_exporter_shares_collector(const struct config_exporter *a,
				      const struct config_exporter *b);
