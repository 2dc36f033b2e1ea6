/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the keys of services (Elasticsearch) must be beside what their types say. */

#include "config/checks.h"

/* After all its keys were read; nothing for other types. */
void config_check_service(const struct config_exporter *exporter,
			  const struct config_key_state states[CONFIG_KEYS_MAX],
			  struct config_mistakes *mistakes);
