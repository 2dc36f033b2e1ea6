/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Writes a file that readers find whole, old or new: under another name (PATH.PID, no symbolic link is
 * followed), then rename(2). It is not forced to the disk. Blocks as long as the file system does. 0 or a
 * negative errno; then the old file is as it was. */
int whole_file_write(const char *path, const void *bytes, size_t length, mode_t mode);
