/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The characters of a configuration file, before anything is made of them. */

#include "base/buffer.h"
#include "base/text.h"
#include "config/mistakes.h"

/* The text as it is shown to people and as it is parsed: equal but for lines that tabs indent,
 * which are comments for the parser, so that one of them does not hide the mistakes behind it. */
struct config_source {
	struct buffer shown, parsed;
};

/* Takes "raw" over without what YAML or a terminal must not see, one character for one, so that
 * positions stay: bytes that are not UTF-8, control characters and the like become '?', a tab in
 * the indentation a space; each line that held such is a mistake. A byte order mark at the start is
 * left out. 0, or -ENOMEM. */
int config_source_init(struct config_source *source, struct text raw,
		       struct config_mistakes *mistakes);
void config_source_fini(struct config_source *source);

static inline struct text config_source_view(const struct buffer *buffer)
{
	return (struct text){.at = (const char *)buffer->bytes, .length = buffer->length};
}
