/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/manual.h"

#include <ctype.h>
#include <string.h>

#include "config/keys.h"

/* mdoc takes a dot or an apostrophe at the beginning of a line for a request, and a backslash for an
 * escape (mdoc(7), "MACRO SYNTAX"; roff(7)). */
static void write_text(struct buffer *out, const char *text)
{
	bool at_start = true;

	for (const char *at = text; *at; at++) {
		if (at_start && (*at == '.' || *at == '\''))
			buffer_add_text(out, "\\&");
		if (*at == ' ' && at > text && strchr(".:", at[-1]) &&
		    isupper((unsigned char)at[1])) {
			buffer_add_byte(out, '\n'); /* a new sentence, for roff(7) */
			continue;
		}
		if (*at == '\\')
			buffer_add_text(out, "\\e");
		else if (*at == '-')
			buffer_add_text(out, "\\-");
		else
			buffer_add_byte(out, (uint8_t)*at);
		at_start = *at == '\n';
	}
	buffer_add_byte(out, '\n');
}

static const char *const type_names[CONFIG_KEY_TYPES] = {
	[CONFIG_KEY_DURATION] = "duration",
	[CONFIG_KEY_SIZE] = "size",
	[CONFIG_KEY_COUNT] = "count",
	[CONFIG_KEY_BOOL] = "true | false",
	[CONFIG_KEY_NETWORKS] = "[network]",
	[CONFIG_KEY_TEXT] = "text",
	[CONFIG_KEY_PATH] = "path",
	[CONFIG_KEY_ADDRESS] = "address",
	[CONFIG_KEY_LISTEN] = "address:port",
	[CONFIG_KEY_OPTIONS] = "mapping",
	[CONFIG_KEY_ARGUMENTS] = "[text ...]",
	[CONFIG_KEY_TEMPLATE] = "template | fields",
};

/* What may stand behind the name. */
static void write_value(struct buffer *out, const struct config_key *key)
{
	const char *name = type_names[key->type];

	if (!key->words || key->type == CONFIG_KEY_TEMPLATE) {
		buffer_add_format(out, ".It Cm %s : Ar %s\n", key->name, name ? name : "value");
		return;
	}
	buffer_add_format(out, ".It Cm %s : Ar %s", key->name,
			  key->type == CONFIG_KEY_WORDS ? "[ " : "");
	for (const struct config_word *word = key->words; word->name; word++)
		buffer_add_format(out, "%s%s", word == key->words ? "" : " | ", word->name);
	buffer_add_text(out, key->type == CONFIG_KEY_WORDS ? " ...]\n" : "\n");
}

static void write_exporter_types(struct buffer *out, const struct config_key *key)
{
	const char *before = "Of the types";

	if (!key->only_for)
		return;
	for (const struct config_word *word = config_key_find("exporters", "type")->words;
	     word->name; word++) {
		if (!(key->only_for & 1u << word->value))
			continue;
		buffer_add_format(out, "%s\n.Cm %s", before, word->name);
		before = "\nand";
	}
	buffer_add_text(out, "\nonly.\n");
}

static void write_transports(struct buffer *out, const struct config_key *key)
{
	const char *before = "To";

	for (unsigned i = 0; key->only_to >> i; i++) {
		if (!(key->only_to & 1u << i))
			continue;
		buffer_add_format(out, "%s\n.Cm %s", before, config_transport_get_name(i));
		before = "\nand";
	}
	if (key->only_to)
		buffer_add_text(out, "\nonly.\n");
}

/* The default and the limits, as one sentence. */
static void write_limits(struct buffer *out, const struct config_key *key)
{
	if (key->default_text)
		buffer_add_format(out, "Default:\n.Ql %s%s\n", key->default_text,
				  key->least ? " ;" : " .");
	if (key->least)
		buffer_add_format(out, "%s %s to %s%s%s.\n", key->default_text ? "from" : "From",
				  key->least, key->most, key->unit ? " " : "",
				  key->unit ? key->unit : "");
}

static void write_section(struct buffer *out, const struct config_section *section)
{
	buffer_add_format(out, ".Ss %s\n", section->name);
	write_text(out, section->comment);
	buffer_add_text(out, ".Bl -tag -width 4n\n");
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (strcmp(key->section, section->name) != 0)
			continue;
		write_value(out, key);
		write_text(out, key->comment);
		write_exporter_types(out, key);
		write_transports(out, key);
		write_limits(out, key);
	}
	buffer_add_text(out, ".El\n");
}

static const char head[] =
	".\\\" SPDX-License-Identifier: GPL-2.0-or-later\n"
	".\\\" Written from the table of keys (daemon/config/keys.c).\n"
	".Dd November 24, 2026\n"
	".Dt PROCFLOW.YAML 5\n"
	".Os procflow\n"
	".Sh NAME\n"
	".Nm procflow.yaml\n"
	".Nd configuration of procflowd\n"
	".Sh SYNOPSIS\n"
	".Pa " PROCFLOW_SYSCONFDIR "/procflow/procflow.yaml\n"
	".Sh DESCRIPTION\n"
	"The file is YAML: sections with keys, and a list of exporters.\n"
	"Every key has a default; what is left out stays so, and an empty file, or none, is a\n"
	"configuration: flows go to\n"
	".Pa /var/log/procflow/flows.json .\n"
	".Pp\n"
	"Durations take\n"
	".Ql ms ,\n"
	".Ql s ,\n"
	".Ql m ,\n"
	".Ql h\n"
	"and\n"
	".Ql d ;\n"
	"sizes\n"
	".Ql k ,\n"
	".Ql M ,\n"
	".Ql G\n"
	"(of 1000) and\n"
	".Ql KiB ,\n"
	".Ql MiB ,\n"
	".Ql GiB\n"
	"(of 1024).\n"
	".Ql procflowd \\-t\n"
	"shows every mistake with its line and column.\n"
	".Sh KEYS\n";

static const char tail[] = ".Sh FILES\n"
			   ".Bl -tag -width Ds\n"
			   ".It Pa " PROCFLOW_SYSCONFDIR "/procflow/procflow.yaml\n"
			   "The configuration, installed with every key at its default.\n"
			   ".El\n"
			   ".Sh EXAMPLES\n"
			   "To a collector that speaks IPFIX, and to a file beside it:\n"
			   ".Bd -literal -offset indent\n"
			   "exporters:\n"
			   "  - type: ipfix\n"
			   "    to: udp://192.0.2.1:4739\n"
			   "  - type: json\n"
			   "    to: file:///var/log/procflow/flows.json\n"
			   ".Ed\n"
			   ".Sh SEE ALSO\n"
			   ".Xr procflow 1 ,\n"
			   ".Xr procflowd 8\n";

void config_write_manual(struct buffer *out)
{
	buffer_add_text(out, head);
	for (size_t i = 0; i < config_section_count; i++)
		write_section(out, &config_sections[i]);
	buffer_add_text(out, tail);
}
