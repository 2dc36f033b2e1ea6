/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/buffer.h"
#include "config/config.h"

/* Reads the YAML file "path" over the defaults. Every mistake is added to "mistakes" as text for
 * people: "FILE:LINE:COLUMN: message", the line, a caret. A file that does not exist or is empty
 * gives the defaults when "must_exist" is false. One that others than its owner (and root's group) may
 * write, or replace in its directory, is a mistake.
 *
 * 0 and *ret (the caller's) when there is none; -EINVAL when there are some; -ENOMEM. */
int config_read_file(const char *path, bool must_exist, struct config **ret,
		     struct buffer *mistakes);

/* The same from text in memory; "name" stands for the file. */
int config_read_text(const char *name, const char *text, size_t length, struct config **ret,
		     struct buffer *mistakes);

/* Writes the commented example file that shows every key with its default (conf/procflow.yaml is
 * this text, and a test holds the two together). */
void config_write_example(struct buffer *out);
