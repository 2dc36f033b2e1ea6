/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What only a service's own library can say of a configuration. */

#include "base/buffer.h"
#include "config/config.h"

/* Adds a line "NAME:LINE:COLUMN: mistake" for each that the exporters' services find, and for
 * each service that is not there. Loads them; connects to nobody. 0; -EINVAL: there are some. */
int service_check_configuration(const struct config *config, const char *name,
				struct buffer *mistakes);
