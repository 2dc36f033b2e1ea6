/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/source.h"

#include <errno.h>
#include <string.h>

struct cleaning {
	struct config_source *source;
	struct config_mistakes *mistakes;
	struct config_position position;
	bool in_indentation;
	bool line_is_bad, line_has_tab; /* told once a line */
};

static void add(struct cleaning *cleaning, const char *bytes, size_t length)
{
	buffer_add(&cleaning->source->shown, bytes, length);
	buffer_add(&cleaning->source->parsed, bytes, length);
}

static uint32_t decode(struct text character)
{
	static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	const uint8_t *at = (const uint8_t *)character.at;
	uint32_t value = at[0] & first_bits[character.length];

	for (size_t i = 1; i < character.length; i++)
		value = value << 6 | (at[i] & 0x3f);
	return value;
}

/* Why a character may not stand in the file, or NULL: controls; what YAML takes for line breaks and
 * editors do not; byte order marks and non-characters (YAML 1.1, 5.1); and what turns the direction
 * of writing, which would show a reader another file than the one that is read. */
static const char *find_fault(uint32_t value)
{
	if (value < 0x20 || (value >= 0x7f && value < 0xa0))
		return "control character";
	if (value == 0x2028 || value == 0x2029)
		return "line separator";
	if ((value >= 0x202a && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069))
		return "character that changes the direction of writing,";
	if (value >= 0xfffe && value <= 0xffff)
		return "not a character:";
	return value == 0xfeff ? "byte order mark" : NULL;
}

static void start_line(struct cleaning *cleaning)
{
	cleaning->position.line++;
	cleaning->position.column = 0;
	cleaning->in_indentation = true;
	cleaning->line_is_bad = false;
	cleaning->line_has_tab = false;
}

static void replace_bad(struct cleaning *cleaning, struct text character)
{
	if (!cleaning->line_is_bad && character.length == 0)
		config_mistakes_add_in_text(cleaning->mistakes, cleaning->position,
					    "byte 0x%02X is not UTF-8 text",
					    (unsigned)(uint8_t)character.at[0]);
	else if (!cleaning->line_is_bad)
		config_mistakes_add_in_text(cleaning->mistakes, cleaning->position,
					    "%s U+%04X is not allowed",
					    find_fault(decode(character)), decode(character));
	cleaning->line_is_bad = true;
	add(cleaning, "?", 1);
}

static void replace_tab(struct cleaning *cleaning)
{
	if (!cleaning->line_has_tab)
		config_mistakes_add_in_text(cleaning->mistakes, cleaning->position,
					    "tab in the indentation: YAML wants spaces there");
	cleaning->line_has_tab = true;
	buffer_add_byte(&cleaning->source->shown, ' ');
	buffer_add_byte(&cleaning->source->parsed, '#');
}

/* Takes one character off the front. */
static void clean_character(struct cleaning *cleaning, struct text *rest)
{
	size_t length = text_measure_character(*rest);
	struct text character = {.at = rest->at, .length = length};
	char first = rest->at[0];

	rest->at += length ? length : 1;
	rest->length -= length ? length : 1;
	cleaning->position.column++;
	if (first == '\n' || first == '\r') {
		add(cleaning, &first, 1);
		if (first == '\n' || rest->length == 0 || rest->at[0] != '\n')
			start_line(cleaning);
		return;
	}
	if (first == '\t' && cleaning->in_indentation) {
		replace_tab(cleaning);
		return;
	}
	if (first != ' ')
		cleaning->in_indentation = false;
	if (length == 0 || (first != '\t' && find_fault(decode(character))))
		replace_bad(cleaning, character);
	else
		add(cleaning, character.at, length);
}

int config_source_init(struct config_source *source, struct text raw,
		       struct config_mistakes *mistakes)
{
	struct cleaning cleaning = {.source = source, .mistakes = mistakes};

	buffer_init(&source->shown);
	buffer_init(&source->parsed);
	if (raw.length >= 3 && memcmp(raw.at, "\xef\xbb\xbf", 3) == 0) {
		raw.at += 3;
		raw.length -= 3;
	}
	start_line(&cleaning);
	while (raw.length > 0)
		clean_character(&cleaning, &raw);
	return source->shown.failed || source->parsed.failed ? -ENOMEM : 0;
}

void config_source_fini(struct config_source *source)
{
	buffer_fini(&source->shown);
	buffer_fini(&source->parsed);
}
