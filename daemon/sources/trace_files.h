/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Files of the kernel's tracefs. It is mounted on most hosts; where it is not, an instance of it is
 * opened that hangs nowhere in the tree, so that nothing is left on the host. */

#include <stddef.h>

/* A descriptor of tracefs' root directory for the caller to close, or a negative errno (-EPERM:
 * needs CAP_SYS_ADMIN or a mounted tracefs; -ENODEV: not built into this kernel). */
int trace_files_open(int *ret_directory_fd);

/* The whole text of a small file below "directory_fd", with a NUL behind it, for the caller to
 * free. 0 or a negative errno; -EFBIG above 64 KiB. */
int trace_files_read(int directory_fd, const char *path, char **ret_text, size_t *ret_length);
