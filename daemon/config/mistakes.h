/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The mistakes found in one configuration file: collected in any order, written in the file's. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/text.h"

/* So many are written, the others are counted. */
enum { CONFIG_MISTAKES_MAX = 100 };

/* Counted from 1, in characters; line 0 is the file as a whole. */
struct config_position {
	unsigned line, column;
};

struct config_mistake {
	struct config_position position;
	unsigned number; /* in the order found */
	bool in_text;	 /* the characters are wrong: what they may mean is not told in addition */
	char *message;
};

struct config_mistakes {
	struct config_mistake items[CONFIG_MISTAKES_MAX];
	size_t count, not_listed;
	bool failed; /* memory ran out */
};

void config_mistakes_init(struct config_mistakes *mistakes);
void config_mistakes_fini(struct config_mistakes *mistakes);

/* Whether there is any; also true when memory ran out. */
bool config_mistakes_exist(const struct config_mistakes *mistakes);
/* Whether more would only be counted: guards costly arguments. */
bool config_mistakes_are_full(const struct config_mistakes *mistakes);

void config_mistakes_add(struct config_mistakes *mistakes, struct config_position position,
			 const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for wrong characters. */
void config_mistakes_add_in_text(struct config_mistakes *mistakes, struct config_position position,
				 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Writes all of them: "NAME:LINE:COLUMN: message", the line out of "source" (the
 * shown text of struct config_source), a caret. Nothing that is written can steer a terminal. */
void config_mistakes_write(struct config_mistakes *mistakes, const char *name, struct text source,
			   struct buffer *out);

/* The text of a value for a message: without control characters, quoted, cut when long. */
enum { CONFIG_QUOTED_SIZE = 80 };
const char *config_quote(const char *value, char quoted[CONFIG_QUOTED_SIZE]);
