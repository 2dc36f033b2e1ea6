/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/fake_descriptors.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary.h"

static void fail(const char *what, const char *path)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
	abort();
}

void fake_descriptors_set(const char *proc, pid_t pid, int fd, uint64_t inode)
{
	char path[PATH_MAX], target[64] = "/dev/null";

	snprintf(path, sizeof(path), "%s/%d/fd", proc, pid);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		fail("mkdir", path);
	snprintf(path, sizeof(path), "%s/%d/fd/%d", proc, pid, fd);
	if (inode)
		snprintf(target, sizeof(target), "socket:[%" PRIu64 "]", inode);
	unlink(path);
	if (symlink(target, path) < 0)
		fail("symlink", path);
}

void fake_descriptors_unset(const char *proc, pid_t pid, int fd)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d/fd/%d", proc, pid, fd);
	if (unlink(path) < 0)
		fail("unlink", path);
}

void fake_descriptors_remove(const char *proc, pid_t pid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d/fd", proc, pid);
	if (access(path, F_OK) == 0)
		temporary_remove(strdup(path));
}

void fake_descriptors_set_newest(const char *proc, pid_t pid)
{
	char text[64];

	snprintf(text, sizeof(text), "0.10 0.20 0.30 1/100 %d\n", pid);
	temporary_write(proc, "loadavg", text);
}
