/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* Raises RLIMIT_NOFILE of this process to its hard limit, "most" at the most; it never lowers it. What
 * select(2) cannot hold is no matter: nothing here uses it. 0, with the limit that holds now; a
 * negative errno. */
int open_files_raise(uint64_t most, uint64_t *ret_limit);
