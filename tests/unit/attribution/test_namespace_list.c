/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attribution/namespace_list.h"
#include "support/temporary.h"

static void assert_mount(const char *text, unsigned long long inode, const char *path)
{
	char line[512];
	ino_t ret_inode = 7;
	const char *ret_path = "untouched";
	bool found;

	snprintf(line, sizeof(line), "%s", text);
	found = namespace_list_parse_mount(line, &ret_inode, &ret_path);
	if (!path) {
		assert_false(found);
		assert_int_equal(ret_inode, 7);
		assert_string_equal(ret_path, "untouched");
		return;
	}
	assert_true(found);
	assert_int_equal(ret_inode, inode);
	assert_string_equal(ret_path, path);
}

static void test_mounts_of_network_namespaces_are_read(void **state)
{
	(void)state;
	assert_mount("545 29 0:4 net:[4026532281] /run/netns/x rw shared:260 - nsfs nsfs rw\n",
		     4026532281, "/run/netns/x");
	assert_mount("1 2 0:4 net:[12] /run/docker/netns/0a1b rw - nsfs nsfs rw", 12,
		     "/run/docker/netns/0a1b");
	assert_mount("1 2 0:4 net:[12] /run/a\\040b\\134c\\011 rw - nsfs nsfs rw", 12,
		     "/run/a b\\c\t");
	assert_mount("1 2 0:4 net:[12] /run/a\\04 rw - nsfs nsfs rw", 12, "/run/a\\04");
}

static void test_other_mounts_are_not(void **state)
{
	(void)state;
	assert_mount("545 29 0:4 mnt:[4026532281] /run/snapd/ns/x rw - nsfs nsfs rw", 0, NULL);
	assert_mount("29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw", 0, NULL);
	assert_mount("", 0, NULL);
	assert_mount("1 2 3 net:[1]", 0, NULL);
	assert_mount("1 2 0:4 net:[] /x rw - nsfs nsfs rw", 0, NULL);
	assert_mount("1 2 0:4 net:[0] /x rw - nsfs nsfs rw", 0, NULL);
	assert_mount("1 2 0:4 net:[12 /x rw - nsfs nsfs rw", 0, NULL);
	assert_mount("1 2 0:4 net:[12]x /x rw - nsfs nsfs rw", 0, NULL);
	assert_mount("1 2 0:4 net:[12] //deleted", 12, "//deleted");
	assert_mount("1 2 0:4 net:[12] relative rw - nsfs nsfs rw", 0, NULL);
}

struct seen {
	size_t count;
	struct found_namespace found[16];
	char paths[16][256];
};

static void on_found(const struct found_namespace *found, void *userdata)
{
	struct seen *seen = userdata;

	assert_true(seen->count < 16);
	snprintf(seen->paths[seen->count], sizeof(seen->paths[0]), "%s", found->path);
	seen->found[seen->count++] = *found;
}

static ino_t inode_of(const char *directory, const char *name)
{
	char path[512];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(stat(path, &status), 0);
	return status.st_ino;
}

static void assert_seen(const struct seen *seen, ino_t inode, pid_t pid, const char *path)
{
	for (size_t i = 0; i < seen->count; i++)
		if (strcmp(seen->paths[i], path) == 0) {
			assert_int_equal(seen->found[i].inode, inode);
			assert_int_equal(seen->found[i].pid, pid);
			return;
		}
	fail_msg("%s was not told", path);
}

static void test_processes_and_mounts_are_told(void **state)
{
	char *proc = temporary_make();
	struct seen seen = {0};
	int fd;

	(void)state;
	temporary_write(proc, "10/ns/net", "");
	temporary_write(proc, "20/ns/net", "");
	temporary_write(proc, "30/comm", "on its way out: no namespace any more");
	temporary_write(proc, "sys/ns/net", "");
	temporary_write(proc, "self/ns/mnt", "");
	temporary_write(proc, "1/ns/mnt", "");
	temporary_write(proc, "self/mountinfo",
			"29 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
			"5 29 0:4 net:[77] /run/netns/a\\040b rw - nsfs nsfs rw\n");
	temporary_write(proc, "1/mountinfo", "5 29 0:4 net:[78] /run/x rw - nsfs nsfs rw\n");
	fd = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	/* Four numbers (1 has no ns/net), two lines, and one of pid 1, whose mounts are others. */
	assert_int_equal(namespace_list_read(fd, on_found, &seen), 7);
	assert_int_equal(seen.count, 4);
	assert_seen(&seen, inode_of(proc, "10/ns/net"), 10, "10/ns/net");
	assert_seen(&seen, inode_of(proc, "20/ns/net"), 20, "20/ns/net");
	assert_seen(&seen, 77, 0, "self/root/run/netns/a b");
	assert_seen(&seen, 78, 0, "1/root/run/x");
	close(fd);
	temporary_remove(proc);
}

static void test_what_cannot_be_read_is_an_error(void **state)
{
	struct seen seen = {0};

	(void)state;
	assert_int_equal(namespace_list_read(-1, on_found, &seen), -EBADF);
	assert_int_equal(seen.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounts_of_network_namespaces_are_read),
		cmocka_unit_test(test_other_mounts_are_not),
		cmocka_unit_test(test_processes_and_mounts_are_told),
		cmocka_unit_test(test_what_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
