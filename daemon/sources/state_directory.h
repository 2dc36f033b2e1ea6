/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The directory where the daemon keeps what must outlive it (/var/lib/procflow). It is in use by
 * one daemon at a time, whatever network namespace that runs in: a lock on its file "lock" says so
 * and goes with the process. Inside it no symbolic link is followed and nothing but regular files
 * is opened. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct state_directory {
	int fd;	  /* -1: not open */
	int lock; /* its lock file */
};

/* $STATE_DIRECTORY, which the service manager sets, or the usual one. */
const char *state_directory_get_path(void);

/* Whether it could be opened, leaving nothing behind (a directory is made in it, or in the nearest parent that
 * there is, and removed). 0; STATE_DIRECTORY_ABSENT: it would be made; -EBUSY where another process holds it; or
 * another negative errno. */
enum { STATE_DIRECTORY_ABSENT = 1 };
int state_directory_check(const char *path);

/* Makes it, and its parents, with mode 0750 where they are not there, and locks it. 0; -EBUSY where
 * another process holds it; or another negative errno (-EROFS, -ENOTDIR, -EACCES, -ELOOP: "lock" is
 * a symbolic link). */
int state_directory_open(const char *path, struct state_directory *ret);
/* Accepts one that is not open. */
void state_directory_close(struct state_directory *directory);

/* Writes the file as a whole: a temporary file, fsync, rename, fsync of the directory. After an
 * error, and after a crash at any time, the file is what it was before. */
int state_directory_write(const struct state_directory *directory, const char *name,
			  const struct buffer *content);
/* Adds the file's content to "content". 0 or a negative errno: -EFBIG above 64 KiB, -ELOOP for a
 * symbolic link, -EINVAL for what is not a regular file. */
int state_directory_read(const struct state_directory *directory, const char *name,
			 struct buffer *content);
/* 0, also where there is none, or a negative errno. */
int state_directory_remove(const struct state_directory *directory, const char *name);
int state_directory_rename(const struct state_directory *directory, const char *from,
			   const char *to);

/* Calls "on_name" for the files whose names begin with "prefix", in no order; it may remove them. 0
 * or a negative errno. */
int state_directory_list(const struct state_directory *directory, const char *prefix,
			 void (*on_name)(void *userdata, const char *name), void *userdata);
