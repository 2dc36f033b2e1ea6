/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/table.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { GAP = 1, NARROWEST = 6 };

struct table {
	const struct table_column *columns;
	size_t column_count;
	char **texts; /* row by row */
	size_t row_count, row_room;
};

struct table *table_new(const struct table_column *columns, size_t count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table)
		*table = (struct table){.columns = columns, .column_count = count};
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->row_count * table->column_count; i++)
		free(table->texts[i]);
	free(table->texts);
	free(table);
}

static int make_room(struct table *table)
{
	size_t room = table->row_room ? table->row_room * 2 : 64;
	char **texts;

	if (table->row_count < table->row_room)
		return 0;
	texts = reallocarray(table->texts, room * table->column_count, sizeof(*texts));
	if (!texts)
		return -ENOMEM;
	table->texts = texts;
	table->row_room = room;
	return 0;
}

int table_add(struct table *table, const char *const *texts)
{
	char **row;

	if (make_room(table) < 0)
		return -ENOMEM;
	row = table->texts + table->row_count * table->column_count;
	for (size_t i = 0; i < table->column_count; i++) {
		row[i] = strdup(texts[i] ? texts[i] : "");
		if (!row[i]) {
			while (i > 0)
				free(row[--i]);
			return -ENOMEM;
		}
	}
	table->row_count++;
	return 0;
}

/* Bytes of "text" that fit into "width" places, and the places that they take. */
static size_t fit(const char *text, size_t width, size_t *ret_places)
{
	mbstate_t state = {0};
	size_t taken = 0, places = 0;

	while (text[taken] != '\0') {
		wchar_t character;
		size_t length = mbrtowc(&character, text + taken, MB_CUR_MAX, &state);
		int wide = 1;

		if (length == (size_t)-1 || length == (size_t)-2) {
			length = 1; /* not of this locale: one place a byte */
			state = (mbstate_t){0};
		} else {
			wide = wcwidth(character);
		}
		if (wide < 0)
			wide = 1;
		if (places + (size_t)wide > width)
			break;
		places += (size_t)wide;
		taken += length;
	}
	*ret_places = places;
	return taken;
}

size_t table_measure(const char *text)
{
	size_t places;

	fit(text, SIZE_MAX / 2, &places);
	return places;
}

static void measure(const struct table *table, size_t *widths)
{
	for (size_t i = 0; i < table->column_count; i++)
		widths[i] = table_measure(table->columns[i].title);
	for (size_t i = 0; i < table->row_count * table->column_count; i++) {
		size_t width = table_measure(table->texts[i]);

		if (width > widths[i % table->column_count])
			widths[i % table->column_count] = width;
	}
}

/* Takes from the widest flexible column, place by place, until all fit or none can give more. */
static void shrink(const struct table *table, size_t *widths, size_t width)
{
	size_t total = 0;

	for (size_t i = 0; i < table->column_count; i++)
		total += widths[i] + (i > 0 ? GAP : 0);
	while (total > width) {
		size_t widest = SIZE_MAX;

		for (size_t i = 0; i < table->column_count; i++)
			if (table->columns[i].is_flexible && widths[i] > NARROWEST &&
			    (widest == SIZE_MAX || widths[i] > widths[widest]))
				widest = i;
		if (widest == SIZE_MAX)
			return;
		widths[widest]--;
		total--;
	}
}

static void print_cell(FILE *out, const struct table_column *column, const char *text, size_t width,
		       bool is_last)
{
	size_t places, length = fit(text, width, &places);
	bool is_cut = text[length] != '\0' && width > 0;

	if (is_cut)
		length = fit(text, width - 1, &places);
	places += is_cut;
	if (column->is_right)
		fprintf(out, "%*s", (int)(width - places), "");
	fprintf(out, "%.*s%s", (int)length, text, is_cut ? "~" : "");
	if (!column->is_right && !is_last)
		fprintf(out, "%*s", (int)(width - places), "");
}

static void print_row(const struct table *table, FILE *out, const char *const *texts,
		      const size_t *widths)
{
	for (size_t i = 0; i < table->column_count; i++) {
		bool is_last = i + 1 == table->column_count;

		print_cell(out, &table->columns[i], texts ? texts[i] : table->columns[i].title,
			   widths[i], is_last);
		if (!is_last)
			fprintf(out, "%*s", GAP, "");
	}
}

void table_print(const struct table *table, FILE *out, unsigned width, bool has_colours)
{
	size_t *widths = calloc(table->column_count, sizeof(*widths));

	if (!widths)
		return;
	measure(table, widths);
	if (width > 0)
		shrink(table, widths, width);
	fputs(has_colours ? "\x1b[1m" : "", out);
	print_row(table, out, NULL, widths);
	fputs(has_colours ? "\x1b[0m\n" : "\n", out);
	for (size_t i = 0; i < table->row_count; i++) {
		print_row(table, out,
			  (const char *const *)(void *)(table->texts + i * table->column_count),
			  widths);
		fputc('\n', out);
	}
	free(widths);
}
