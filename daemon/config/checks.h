/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a single value cannot show: keys that must fit together. Nothing is checked twice: where one
 * of the values was a mistake already, there is no second one. */

#include "config/config.h"
#include "config/keys.h"
#include "config/mistakes.h"

/* What became of a key of the table, by its place there. */
struct config_key_state {
	struct config_position key, value; /* line 0: not in the file */
	bool good;
};

void config_check_sections(const struct config *config,
			   const struct config_key_state states[CONFIG_KEYS_MAX],
			   struct config_mistakes *mistakes);

/* One exporter by itself; "to" and its port get what the type has for them. 0, or -ENOMEM. */
int config_check_exporter(struct config_exporter *exporter,
			  const struct config_key_state states[CONFIG_KEYS_MAX],
			  struct config_mistakes *mistakes);

/* Exporters that are in each other's way. */
void config_check_exporters(const struct config *config, struct config_mistakes *mistakes);
