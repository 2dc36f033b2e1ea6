/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Passwords and keys, from files that others cannot read. They are never told to the log. */

#include <stddef.h>

/* Reads the first line of the file, at most size - 1 bytes of it, into "ret" with a NUL; the rest
 * must be empty. 0; -EPERM: others than its owner and group may read it, or others than its owner
 * write it; -EINVAL: it is no regular file, empty, or has a NUL or several lines; -EFBIG; another
 * negative errno of open(2) or read(2). */
int secret_read(const char *path, char *ret, size_t size);

/* What such an error means, for people: "others may read it (chmod o= FILE)". */
const char *secret_describe(int error);
