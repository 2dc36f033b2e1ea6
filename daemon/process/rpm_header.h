/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The header of a package as rpm keeps it in its database: an index of tags and their data, all in network
 * byte order (rpm's docs/manual/format_header.md). Name and paths are all that is read. */

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct rpm_header {
	struct text name;
	/* Texts that end with NUL one behind the other, and for each file the number of its directory. */
	struct text directories, files;
	const uint8_t *directory_numbers;
	size_t directory_count, file_count;
};

/* Borrows from "bytes". 0, or -EBADMSG where it is not a header or has no name. Without files the counts
 * are 0. */
int rpm_header_parse(const void *bytes, size_t length, struct rpm_header *ret);

/* "on_path" is told of each file, its directory with the slash at its end; what it returns below 0 ends it
 * and is returned. Files whose directory does not exist are left out. 0 or a negative errno. */
typedef int (*rpm_header_on_path)(void *userdata, struct text directory, struct text file);
int rpm_header_walk(const struct rpm_header *header, rpm_header_on_path on_path, void *userdata);
