/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"

/* The part of a long line that is shown, in characters, and how much of it stands before the caret.
 */
enum { SHOWN_CHARACTERS = 120, SHOWN_BEFORE = 60 };

void config_mistakes_init(struct config_mistakes *mistakes)
{
	*mistakes = (struct config_mistakes){.count = 0};
}

void config_mistakes_fini(struct config_mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->count; i++)
		free(mistakes->items[i].message);
	config_mistakes_init(mistakes);
}

bool config_mistakes_exist(const struct config_mistakes *mistakes)
{
	return mistakes->count > 0 || mistakes->failed;
}

bool config_mistakes_are_full(const struct config_mistakes *mistakes)
{
	return mistakes->count == CONFIG_MISTAKES_MAX;
}

static void add(struct config_mistakes *mistakes, struct config_mistake mistake, const char *format,
		va_list arguments)
{
	if (config_mistakes_are_full(mistakes)) {
		mistakes->not_listed++;
		return;
	}
	if (vasprintf(&mistake.message, format, arguments) < 0) {
		mistakes->failed = true;
		return;
	}
	mistake.number = (unsigned)mistakes->count;
	mistakes->items[mistakes->count++] = mistake;
}

void config_mistakes_add(struct config_mistakes *mistakes, struct config_position position,
			 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(mistakes, (struct config_mistake){.position = position}, format, arguments);
	va_end(arguments);
}

void config_mistakes_add_in_text(struct config_mistakes *mistakes, struct config_position position,
				 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(mistakes, (struct config_mistake){.position = position, .in_text = true}, format,
	    arguments);
	va_end(arguments);
}

static int compare(const void *a, const void *b)
{
	const struct config_mistake *x = a, *y = b;

	if (x->position.line != y->position.line)
		return x->position.line < y->position.line ? -1 : 1;
	if (x->in_text != y->in_text)
		return x->in_text ? -1 : 1;
	if (x->position.column != y->position.column)
		return x->position.column < y->position.column ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Walks through the source, a line at a time. */
struct line_walk {
	struct text rest;
	unsigned line; /* that "rest" starts with */
};

static struct text cut_line(struct line_walk *walk, size_t *ret_with_break)
{
	const char *at = walk->rest.at;
	size_t length = 0, left = walk->rest.length;

	while (length < left && at[length] != '\n' && at[length] != '\r')
		length++;
	*ret_with_break = length;
	if (length < left)
		*ret_with_break +=
			at[length] == '\r' && length + 1 < left && at[length + 1] == '\n' ? 2 : 1;
	return (struct text){.at = at, .length = length};
}

static struct text find_line(struct line_walk *walk, unsigned line)
{
	size_t with_break;
	struct text found = cut_line(walk, &with_break);

	while (walk->line < line && walk->rest.length > 0) {
		walk->rest.at += with_break;
		walk->rest.length -= with_break;
		walk->line++;
		found = cut_line(walk, &with_break);
	}
	return found;
}

static size_t skip_characters(struct text text, size_t count)
{
	size_t at = 0;

	for (; count > 0 && at < text.length; count--) {
		struct text rest = {.at = text.at + at, .length = text.length - at};
		size_t length = text_measure_character(rest);

		at += length ? length : 1;
	}
	return at;
}

static void write_spaces(struct buffer *out, size_t count)
{
	for (; count > 0; count--)
		buffer_add_byte(out, ' ');
}

/* A tab is one column for the caret, so it must be one on the screen. */
static void write_shown(struct buffer *out, struct text shown)
{
	for (size_t i = 0; i < shown.length; i++)
		buffer_add_byte(out, (uint8_t)(shown.at[i] == '\t' ? ' ' : shown.at[i]));
}

/* Whether a key that is a secret stands on the line: "password:", "sasl.password" :", but not
 * "password_file:". */
static bool shows_secret(struct text line)
{
	for (size_t i = 1; i < line.length; i++) {
		size_t length = i;

		if (line.at[i] != ':' && line.at[i] != '=')
			continue;
		while (length > 0 && strchr(" \t\"'", line.at[length - 1]))
			length--;
		if (config_options_is_secret((struct text){.at = line.at, .length = length}))
			return true;
	}
	return false;
}

static void write_line_and_caret(struct buffer *out, struct text line, size_t column)
{
	size_t before = column > SHOWN_BEFORE ? column - SHOWN_BEFORE : 0;
	size_t start = skip_characters(line, before);
	struct text shown = {.at = line.at + start, .length = line.length - start};
	bool cut_before = start > 0, cut_behind;
	size_t length = skip_characters(shown, SHOWN_CHARACTERS);

	if (shows_secret(line)) {
		buffer_add_text(out, "    (not shown: a secret)\n");
		return;
	}
	cut_behind = length < shown.length;
	shown.length = length;
	buffer_add_text(out, cut_before ? "    ..." : "    ");
	write_shown(out, shown);
	buffer_add_text(out, cut_behind ? "...\n" : "\n");
	write_spaces(out, (cut_before ? 7u : 4u) + column - 1 - before);
	buffer_add_text(out, "^\n");
}

static void write_name(struct buffer *out, const char *name)
{
	struct text text = text_from(name);
	void *room = buffer_extend(out, text.length);

	/* What is written is as long as the name: each bad byte becomes one '?', except C1 controls
	 * of two bytes, which is given back here. */
	if (room)
		out->length -= text.length - text_sanitise(text, room, text.length);
}

void config_mistakes_write(struct config_mistakes *mistakes, const char *name, struct text source,
			   struct buffer *out)
{
	struct line_walk walk = {.rest = source, .line = 1};
	unsigned line_with_wrong_text = 0;

	qsort(mistakes->items, mistakes->count, sizeof(mistakes->items[0]), compare);
	for (size_t i = 0; i < mistakes->count; i++) {
		const struct config_mistake *mistake = &mistakes->items[i];
		struct config_position position = mistake->position;

		if (position.line > 0 && position.line == line_with_wrong_text && !mistake->in_text)
			continue;
		write_name(out, name);
		if (position.line > 0)
			buffer_add_format(out, ":%u:%u", position.line, position.column);
		buffer_add_format(out, ": %s\n", mistake->message);
		if (position.line > 0)
			write_line_and_caret(out, find_line(&walk, position.line), position.column);
		if (mistake->in_text)
			line_with_wrong_text = position.line;
	}
	if (mistakes->not_listed > 0) {
		write_name(out, name);
		buffer_add_format(out, ": %zu more mistakes\n", mistakes->not_listed);
	}
}

const char *config_quote(const char *value, char quoted[CONFIG_QUOTED_SIZE])
{
	enum { ROOM = CONFIG_QUOTED_SIZE - 6 }; /* two quotes, three dots, NUL */
	size_t given = strlen(value);
	size_t length = text_sanitise(text_from(value), quoted + 1, ROOM);

	quoted[0] = '"';
	strcpy(quoted + 1 + length, given > ROOM ? "...\"" : "\"");
	return quoted;
}
