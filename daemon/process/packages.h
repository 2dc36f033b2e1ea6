/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which distribution package an executable belongs to, from dpkg's lists of files (
 * /var/lib/dpkg/info/PACKAGE.list, see dpkg(1)) and its diversions, and from rpm's database (see
 * rpm_database.h). No program is started. They are read piece by piece into an index that keeps 8
 * bytes a path: 48 bits of its hash, so that a file of no package is taken for one of them once in
 * some 10^9, and the package's number. While dpkg or rpm works the index before stays in use. */

#include <stddef.h>
#include <stdint.h>

struct packages;

struct packages_counters {
	uint64_t paths, packages; /* in the index now */
	uint64_t bytes;		  /* of memory that it takes */
	uint64_t readings;	  /* times that all lists were read */
	uint64_t dropped;	  /* lists that could not be read, or were too many */
};

/* "root": the host's root directory, "" for "/"; copied. 0 or -ENOMEM. */
int packages_new(const char *root, struct packages **ret);
void packages_free(struct packages *packages);

/* Reads on, some 128 KiB (about 1 ms): a few very large packages have lists of several MB, and nobody
 * should wait for one. Otherwise looks every five seconds whether dpkg or rpm changed something, and
 * begins anew when it is done with it. Returns the monotonic time of the next call that is needed. */
uint64_t packages_run(struct packages *packages, uint64_t now_ns);

/* The package of the file with this path, as /proc/PID/exe tells it; NULL: none, or the lists are
 * not read yet. Borrowed until the next packages_run(). */
const char *packages_find(const struct packages *packages, const char *path);

const struct packages_counters *packages_get_counters(const struct packages *packages);
