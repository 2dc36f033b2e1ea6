/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/keys.h"
#include "config/reader.h"

#include <string.h>

/* How the lines of a key begin: two spaces, or for an exporter that is only shown, a "#" too. */
struct layout {
	const char *comment, *first, *other;
};

enum { TLS = 1u << CONFIG_TRANSPORT_TLS };

static const struct layout of_section = {"  # ", "  ", "  "};
static const struct layout of_exporter = {"    # ", "  - ", "    "};
static const struct layout of_shown_exporter = {"  #   # ", "  # - ", "  #   "};

/* The comment may have several lines. */
static void write_comment(struct buffer *out, const char *start, const char *comment)
{
	while (*comment) {
		size_t length = strcspn(comment, "\n");

		buffer_add_format(out, "%s%.*s\n", start, (int)length, comment);
		comment += length + (comment[length] == '\n');
	}
}

static void write_choices(struct buffer *out, const char *start, const struct config_key *key)
{
	if (key->least)
		buffer_add_format(out, "%sFrom %s to %s%s%s.\n", start, key->least, key->most,
				  key->unit ? " " : "", key->unit ? key->unit : "");
	if (!key->words)
		return;
	buffer_add_text(out, start);
	for (const struct config_word *word = key->words; word->name; word++)
		buffer_add_format(out, "%s%s", word == key->words ? "" : " | ", word->name);
	buffer_add_byte(out, '\n');
}

/* What has a use for some transports only, or no default, is shown as a comment. */
static void write_key(struct buffer *out, const struct layout *layout, bool is_first,
		      const struct config_key *key, const char *value)
{
	buffer_add_format(out, "%s%s%s: %s\n", is_first ? layout->first : layout->other,
			  key->only_to || key->example_text ? "# " : "", key->name, value);
}

static bool has_use(const struct config_key *key, const struct config_exporter_kind *kind)
{
	return (!key->only_for || key->only_for & 1u << kind->type) &&
	       (!key->only_to || key->only_to & kind->transports);
}

static void write_section(struct buffer *out, const struct config_section *section)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (strcmp(key->section, section->name) != 0)
			continue;
		write_comment(out, of_section.comment, key->comment);
		write_choices(out, of_section.comment, key);
		write_key(out, &of_section, false, key,
			  key->default_text ? key->default_text : key->example_text);
	}
}

/* One exporter with all keys of its type. Comments stand only where the first one, which is in
 * force, has no such key. */
static void write_exporter(struct buffer *out, const struct config_exporter_kind *kind,
			   const char *name, bool is_shown_only)
{
	const struct layout *layout = is_shown_only ? &of_shown_exporter : &of_exporter;
	bool is_first = true;

	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		const char *value = key->default_text;

		if (!config_key_is_of_exporter(key) || !has_use(key, kind))
			continue;
		if (!value)
			value = key->example_text;
		if (!value)
			value = strcmp(key->name, "name") == 0	 ? name
				: strcmp(key->name, "type") == 0 ? kind->name
								 : kind->example_to;
		if (!is_shown_only || key->only_for || (key->only_to & TLS)) {
			write_comment(out, layout->comment, key->comment);
			write_choices(out, layout->comment, key);
		}
		write_key(out, layout, is_first, key, value);
		is_first = false;
	}
}

static void write_exporters(struct buffer *out)
{
	write_exporter(out, config_exporter_kind_find(CONFIG_EXPORTER_JSON), "json", false);
	buffer_add_text(out, "\n  # A second one, to a collector that speaks IPFIX (netflow9 takes "
			     "the same keys):\n");
	write_exporter(out, config_exporter_kind_find(CONFIG_EXPORTER_IPFIX), "collector", true);
	buffer_add_text(out, "\n  # To Elasticsearch or OpenSearch:\n");
	write_exporter(out, config_exporter_kind_find(CONFIG_EXPORTER_ELASTICSEARCH), "search",
		       true);
	buffer_add_text(out, "\n  # To Kafka:\n");
	write_exporter(out, config_exporter_kind_find(CONFIG_EXPORTER_KAFKA), "bus", true);
	buffer_add_text(out, "\n  # To ntopng, which has -i tcp://PROBE:5556:\n");
	write_exporter(out, config_exporter_kind_find(CONFIG_EXPORTER_ZMQ), "ntopng", true);
}

void config_write_example(struct buffer *out)
{
	buffer_add_text(
		out,
		"# The configuration of procflowd, with every key at its default: what is left "
		"out stays so.\n"
		"# Durations take ms, s, m, h, d; sizes k, M, G (1000) and KiB, MiB, GiB (1024).\n"
		"# \"procflowd -t -c FILE\" shows every mistake; SIGHUP reads the file again.\n");
	for (size_t i = 0; i < config_section_count; i++) {
		const struct config_section *section = &config_sections[i];

		buffer_add_format(out, "\n# %s\n%s:\n", section->comment, section->name);
		if (section->is_exporters)
			write_exporters(out);
		else
			write_section(out, section);
	}
}
