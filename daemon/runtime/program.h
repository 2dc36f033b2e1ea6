/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A program that runs as our child, and what it writes. No shell; it is looked for in PATH where its name
 * has no slash. It leads a process group of its own, dies with us however we die (PR_SET_PDEATHSIG), and
 * its standard input is /dev/null. */

#include <stdbool.h>
#include <stddef.h>

#include "runtime/loop.h"

struct program;

struct program_handlers {
	/* What it wrote to standard output, or to standard error, in pieces of any size. */
	void (*on_output)(void *userdata, const char *bytes, size_t length);
	void (*on_complaint)(void *userdata, const char *bytes, size_t length);
	/* It has ended, and all that it wrote was told. "status" as wait(2) gives it. The program may be
	 * freed from here. */
	void (*on_end)(void *userdata, int status);
	void *userdata;
};

/* "arguments" ends with NULL. 0; what execvp(3) says where it cannot be run (-ENOENT, -EACCES); another
 * negative errno. Waits until the program has begun. */
int program_start(struct loop *loop, char *const *arguments,
		  const struct program_handlers *handlers, struct program **ret);
/* Kills it and its group if it still runs. Accepts NULL. */
void program_free(struct program *program);
