/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The id of a cgroup v2, as sockets tell it, is its directory's inode and its file handle, leads to
 * its path while it exists, and to nothing afterwards. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "process/cgroup_table.h"

enum { SKIP = 77 };

struct fixture {
	char path[PATH_MAX], name[64];
	uint64_t id;
	int proc_fd;
	struct cgroup_table *table;
};

static bool find_mount(char *ret, size_t size)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096], point[1024];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, " - cgroup2 ") &&
			sscanf(line, "%*s %*s %*s / %1023s", point) == 1;
	if (file)
		fclose(file);
	if (found)
		snprintf(ret, size, "%s", point);
	return found;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char mount_point[1024];
	struct stat found;

	assert_true(find_mount(mount_point, sizeof(mount_point)));
	snprintf(fixture->name, sizeof(fixture->name), "/pf%d.service", getpid());
	snprintf(fixture->path, sizeof(fixture->path), "%s%s", mount_point, fixture->name);
	assert_int_equal(mkdir(fixture->path, 0755), 0);
	assert_int_equal(stat(fixture->path, &found), 0);
	fixture->id = found.st_ino;
	fixture->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = fixture;
	return cgroup_table_new(fixture->proc_fd, &fixture->table);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	rmdir(fixture->path);
	cgroup_table_free(fixture->table);
	close(fixture->proc_fd);
	free(fixture);
	return 0;
}

static void id_leads_to_the_path(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup *cgroup = cgroup_table_find_id(fixture->table, fixture->id);

	assert_non_null(cgroup);
	assert_string_equal(cgroup->path, fixture->name);
	assert_string_equal(cgroup->unit, fixture->name + 1);
	cgroup_table_release(fixture->table, cgroup);
}

static void id_stays_known_when_the_cgroup_is_gone(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup *cgroup = cgroup_table_find_id(fixture->table, fixture->id);

	assert_non_null(cgroup);
	cgroup_table_release(fixture->table, cgroup);
	assert_int_equal(rmdir(fixture->path), 0);
	cgroup = cgroup_table_find_id(fixture->table, fixture->id);
	assert_non_null(cgroup);
	assert_string_equal(cgroup->path, fixture->name);
	cgroup_table_release(fixture->table, cgroup);
}

static void id_of_a_cgroup_that_is_gone_leads_nowhere(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = fixture->id;
	struct stat found;

	assert_int_equal(rmdir(fixture->path), 0);
	/* One of the same name is another. */
	assert_int_equal(mkdir(fixture->path, 0755), 0);
	assert_int_equal(stat(fixture->path, &found), 0);
	assert_int_not_equal(found.st_ino, id);
	assert_null(cgroup_table_find_id(fixture->table, id));
	assert_int_equal(cgroup_table_get_counters(fixture->table)->ids_gone, 1);
}

static void oldest_ids_make_room(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup *cgroup = cgroup_table_find_id(fixture->table, fixture->id);

	assert_non_null(cgroup);
	cgroup_table_release(fixture->table, cgroup);
	for (int i = 0; i < 1100; i++) {
		char path[PATH_MAX + 16];
		struct stat found;

		snprintf(path, sizeof(path), "%s/x%d", fixture->path, i);
		assert_int_equal(mkdir(path, 0755), 0);
		assert_int_equal(stat(path, &found), 0);
		cgroup = cgroup_table_find_id(fixture->table, found.st_ino);
		rmdir(path);
		assert_non_null(cgroup);
		cgroup_table_release(fixture->table, cgroup);
	}
	assert_int_equal(cgroup_table_get_counters(fixture->table)->cgroups, 1024);
}

/* In a child: its own mounts, with nothing at /sys/fs/cgroup, as below "ip netns exec". */
static int find_without_mounts(struct fixture *fixture)
{
	struct cgroup *cgroup;
	char mount_point[1024];

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		return SKIP;
	while (find_mount(mount_point, sizeof(mount_point)))
		if (umount2(mount_point, MNT_DETACH) < 0)
			return 1;
	cgroup = cgroup_table_find_id(fixture->table, fixture->id);
	return cgroup && strcmp(cgroup->path, fixture->name) == 0 ? 0 : 2;
}

static void id_leads_to_the_path_where_nothing_is_mounted(void **state)
{
	struct fixture *fixture = *state;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(find_without_mounts(fixture));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(id_leads_to_the_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(id_stays_known_when_the_cgroup_is_gone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(id_of_a_cgroup_that_is_gone_leads_nowhere, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(oldest_ids_make_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(id_leads_to_the_path_where_nothing_is_mounted,
						set_up, tear_down),
	};
	char mount_point[1024];

	if (geteuid() != 0 || !find_mount(mount_point, sizeof(mount_point)) ||
	    access(mount_point, W_OK) < 0) {
		printf("skipped: cgroup v2 is not mounted, or no right to make one\n");
		return SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
