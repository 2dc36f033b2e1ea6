/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Rows under titles, for people: columns as wide as they must be, and where the terminal is narrower,
 * the flexible ones are cut (with "~" at the cut). */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

struct table_column {
	const char *title;
	bool is_right;	  /* numbers */
	bool is_flexible; /* may be cut */
};

/* "columns" is borrowed for life. NULL when memory ran out. */
struct table *table_new(const struct table_column *columns, size_t count);
/* Accepts NULL. */
void table_free(struct table *table);

/* One row: as many texts as columns, copied; NULL: empty. 0 or -ENOMEM. */
int table_add(struct table *table, const char *const *texts);

/* "width" 0: nothing is cut. With "has_colours" the titles are bold. */
void table_print(const struct table *table, FILE *out, unsigned width, bool has_colours);

/* How wide a text is on a terminal, in the locale's characters. */
size_t table_measure(const char *text);
