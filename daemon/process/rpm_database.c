/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/rpm_database.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/macros.h"

enum { LONGEST_HEADER = 64 << 20 };

struct rpm_database {
	sqlite3 *connection;
	sqlite3_stmt *packages;
};

DEFINE_CLEANUP(struct rpm_database *, rpm_database_close);

/* Fedora moved it; the old place is a link there. */
static const char *const places[] = {"/usr/lib/sysimage/rpm/rpmdb.sqlite",
				     "/var/lib/rpm/rpmdb.sqlite"};

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static const char *find_place(const char *root, struct stat *ret)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < array_length(places); i++) {
		snprintf(path, sizeof(path), "%s%s", root, places[i]);
		if (stat(path, ret) == 0 && S_ISREG(ret->st_mode))
			return places[i];
	}
	return NULL;
}

/* What rpm has written is in the log beside it until rpm ends. */
bool rpm_database_find(const char *root, struct timespec *ret_changed)
{
	struct stat found, log;
	const char *place = find_place(root, &found);
	char path[PATH_MAX];

	if (!place)
		return false;
	*ret_changed = found.st_mtim;
	snprintf(path, sizeof(path), "%s%s-wal", root, place);
	if (stat(path, &log) == 0 && is_later(&log.st_mtim, ret_changed))
		*ret_changed = log.st_mtim;
	return true;
}

/* "immutable": else SQLite wants to write beside it, for a database that keeps a log. */
int rpm_database_open(const char *root, struct rpm_database **ret)
{
	cleanup(rpm_database_close_cleanup) struct rpm_database *database =
		calloc(1, sizeof(*database));
	struct stat found;
	const char *place = find_place(root, &found);
	char uri[PATH_MAX];

	if (!database)
		return -ENOMEM;
	if (!place)
		return -ENOENT;
	snprintf(uri, sizeof(uri), "file:%s%s?immutable=1", root, place);
	if (sqlite3_open_v2(uri, &database->connection,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return -EIO;
	sqlite3_limit(database->connection, SQLITE_LIMIT_LENGTH, LONGEST_HEADER);
	if (sqlite3_prepare_v2(database->connection, "SELECT blob FROM Packages", -1,
			       &database->packages, NULL) != SQLITE_OK)
		return -EBADMSG;
	*ret = steal_pointer(&database);
	return 0;
}

void rpm_database_close(struct rpm_database *database)
{
	if (!database)
		return;
	sqlite3_finalize(database->packages);
	sqlite3_close(database->connection);
	free(database);
}

int rpm_database_read(struct rpm_database *database, const void **ret, size_t *ret_length)
{
	int r = sqlite3_step(database->packages);

	if (r == SQLITE_DONE)
		return 0;
	if (r != SQLITE_ROW)
		return r == SQLITE_NOMEM ? -ENOMEM : -EIO;
	*ret = sqlite3_column_blob(database->packages, 0);
	*ret_length = (size_t)sqlite3_column_bytes(database->packages, 0);
	return 1;
}
