/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Reads a small file of /proc or /sys, whose text the kernel makes at the moment of the read: one
 * read(2), and a NUL behind it. "path" is relative to "directory_fd" (or absolute). What does not fit
 * into size - 1 bytes is left out. The length, or a negative errno. */
ssize_t procfs_read_text(int directory_fd, const char *path, char *text, size_t size);
