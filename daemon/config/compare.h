/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Configurations side by side, key by key of the table: for a reload. */

#include <stdbool.h>

#include "config/config.h"
#include "config/keys.h"

/* Whether the key has the same value in both, each a struct config, or of an exporter's key a struct
 * config_exporter. Pure. */
bool config_key_is_equal(const struct config_key *key, const void *a, const void *b);

/* Whether all keys have; where they stand in the file makes no difference. Pure. */
bool config_exporter_is_equal(const struct config_exporter *a, const struct config_exporter *b);

/* A copy that owns what it points to; config_exporter_fini() (config/parts.h) frees that. 0, or
 * -ENOMEM. */
int config_exporter_copy(const struct config_exporter *from, struct config_exporter *ret);
