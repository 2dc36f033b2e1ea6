/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/assign.h"
#include "config/keys.h"

int config_add_exporter(struct config *config, struct config_exporter **ret)
{
	struct config_exporter *exporters = reallocarray(
		config->exporters, config->exporter_count + 1, sizeof(config->exporters[0]));
	struct config_exporter *exporter;

	if (!exporters)
		return -ENOMEM;
	config->exporters = exporters;
	exporter = &exporters[config->exporter_count++];
	*exporter = (struct config_exporter){.name = NULL};
	for (size_t i = 0; i < config_key_count; i++) {
		int r = 0;

		if (config_key_is_of_exporter(&config_keys[i]))
			r = config_key_assign_default(&config_keys[i], exporter);
		if (r < 0)
			return r;
	}
	*ret = exporter;
	return 0;
}

void config_exporter_fini(struct config_exporter *exporter)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (config_key_is_of_exporter(&config_keys[i]))
			config_key_fini(&config_keys[i], exporter);
}

static bool has_process_fields(const struct config_exporter *exporter)
{
	return !exporter->template_name || strcmp(exporter->template_name, "procflow") == 0;
}

bool config_exporter_takes_processes(const struct config_exporter *exporter)
{
	if (!(exporter->records & CONFIG_RECORDS_PROCESS))
		return false;
	switch (exporter->type) {
	case CONFIG_EXPORTER_JSON:
	case CONFIG_EXPORTER_ELASTICSEARCH:
	case CONFIG_EXPORTER_KAFKA:
		return true;
	case CONFIG_EXPORTER_NETFLOW9:
	case CONFIG_EXPORTER_IPFIX:
		return has_process_fields(exporter);
	default:
		return false;
	}
}

int config_add_default_exporter(struct config *config)
{
	struct config_exporter *exporter;
	int r = config_add_exporter(config, &exporter);

	if (r < 0)
		return r;
	exporter->type = CONFIG_EXPORTER_JSON;
	r = config_exporter_complete_address(exporter);
	return r < 0 ? r : config_complete_names(config);
}

int config_exporter_complete_address(struct config_exporter *exporter)
{
	const struct config_exporter_kind *kind = config_exporter_kind_find(exporter->type);
	const struct config_key *key = config_key_find("exporters", "to");
	struct config_key with_default = *key;

	with_default.default_text = kind->default_to;
	return config_key_assign_default(&with_default, exporter);
}

static bool is_name_taken(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->exporter_count; i++)
		if (config->exporters[i].name && strcmp(config->exporters[i].name, name) == 0)
			return true;
	return false;
}

static char *choose_name(const struct config *config, const char *type)
{
	char *name = strdup(type);

	for (size_t number = 2; name && is_name_taken(config, name); number++) {
		free(name);
		if (asprintf(&name, "%s-%zu", type, number) < 0)
			return NULL;
	}
	return name;
}

bool config_exporter_shares_collector(const struct config_exporter *a,
				      const struct config_exporter *b)
{
	return a->type == b->type &&
	       (a->type == CONFIG_EXPORTER_IPFIX || a->type == CONFIG_EXPORTER_NETFLOW9) &&
	       a->to.text && b->to.text && strcmp(a->to.text, b->to.text) == 0;
}

static bool is_domain_taken(const struct config *config, const struct config_exporter *exporter,
			    uint32_t domain)
{
	for (size_t i = 0; i < config->exporter_count; i++) {
		const struct config_exporter *other = &config->exporters[i];

		if (other != exporter && other->observation_domain == domain &&
		    config_exporter_shares_collector(other, exporter))
			return true;
	}
	return false;
}

static void complete_domain(const struct config *config, struct config_exporter *exporter)
{
	uint32_t domain = 0;

	if (exporter->observation_domain != CONFIG_DOMAIN_OPEN)
		return;
	while (is_domain_taken(config, exporter, domain))
		domain++;
	exporter->observation_domain = domain;
}

int config_complete_names(struct config *config)
{
	for (size_t i = 0; i < config->exporter_count; i++) {
		struct config_exporter *exporter = &config->exporters[i];

		exporter->active_timeout_ns = config->flows.active_timeout_ns;
		exporter->idle_timeout_ns = config->flows.idle_timeout_ns;
		complete_domain(config, exporter);
		if (exporter->name)
			continue;
		exporter->name = choose_name(config, config_exporter_type_get_name(exporter->type));
		if (!exporter->name)
			return -ENOMEM;
	}
	return 0;
}
