/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Loads the shared object of a service, exporter_NAME.so. */

#include <limits.h>

#include "export/delivery.h"

/* Where the services' objects are: <libdir>/procflow, or export/services/ beside the program when it runs
 * from the build tree. */
void plugin_find_directory(char directory[PATH_MAX]);

/* Loads DIRECTORY/exporter_NAME.so and gives its functions. It stays loaded until the program ends:
 * libraries with threads do not survive being unloaded. 0; -ENOENT: it is not installed;
 * -ELIBACC: it is, and cannot be used (a library is missing, another version); the reason for
 * people is in the log, with "log_name" in front. */
int plugin_load(const char *directory, const char *name, const char *log_name,
		const struct delivery_ops **ret);
/* Whether there is such a file, for checks that must not load it. */
bool plugin_is_installed(const char *directory, const char *name);
