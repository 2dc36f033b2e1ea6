/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* SIGHUP: reads the configuration again, all of it or nothing. Exporters and the log change at once;
 * other keys are told in a warning: they need a start. The service manager hears of it
 * (RELOADING=1, READY=1; sd_notify(3)). */

#include "export/exporter_set.h"

struct reload_parts {
	const char *path;
	bool must_exist;
	unsigned verbosity; /* -v */
	const struct config *running;
	struct exporter_set *exporters;
	const struct exporter_context *context;
};

/* 0; a negative errno, and all stays as it was; either way the log tells. */
int reload(const struct reload_parts *parts);
