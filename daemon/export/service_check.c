/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/service_check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "config/keys.h"
#include "export/delivery.h"
#include "export/plugin.h"

struct checking {
	const char *name;
	struct buffer *mistakes;
	bool has_some;
};

static void on_mistake(void *userdata, unsigned line, unsigned column, const char *text)
{
	struct checking *checking = userdata;

	checking->has_some = true;
	buffer_add_format(checking->mistakes, "%s:%u:%u: %s\n", checking->name, line, column, text);
}

static void check(struct checking *checking, const struct config_exporter *exporter)
{
	const struct config_exporter_kind *kind = config_exporter_kind_find(exporter->type);
	const struct delivery_ops *ops;
	char directory[PATH_MAX], text[128];

	if (!kind || !kind->service)
		return;
	plugin_find_directory(directory);
	if (!plugin_is_installed(directory, kind->service)) {
		snprintf(text, sizeof(text),
			 "exporters.type: %s needs the package procflow-exporter-%s", kind->name,
			 kind->service);
		on_mistake(checking, exporter->line, exporter->column, text);
		return;
	}
	if (plugin_load(directory, kind->service, exporter->name, &ops) < 0)
		checking->has_some = true; /* and the reason is in the log */
	else if (ops->check)
		ops->check(exporter, on_mistake, checking);
}

int service_check_configuration(const struct config *config, const char *name,
				struct buffer *mistakes)
{
	struct checking checking = {.name = name, .mistakes = mistakes};

	for (size_t i = 0; i < config->exporter_count; i++)
		check(&checking, &config->exporters[i]);
	return checking.has_some ? -EINVAL : 0;
}
