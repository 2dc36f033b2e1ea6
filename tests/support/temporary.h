/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A directory for one test, below /tmp. */

#include <stdbool.h>
#include <stddef.h>

/* Its path, to be given back to temporary_remove(). */
char *temporary_make(void);
/* Removes it with all that it holds, and frees the path. Accepts NULL. */
void temporary_remove(char *path);

/* Below "directory": writes the file "name" with its parent directories. */
void temporary_write(const char *directory, const char *name, const char *text);
/* Its content, NUL-ended and to be freed, or NULL where there is none. */
char *temporary_read(const char *directory, const char *name);
bool temporary_has(const char *directory, const char *name);
