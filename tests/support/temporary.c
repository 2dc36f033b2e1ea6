/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macros.h"

static void fail(const char *what, const char *path)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
	abort();
}

char *temporary_make(void)
{
	char *path = strdup("/tmp/procflow-test-XXXXXX");

	if (!path || !mkdtemp(path))
		fail("mkdtemp", "/tmp");
	return path;
}

static int remove_one(const char *path, unused const struct stat *status, unused int type,
		      unused struct FTW *where)
{
	return remove(path);
}

void temporary_remove(char *path)
{
	if (path && nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0)
		fail("removing", path);
	free(path);
}

static char *join(const char *directory, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		fail("joining", name);
	return path;
}

void temporary_write(const char *directory, const char *name, const char *text)
{
	cleanup_free char *path = join(directory, name);
	cleanup_file FILE *file = NULL;

	for (char *at = path + strlen(directory) + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			fail("mkdir", path);
		*at = '/';
	}
	file = fopen(path, "we");
	if (!file || fputs(text, file) < 0)
		fail("writing", path);
}

char *temporary_read(const char *directory, const char *name)
{
	cleanup_free char *path = join(directory, name);
	cleanup_file FILE *file = fopen(path, "re");
	cleanup_free char *text = calloc(1, 65536);

	if (!file || !text)
		return NULL;
	text[fread(text, 1, 65535, file)] = '\0';
	return steal_pointer(&text);
}

bool temporary_has(const char *directory, const char *name)
{
	cleanup_free char *path = join(directory, name);
	struct stat status;

	return lstat(path, &status) == 0;
}
