/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/services/elastic_index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "export/ecs.h"
#include "export/elastic_type.h"
#include "flow/process_field.h"

/* "@timestamp" is the first or the second key of a line. */
enum { LOOKED_AT = 96 };

int elastic_index_format(const char *pattern, const uint8_t *document, size_t length,
			 char ret[ELASTIC_INDEX_NAME_SIZE])
{
	static const char key[] = "\"@timestamp\":\"";
	struct tm time = {0};
	char text[sizeof("2026-11-24T00:00:00")] = "";
	const uint8_t *at;

	at = memmem(document, length < LOOKED_AT ? length : LOOKED_AT, key, sizeof(key) - 1);
	if (!at || (size_t)(document + length - at) < sizeof(key) - 1 + sizeof(text) - 1)
		return -EBADMSG;
	memcpy(text, at + sizeof(key) - 1, sizeof(text) - 1);
	if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &time))
		return -EBADMSG;
	return strftime(ret, ELASTIC_INDEX_NAME_SIZE, pattern, &time) > 0 ? 0 : -ENAMETOOLONG;
}

void elastic_index_make_wildcard(const char *pattern, char ret[ELASTIC_INDEX_NAME_SIZE])
{
	size_t length = strcspn(pattern, "%");

	snprintf(ret, ELASTIC_INDEX_NAME_SIZE, "%.*s%s", (int)length, pattern,
		 pattern[length] ? "*" : "");
}

/* A term of Lucene's has at most 32766 bytes; a longer text would cost the whole document. */
#define KEYWORD "{\"type\":\"keyword\",\"ignore_above\":8191}"

struct properties {
	struct buffer *out;
	bool has_some;
};

static void add_property(struct properties *properties, const char *object, const char *key,
			 const char *type, const char *format)
{
	struct buffer *out = properties->out;

	buffer_add_format(out, "%s\n\"%s%s%s\":", properties->has_some ? "," : "", object,
			  *object ? "." : "", key);
	properties->has_some = true;
	if (strcmp(type, "keyword") == 0)
		buffer_add_text(out, KEYWORD);
	else if (format)
		buffer_add_format(out, "{\"type\":\"%s\",\"format\":\"%s\"}", type, format);
	else
		buffer_add_format(out, "{\"type\":\"%s\"}", type);
}

static void on_ecs_name(void *userdata, const char *object, const char *key, const char *type)
{
	add_property(userdata, object, key, type, NULL);
}

/* Those of processes that a flow has too have the same type there. */
static bool is_of_flows(const struct field *field)
{
	return field_find(text_from(field->name)) != FIELD_COUNT;
}

static void add_catalogue(struct properties *properties)
{
	add_property(properties, "", "@timestamp", "date", NULL);
	add_property(properties, "", "RECORD_TYPE", "keyword", NULL);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		struct elastic_type type = elastic_type_of(&field_table[i]);

		if (field_table[i].sets & FIELD_SET_JSON)
			add_property(properties, "", field_table[i].name, type.name, type.format);
	}
	for (size_t i = 0; i < PROCESS_FIELD_COUNT; i++) {
		const struct field *field = &process_field_table[i];
		struct elastic_type type = elastic_type_of(field);

		if (!is_of_flows(field))
			add_property(properties, "", field->name, type.name, type.format);
	}
}

void elastic_index_add_template(struct buffer *out, const struct elastic_index_template *options)
{
	struct properties properties = {.out = out};
	char wildcard[ELASTIC_INDEX_NAME_SIZE];

	elastic_index_make_wildcard(options->pattern, wildcard);
	buffer_add_format(out, "{\"index_patterns\":[\"%s\"],\"priority\":200,\n%s", wildcard,
			  options->is_data_stream ? "\"data_stream\":{},\n" : "");
	buffer_add_text(out, "\"_meta\":{\"description\":\"flows and their processes, by "
			     "procflow\"},\n\"template\":{\"mappings\":{\"date_detection\":false,\n"
			     "\"dynamic_templates\":[{\"texts\":{\"match_mapping_type\":\"string\","
			     "\"mapping\":" KEYWORD "}}],\n\"properties\":{");
	if (options->is_ecs)
		ecs_list_names(on_ecs_name, &properties);
	else
		add_catalogue(&properties);
	buffer_add_text(out, "\n}}}}\n");
}
