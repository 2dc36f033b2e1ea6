/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Options that are handed on to a library as they are: "options: {compression.codec: zstd}". */

#include "config/config.h"
#include "config/document.h"

/* The mapping's pairs into "ret". 0; a positive outcome: a mistake was told, with "name" (of the key)
 * in front; -ENOMEM. */
int config_options_read(const char *name, const struct config_node *mapping,
			struct config_options *ret, struct config_mistakes *mistakes);
/* Whether an option of this name is a secret, which the configuration must not hold itself. */
bool config_options_is_secret(struct text name);
void config_options_fini(struct config_options *options);
