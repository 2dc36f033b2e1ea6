/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/packages.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "process/rpm_database.h"
#include "support/temporary.h"

#define AT(seconds) ((uint64_t)(seconds) * (uint64_t)NS_PER_SEC)

struct fixture {
	char *root;
	struct packages *packages;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->root = temporary_make();
	*state = fixture;
	return packages_new(fixture->root, &fixture->packages);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	packages_free(fixture->packages);
	temporary_remove(fixture->root);
	free(fixture);
	return 0;
}

static void write_list(struct fixture *fixture, const char *package, const char *paths)
{
	char name[300];

	snprintf(name, sizeof(name), "var/lib/dpkg/info/%s.list", package);
	temporary_write(fixture->root, name, paths);
}

/* As if dpkg had last worked then. */
static void set_time(struct fixture *fixture, time_t seconds)
{
	struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/var/lib/dpkg/info", fixture->root);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Until nothing is to be done at this time. */
static unsigned run(struct fixture *fixture, uint64_t now_ns)
{
	unsigned turns = 1;

	while (packages_run(fixture->packages, now_ns) <= now_ns)
		assert_true(turns++ < 1000);
	return turns;
}

static void assert_owner(struct fixture *fixture, const char *path, const char *package)
{
	const char *found = packages_find(fixture->packages, path);

	if (!found || !package)
		assert_ptr_equal(found, package);
	else
		assert_string_equal(found, package);
}

static void files_have_their_package(void **state)
{
	struct fixture *fixture = *state;

	write_list(fixture, "curl", "/.\n/usr\n/usr/bin\n/usr/bin/curl\n/usr/share/doc/curl/x\n");
	write_list(fixture, "libc6:amd64", "/usr\n/usr/bin\n/usr/lib/ld.so");
	temporary_write(fixture->root, "var/lib/dpkg/info/curl.md5sums", "/usr/bin/md5\n");
	assert_owner(fixture, "/usr/bin/curl", NULL);
	run(fixture, AT(1));
	assert_owner(fixture, "/usr/bin/curl", "curl");
	assert_owner(fixture, "/usr/lib/ld.so", "libc6");
	assert_owner(fixture, "/usr/bin/md5", NULL);
	assert_owner(fixture, "/usr/bin/curl2", NULL);
	assert_owner(fixture, "/usr/share/doc/curl/x", NULL);
	assert_owner(fixture, "", NULL);
	assert_int_equal(packages_get_counters(fixture->packages)->packages, 2);
}

static void merged_directories_have_one_name(void **state)
{
	struct fixture *fixture = *state;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bin", fixture->root);
	assert_int_equal(symlink("usr/bin", path), 0);
	write_list(fixture, "bash", "/bin\n/bin/bash\n");
	write_list(fixture, "init", "/sbin/init\n");
	run(fixture, AT(1));
	assert_owner(fixture, "/usr/bin/bash", "bash");
	/* Not a link here: two directories. */
	assert_owner(fixture, "/sbin/init", "init");
	assert_owner(fixture, "/usr/sbin/init", NULL);
}

static void diverted_files_are_where_they_were_put(void **state)
{
	struct fixture *fixture = *state;

	temporary_write(fixture->root, "var/lib/dpkg/diversions",
			"/usr/bin/sh\n/usr/bin/sh.distrib\nbash\n"
			"/usr/bin/local\n/usr/bin/local.orig\n:\n");
	write_list(fixture, "dash", "/usr/bin/sh\n");
	write_list(fixture, "bash", "/usr/bin/sh\n");
	write_list(fixture, "tool", "/usr/bin/local\n");
	run(fixture, AT(1));
	assert_owner(fixture, "/usr/bin/sh", "bash");
	assert_owner(fixture, "/usr/bin/sh.distrib", "dash");
	assert_owner(fixture, "/usr/bin/local.orig", "tool");
	assert_owner(fixture, "/usr/bin/local", NULL);
}

/* What was read fills its memory to the last byte. */
static void diversions_may_have_any_length(void **state)
{
	struct fixture *fixture = *state;
	char text[256 + 1];

	for (size_t length = 250; length <= 256; length++) {
		memset(text, 'p', sizeof(text));
		memcpy(text, "/usr/bin/sh\n/usr/bin/sh.distrib\n", 32);
		text[length] = '\0';
		temporary_write(fixture->root, "var/lib/dpkg/diversions", text);
		write_list(fixture, "dash", "/usr/bin/sh\n");
		set_time(fixture, (time_t)length);
		run(fixture, AT(20 * (length - 249)));
		run(fixture, AT(20 * (length - 249) + 10));
		assert_owner(fixture, "/usr/bin/sh.distrib", "dash");
	}
}

static void changes_are_read_when_they_have_settled(void **state)
{
	struct fixture *fixture = *state;

	write_list(fixture, "old", "/usr/bin/a\n");
	set_time(fixture, 1000);
	run(fixture, AT(1));
	assert_owner(fixture, "/usr/bin/a", "old");
	write_list(fixture, "new", "/usr/bin/b\n");
	set_time(fixture, 2000);
	run(fixture, AT(2));
	assert_owner(fixture, "/usr/bin/b", NULL);
	run(fixture, AT(7));
	assert_owner(fixture, "/usr/bin/b", NULL);
	set_time(fixture, 3000);
	run(fixture, AT(13));
	assert_owner(fixture, "/usr/bin/b", NULL);
	run(fixture, AT(19));
	assert_owner(fixture, "/usr/bin/b", "new");
	assert_owner(fixture, "/usr/bin/a", "old");
	assert_int_equal(packages_get_counters(fixture->packages)->readings, 2);
	run(fixture, AT(60));
	assert_int_equal(packages_get_counters(fixture->packages)->readings, 2);
}

static void host_without_dpkg_has_none(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(packages_run(fixture->packages, AT(1)), AT(6));
	assert_owner(fixture, "/usr/bin/curl", NULL);
}

static void many_lists_take_many_turns_and_none_gets_lost(void **state)
{
	enum { PACKAGES = 300, FILES = 200 };
	struct fixture *fixture = *state;
	char *list = malloc(FILES * 64);

	for (int i = 0; i < PACKAGES; i++) {
		char name[32], *at = list;

		for (int j = 0; j < FILES; j++)
			at += sprintf(at, "/usr/lib/p%d/file-%d\n", i, j);
		snprintf(name, sizeof(name), "p%d", i);
		write_list(fixture, name, list);
	}
	free(list);
	assert_true(run(fixture, AT(1)) > 10);
	for (int i = 0; i < PACKAGES; i++) {
		char name[32], path[64];

		snprintf(name, sizeof(name), "p%d", i);
		for (int j = 0; j < FILES; j++) {
			snprintf(path, sizeof(path), "/usr/lib/p%d/file-%d", i, j);
			assert_owner(fixture, path, name);
			snprintf(path, sizeof(path), "/usr/lib/p%d/other-%d", i, j);
			assert_owner(fixture, path, NULL);
		}
	}
	assert_int_equal(packages_get_counters(fixture->packages)->paths, PACKAGES * FILES);
}

/* Nobody waits for a list of megabytes; lines that lie across the parts are whole, and the last one has no
 * end. */
static void list_of_megabytes_takes_many_turns(void **state)
{
	enum { FILES = 50000, MOST = 64 };
	struct fixture *fixture = *state;
	char *list = malloc(FILES * MOST), *at = list, path[MOST];

	for (int i = 0; i < FILES; i++)
		at += sprintf(at, "%s/usr/lib/huge/file-%d", i ? "\n" : "", i);
	write_list(fixture, "huge", list);
	write_list(fixture, "small", "/usr/bin/small\n");
	assert_true(run(fixture, AT(1)) > (unsigned)((at - list) / (256 * 1024)));
	free(list);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "/usr/lib/huge/file-%d", i);
		assert_owner(fixture, path, "huge");
	}
	assert_owner(fixture, "/usr/bin/small", "small");
	assert_int_equal(packages_get_counters(fixture->packages)->paths, FILES + 1);
	assert_int_equal(packages_get_counters(fixture->packages)->dropped, 0);
}

static const char tiny_spec[] = "Name: tiny\nVersion: 1\nRelease: 1\nSummary: tiny\nLicense: none\n"
				"BuildArch: noarch\n%description\ntiny\n%install\n"
				"mkdir -p %{buildroot}/usr/bin %{buildroot}/opt/tiny\n"
				"touch %{buildroot}/usr/bin/tiny %{buildroot}/opt/tiny/helper\n"
				"%files\n/usr/bin/tiny\n/opt/tiny/helper\n";

/* By rpm's own tools. */
static const char make_database[] =
	"cd %1$s && mkdir -p var/lib/rpm && rpmbuild -bb --define \"_topdir %1$s/build\""
	" --define '_build_name_fmt tiny.rpm' tiny.spec >log 2>&1 &&"
	" rpm --initdb --dbpath %1$s/var/lib/rpm && rpm -i --justdb --nodeps --ignorearch"
	" --dbpath %1$s/var/lib/rpm build/RPMS/tiny.rpm >>log 2>&1";

static void run_shell(const char *format, const char *root)
{
	char command[4096];

	snprintf(command, sizeof(command), format, root);
	assert_int_equal(system(command), 0);
}

/* A database of rpm's is read with dpkg's lists, and again when rpm has changed it. */
static void database_of_rpm_is_read(void **state)
{
	struct fixture *fixture = *state;
	struct timespec changed;

	if (system("command -v rpmbuild >/dev/null") != 0) {
		print_message("skipped: needs rpmbuild\n");
		skip();
	}
	write_list(fixture, "curl", "/usr/bin/curl\n");
	temporary_write(fixture->root, "tiny.spec", tiny_spec);
	run_shell(make_database, fixture->root);
	if (!rpm_database_find(fixture->root, &changed)) {
		print_message("skipped: built without libsqlite3\n");
		skip();
	}
	run(fixture, AT(1));
	assert_owner(fixture, "/usr/bin/tiny", "tiny");
	assert_owner(fixture, "/opt/tiny/helper", "tiny");
	assert_owner(fixture, "/usr/bin/curl", "curl");
	assert_null(packages_find(fixture->packages, "/usr/bin/tin"));
	assert_int_equal(packages_get_counters(fixture->packages)->dropped, 0);
	run_shell("rpm -e --justdb --dbpath %s/var/lib/rpm tiny", fixture->root);
	for (int i = 2; i < 5; i++)
		run(fixture, AT(10 * i));
	assert_int_equal(packages_get_counters(fixture->packages)->readings, 2);
	assert_null(packages_find(fixture->packages, "/usr/bin/tiny"));
	assert_owner(fixture, "/usr/bin/curl", "curl");
}

static void file_that_is_no_database_is_passed_over(void **state)
{
	struct fixture *fixture = *state;

	write_list(fixture, "curl", "/usr/bin/curl\n");
	temporary_write(fixture->root, "var/lib/rpm/rpmdb.sqlite", "nothing that SQLite knows");
	run(fixture, AT(1));
	assert_owner(fixture, "/usr/bin/curl", "curl");
}

int main(void)
{
#define with_root(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		with_root(files_have_their_package),
		with_root(merged_directories_have_one_name),
		with_root(diverted_files_are_where_they_were_put),
		with_root(diversions_may_have_any_length),
		with_root(changes_are_read_when_they_have_settled),
		with_root(database_of_rpm_is_read),
		with_root(file_that_is_no_database_is_passed_over),
		with_root(host_without_dpkg_has_none),
		with_root(list_of_megabytes_takes_many_turns),
		with_root(many_lists_take_many_turns_and_none_gets_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
