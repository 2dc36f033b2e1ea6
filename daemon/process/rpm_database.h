/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The packages of rpm's database, where that is SQLite's (rpm 4.16 and newer: Fedora, RHEL 9). It is only
 * read, without a lock and without a file beside it: what rpm writes meanwhile may make it end with an
 * error. In a build without libsqlite3 there is none. */

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct rpm_database;

/* Whether there is one below "root", and when it was changed last. */
bool rpm_database_find(const char *root, struct timespec *ret_changed);

/* 0; -ENOENT where there is none; another negative errno. */
int rpm_database_open(const char *root, struct rpm_database **ret);
void rpm_database_close(struct rpm_database *database);

/* The header of the next package, borrowed until the next call. 1; 0 where there are no more; a negative
 * errno. */
int rpm_database_read(struct rpm_database *database, const void **ret, size_t *ret_length);
