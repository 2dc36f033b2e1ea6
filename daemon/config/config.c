/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "config/assign.h"
#include "config/keys.h"
#include "config/parts.h"

DEFINE_CLEANUP(struct config *, config_free);

static void free_exporters(struct config *config)
{
	for (size_t i = 0; i < config->exporter_count; i++)
		config_exporter_fini(&config->exporters[i]);
	free(config->exporters);
	config->exporters = NULL;
	config->exporter_count = 0;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config_key_count; i++)
		if (!config_key_is_of_exporter(&config_keys[i]))
			config_key_fini(&config_keys[i], config);
	free_exporters(config);
	free(config);
}

int config_new_without_exporters(struct config **ret)
{
	cleanup(config_free_cleanup) struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	for (size_t i = 0; i < config_key_count; i++) {
		int r;

		if (config_key_is_of_exporter(&config_keys[i]))
			continue;
		r = config_key_assign_default(&config_keys[i], config);
		if (r < 0)
			return r;
	}
	*ret = steal_pointer(&config);
	return 0;
}

int config_new(struct config **ret)
{
	cleanup(config_free_cleanup) struct config *config = NULL;
	int r = config_new_without_exporters(&config);

	if (r == 0)
		r = config_add_default_exporter(config);
	if (r < 0)
		return r;
	*ret = steal_pointer(&config);
	return 0;
}

int config_set_standard_output(struct config *config, enum config_exporter_type type)
{
	struct config_exporter *exporter;
	int r;

	free_exporters(config);
	r = config_add_exporter(config, &exporter);
	if (r < 0)
		return r;
	exporter->type = type;
	exporter->to.transport = CONFIG_TRANSPORT_STDOUT;
	return config_complete_names(config);
}
