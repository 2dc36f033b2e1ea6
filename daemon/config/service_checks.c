/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/service_checks.h"

#include <ctype.h>
#include <string.h>

#include "config/options.h"

enum { LONGEST_INDEX = 200, LONGEST_TOPIC = 249 };

static struct config_position place_of(const struct config_exporter *exporter, const char *name,
				       const struct config_key_state states[CONFIG_KEYS_MAX])
{
	const struct config_key_state *state =
		&states[config_key_find("exporters", name) - config_keys];

	if (state->key.line)
		return state->value;
	return (struct config_position){.line = exporter->line, .column = exporter->column};
}

/* The rules of Elasticsearch's create index API; and conversions that are digits only. NULL, or the
 * reason. */
static const char *check_index(const char *index)
{
	if (strlen(index) > LONGEST_INDEX)
		return "is longer than 200 bytes";
	if (strchr("-_+.", index[0]))
		return "begins with one of - _ + .";
	for (const char *at = index; *at; at++) {
		if (*at == '%' && (!at[1] || !strchr("YmdHjGV", *++at)))
			return "has a conversion that is none of %Y %m %d %H %j %G %V";
		if (at[-(at > index)] != '%' && !islower((unsigned char)*at) &&
		    !isdigit((unsigned char)*at) && !strchr("-_.+", *at))
			return "has more than small letters, digits and - _ . +";
	}
	return NULL;
}

static void check_elasticsearch(const struct config_exporter *exporter,
				const struct config_key_state states[CONFIG_KEYS_MAX],
				struct config_mistakes *mistakes)
{
	const char *reason = check_index(exporter->index);

	if (!reason && exporter->data_stream && strchr(exporter->index, '%'))
		reason = "has a date, and is a data stream";
	if (reason)
		config_mistakes_add(mistakes, place_of(exporter, "index", states),
				    "exporters.index: \"%s\" %s", exporter->index, reason);
	if (!exporter->username != !exporter->password_file)
		config_mistakes_add(mistakes,
				    place_of(exporter,
					     exporter->username ? "username" : "password_file",
					     states),
				    "exporters: username and password_file need each other");
}

/* Whoever may read this file, and whoever sees it, is not who may know them. */
static void check_secrets(const struct config_options *options, struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct config_option *option = &options->items[i];
		bool is_pem = strstr(option->name, "key.pem");

		if (!config_options_is_secret(text_from(option->name)) ||
		    (!is_pem && strncmp(option->value, "file:///", 8) == 0))
			continue;
		config_mistakes_add(
			mistakes,
			(struct config_position){.line = option->line, .column = option->column},
			"exporters.options: %s: a secret does not stand here; %s", option->name,
			is_pem ? "name the file with the key by ssl.key.location"
			       : "name the file that it stands in: file:///path");
	}
}

/* Kafka's own rule. */
static void check_kafka(const struct config_exporter *exporter,
			const struct config_key_state states[CONFIG_KEYS_MAX],
			struct config_mistakes *mistakes)
{
	const char *at = exporter->topic;

	while (isalnum((unsigned char)*at) || (*at && strchr("._-", *at)))
		at++;
	if (*at || strlen(exporter->topic) > LONGEST_TOPIC)
		config_mistakes_add(mistakes, place_of(exporter, "topic", states),
				    "exporters.topic: more than 249 letters, digits, and . _ -");
	check_secrets(&exporter->options, mistakes);
}

static bool is_curve_key(const char *key)
{
	size_t length = strlen(key);

	return length == 40 || (length == 80 && strspn(key, "0123456789abcdefABCDEF") == length);
}

static void check_zmq(const struct config_exporter *exporter,
		      const struct config_key_state states[CONFIG_KEYS_MAX],
		      struct config_mistakes *mistakes)
{
	if (exporter->header_version == 1 && exporter->source_id > 255)
		config_mistakes_add(mistakes, place_of(exporter, "source_id", states),
				    "exporters.source_id: at most 255 with header_version 1");
	if (exporter->server_key && !is_curve_key(exporter->server_key))
		config_mistakes_add(mistakes, place_of(exporter, "server_key", states),
				    "exporters.server_key: neither 40 characters of Z85 nor 80 "
				    "hexadecimal digits");
	if (exporter->connect && exporter->to.host && strcmp(exporter->to.host, "*") == 0)
		config_mistakes_add(mistakes, place_of(exporter, "to", states),
				    "exporters.to: to connect it needs a host, not *");
}

void config_check_service(const struct config_exporter *exporter,
			  const struct config_key_state states[CONFIG_KEYS_MAX],
			  struct config_mistakes *mistakes)
{
	if (exporter->type == CONFIG_EXPORTER_ELASTICSEARCH)
		check_elasticsearch(exporter, states, mistakes);
	if (exporter->type == CONFIG_EXPORTER_KAFKA)
		check_kafka(exporter, states, mistakes);
	if (exporter->type == CONFIG_EXPORTER_ZMQ)
		check_zmq(exporter, states, mistakes);
	else if (exporter->to.host && strcmp(exporter->to.host, "*") == 0)
		config_mistakes_add(mistakes, place_of(exporter, "to", states),
				    "exporters.to: type %s needs a host, not *",
				    config_exporter_type_get_name(exporter->type));
}
