/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/parts.h"
#include "config/service_checks.h"
#include "flow/field.h"

static const struct config_key_state *
find_state(const struct config_key_state states[CONFIG_KEYS_MAX], const char *section,
	   const char *name)
{
	return &states[config_key_find(section, name) - config_keys];
}

/* One without the other does nothing, and that in silence. */
static void check_sysdig(const struct config *config,
			 const struct config_key_state states[CONFIG_KEYS_MAX],
			 struct config_mistakes *mistakes)
{
	const struct config_key_state *enable = find_state(states, "sysdig", "enable");
	const struct config_key_state *methods = find_state(states, "attribution", "methods");
	bool is_method = config->attribution.methods & CONFIG_METHOD_SYSDIG;

	if ((enable->key.line && !enable->good) || (methods->key.line && !methods->good))
		return;
	if (config->sysdig.enable && !is_method)
		config_mistakes_add(mistakes, enable->value,
				    "sysdig.enable: sysdig is not one of attribution.methods");
	else if (is_method && !config->sysdig.enable)
		config_mistakes_add(mistakes, methods->value,
				    "attribution.methods: sysdig needs sysdig.enable: true");
}

void config_check_sections(const struct config *config,
			   const struct config_key_state states[CONFIG_KEYS_MAX],
			   struct config_mistakes *mistakes)
{
	const struct config_conntrack *conntrack = &config->conntrack;
	const struct config_key_state *most = find_state(states, "conntrack", "receive_buffer_max");
	const struct config_key_state *start = find_state(states, "conntrack", "receive_buffer");

	check_sysdig(config, states, mistakes);
	if (conntrack->receive_buffer_max_bytes >= conntrack->receive_buffer_bytes ||
	    (most->key.line && !most->good) || (start->key.line && !start->good))
		return;
	config_mistakes_add(mistakes, most->key.line ? most->value : start->value,
			    "conntrack.receive_buffer_max: %" PRIu64
			    " bytes are less than receive_buffer, %" PRIu64 " bytes",
			    conntrack->receive_buffer_max_bytes, conntrack->receive_buffer_bytes);
}

/* "netflow9, ipfix" */
static const char *list_types(unsigned bits, char text[64])
{
	const struct config_key *key = config_key_find("exporters", "type");
	size_t length = 0;

	text[0] = '\0';
	for (const struct config_word *word = key->words; word->name; word++)
		if (bits & 1u << word->value)
			length += (size_t)snprintf(text + length, 64 - length, "%s%s",
						   length ? ", " : "", word->name);
	return text;
}

/* "tcp://, tls://" */
static const char *list_transports(unsigned bits, char text[128])
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; bits >> i; i++)
		if (bits & 1u << i)
			length +=
				(size_t)snprintf(text + length, 128 - length, "%s%s://",
						 length ? ", " : "", config_transport_get_name(i));
	return text;
}

static void check_useless_keys(const struct config_exporter *exporter,
			       const struct config_key_state states[CONFIG_KEYS_MAX],
			       struct config_mistakes *mistakes)
{
	char types[64];

	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (!states[i].key.line || !key->only_for || key->only_for & 1u << exporter->type)
			continue;
		config_mistakes_add(mistakes, states[i].key,
				    "exporters.%s: means nothing for type %s (only for %s)",
				    key->name, config_exporter_type_get_name(exporter->type),
				    list_types(key->only_for, types));
	}
}

/* After "to" has its last value. */
static void check_keys_of_transports(const struct config_exporter *exporter,
				     const struct config_key_state states[CONFIG_KEYS_MAX],
				     struct config_mistakes *mistakes)
{
	enum config_transport transport = exporter->to.transport;
	char transports[128];

	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (!states[i].key.line || !key->only_to || key->only_to & 1u << transport ||
		    (key->only_for && !(key->only_for & 1u << exporter->type)))
			continue;
		config_mistakes_add(mistakes, states[i].key,
				    "exporters.%s: means nothing for %s: (only for %s)", key->name,
				    config_transport_get_name(transport),
				    list_transports(key->only_to, transports));
	}
}

static void check_tls(const struct config_exporter *exporter, struct config_position place,
		      struct config_mistakes *mistakes)
{
	if (exporter->to.transport != CONFIG_TRANSPORT_TLS)
		return;
#if !HAVE_OPENSSL
	config_mistakes_add(mistakes, place,
			    "exporters.to: tls:// is not built in (it needs OpenSSL)");
#endif
	if (!exporter->certificate_file != !exporter->key_file)
		config_mistakes_add(mistakes, place,
				    "exporters: certificate_file and key_file need each other");
}

static void check_port(struct config_exporter *exporter, const struct config_exporter_kind *kind,
		       struct config_position place, struct config_mistakes *mistakes)
{
	bool is_tls = exporter->to.transport == CONFIG_TRANSPORT_TLS;

	if (!exporter->to.host || exporter->to.port != 0)
		return;
	exporter->to.port = is_tls ? kind->default_tls_port : kind->default_port;
	if (exporter->to.port == 0)
		config_mistakes_add(mistakes, place,
				    "exporters.to: type %s has no usual port: %s://%s:PORT",
				    kind->name, config_transport_get_name(exporter->to.transport),
				    exporter->to.host);
}

/* Fields that only flows of the other IP version have. */
static bool is_of_version(const struct field *field, bool is_v6)
{
	const uint64_t v4 = RECORD_IPV4 | RECORD_NAT_IPV4, v6 = RECORD_IPV6 | RECORD_NAT_IPV6;

	return field->parts == RECORD_ALWAYS || (field->parts & ~(is_v6 ? v4 : v6)) != 0;
}

/* In NetFlow v9 each text takes all of its width, and a record goes into one message (RFC 3954, 5). */
static uint32_t find_longest_message(const struct field_list *fields, bool is_v6)
{
	enum { HEADERS = 20 + 4, ALIGNMENT = 4 };
	uint32_t bytes = HEADERS;

	for (size_t i = 0; i < fields->count; i++) {
		const struct field *field = &field_table[field_list_translate(fields, i, false)];

		if (is_of_version(field, is_v6))
			bytes += fields->widths[i] ? fields->widths[i] : field->v9_width;
	}
	return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void check_widths(const struct config_exporter *exporter, const struct field_list *fields,
			 struct config_position place, struct config_mistakes *mistakes)
{
	uint32_t v4_bytes = find_longest_message(fields, false);
	uint32_t v6_bytes = find_longest_message(fields, true);
	uint32_t bytes = v4_bytes > v6_bytes ? v4_bytes : v6_bytes;

	if (bytes > exporter->max_message_bytes)
		config_mistakes_add(mistakes, place,
				    "exporters.template: a record needs a message of %u bytes, and "
				    "max_message is %u",
				    bytes, exporter->max_message_bytes);
}

/* A field of users' own template must have a number in the language; and one that every flow has,
 * for a record of nothing is none. */
static void check_template(const struct config_exporter *exporter,
			   const struct config_key_state *state, struct config_mistakes *mistakes)
{
	bool is_ipfix = exporter->type == CONFIG_EXPORTER_IPFIX, has_constant = false;
	struct field_list fields = {0};
	struct text wrong;

	if (!state->good || !field_list_is_one(exporter->template_name) ||
	    field_list_parse(&fields, exporter->template_name, &wrong) != 0)
		return;
	for (size_t i = 0; i < fields.count; i++) {
		const struct field *field =
			&field_table[field_list_translate(&fields, i, is_ipfix)];

		has_constant |= field->parts == RECORD_ALWAYS;
		if ((is_ipfix ? field->ipfix_id : field->v9_id) == 0)
			config_mistakes_add(mistakes, state->value,
					    "exporters.template: %s has no number in %s (it is in "
					    "json)",
					    field->name,
					    config_exporter_type_get_name(exporter->type));
	}
	if (exporter->type == CONFIG_EXPORTER_NETFLOW9)
		check_widths(exporter, &fields, state->value, mistakes);
	if (!has_constant)
		config_mistakes_add(mistakes, state->value,
				    "exporters.template: it needs a field that every flow has, "
				    "such as PROTOCOL");
}

static void check_records(const struct config_exporter *exporter,
			  const struct config_key_state *state, struct config_mistakes *mistakes)
{
	if (state->key.line && state->good && exporter->records & CONFIG_RECORDS_PROCESS &&
	    exporter->template_name && !config_exporter_takes_processes(exporter))
		config_mistakes_add(mistakes, state->value,
				    "exporters.records: records of processes come with the "
				    "template procflow only");
}

/* The spool's directory is called as the exporter. A name that was made up follows the place in the file:
 * another order there, and one collector would get what waits for another. */
static void check_spool(const struct config_exporter *exporter,
			const struct config_key_state *state, struct config_mistakes *mistakes)
{
	if (state->good && exporter->spool && *exporter->spool && !exporter->name)
		config_mistakes_add(mistakes, state->value,
				    "exporters.spool: it needs a name of the exporter (\"name: "
				    "...\"), what waits there is kept under it");
}

int config_check_exporter(struct config_exporter *exporter,
			  const struct config_key_state states[CONFIG_KEYS_MAX],
			  struct config_mistakes *mistakes)
{
	struct config_position place = {.line = exporter->line, .column = exporter->column};
	const struct config_key_state *type = find_state(states, "exporters", "type");
	const struct config_key_state *to = find_state(states, "exporters", "to");
	const struct config_exporter_kind *kind = config_exporter_kind_find(exporter->type);
	char types[64];

	if (!find_state(states, "exporters", "observation_domain")->key.line)
		exporter->observation_domain = CONFIG_DOMAIN_OPEN;
	/* A missing or wrong address must not pass for standard output later. */
	if (!to->good)
		exporter->to.transport = CONFIG_TRANSPORT_UDP;
	if (!type->key.line)
		config_mistakes_add(mistakes, place, "exporters: this one has no type (one of %s)",
				    list_types(~0u, types));
	if (!type->good)
		return 0;
	check_useless_keys(exporter, states, mistakes);
	if (exporter->type == CONFIG_EXPORTER_IPFIX || exporter->type == CONFIG_EXPORTER_NETFLOW9)
		check_template(exporter, find_state(states, "exporters", "template"), mistakes);
	check_records(exporter, find_state(states, "exporters", "records"), mistakes);
	if (!to->key.line && kind->default_to) {
		int r = config_exporter_complete_address(exporter);

		check_keys_of_transports(exporter, states, mistakes);
		return r;
	}
	if (!to->key.line)
		config_mistakes_add(mistakes, place, "exporters: type %s needs \"to: %s\"",
				    kind->name, kind->expected_to);
	else if (to->good && !(kind->transports & 1u << exporter->to.transport))
		config_mistakes_add(mistakes, to->value,
				    "exporters.to: type %s cannot go there (expected %s)",
				    kind->name, kind->expected_to);
	if (!to->good)
		return 0;
	check_keys_of_transports(exporter, states, mistakes);
	check_port(exporter, kind, to->value, mistakes);
	check_tls(exporter, place, mistakes);
	check_spool(exporter, find_state(states, "exporters", "spool"), mistakes);
	config_check_service(exporter, states, mistakes);
	return 0;
}

static bool share_name(const struct config_exporter *a, const struct config_exporter *b)
{
	return a->name && b->name && strcmp(a->name, b->name) == 0;
}

static bool share_standard_output(const struct config_exporter *a, const struct config_exporter *b)
{
	return a->to.transport == CONFIG_TRANSPORT_STDOUT && b->to.transport == a->to.transport;
}

static bool share_file(const struct config_exporter *a, const struct config_exporter *b)
{
	return a->to.path && b->to.path && strcmp(a->to.path, b->to.path) == 0;
}

static void check_pair(const struct config_exporter *a, const struct config_exporter *b,
		       struct config_mistakes *mistakes)
{
	struct config_position place = {.line = b->line, .column = b->column};
	char quoted[CONFIG_QUOTED_SIZE];

	if (share_name(a, b))
		config_mistakes_add(mistakes, place,
				    "exporters.name: %s is the name of the exporter on line %u "
				    "already",
				    config_quote(b->name, quoted), a->line);
	if (share_file(a, b) || share_standard_output(a, b))
		config_mistakes_add(mistakes, place,
				    "exporters.to: the exporter on line %u writes to %s already",
				    a->line, a->to.path ? "this file" : "standard output");
	if (config_exporter_shares_collector(a, b) &&
	    a->observation_domain == b->observation_domain &&
	    a->observation_domain != CONFIG_DOMAIN_OPEN)
		config_mistakes_add(mistakes, place,
				    "exporters.observation_domain: the exporter on line %u sends "
				    "under %u to this collector already",
				    a->line, a->observation_domain);
}

void config_check_exporters(const struct config *config, struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < config->exporter_count; i++)
		for (size_t j = 0; j < i; j++)
			check_pair(&config->exporters[j], &config->exporters[i], mistakes);
}
