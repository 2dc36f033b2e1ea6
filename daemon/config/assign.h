/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* From a node of the file to the member that its key names. */

#include "config/document.h"
#include "config/keys.h"
#include "config/mistakes.h"

/* Named outcome: a mistake was told, the member is as it was. */
enum { CONFIG_ASSIGN_E_WRONG = 1 };

/* Stores the value in its member of "base" (struct config or struct config_exporter). 0,
 * CONFIG_ASSIGN_E_WRONG, or -ENOMEM. */
int config_key_assign(const struct config_key *key, const struct config_node *node, void *base,
		      struct config_mistakes *mistakes);

/* Stores the default, where the key has one. 0, or -ENOMEM. */
int config_key_assign_default(const struct config_key *key, void *base);

/* Frees what the member owns. */
void config_key_fini(const struct config_key *key, void *base);
