/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/namespace_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(DIR *, closedir);

/* mountinfo writes blanks, tabs, newlines and backslashes as \ooo. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
		    text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
			*out++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
					(text[3] - '0'));
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

/* Columns: id, parent, device, root, mount point, options, ...; an nsfs mount's root is the name of
 * the namespace: "net:[4026532281]". */
bool namespace_list_parse_mount(char *line, ino_t *ret_inode, const char **ret_path)
{
	char *column[5], *position = NULL, *end;
	unsigned long long inode;

	for (size_t i = 0; i < array_length(column); i++) {
		column[i] = strtok_r(i == 0 ? line : NULL, " \n", &position);
		if (!column[i])
			return false;
	}
	if (strncmp(column[3], "net:[", 5) != 0)
		return false;
	inode = strtoull(column[3] + 5, &end, 10);
	if (end == column[3] + 5 || strcmp(end, "]") != 0 || inode == 0 || column[4][0] != '/')
		return false;
	unescape(column[4]);
	*ret_inode = (ino_t)inode;
	*ret_path = column[4];
	return true;
}

static ssize_t read_processes(int proc_fd, namespace_list_on_found on_found, void *userdata)
{
	cleanup(closedir_cleanup) DIR *directory = NULL;
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	ssize_t count = 0;

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(directory))) {
		struct found_namespace found = {0};
		struct stat status;
		char path[32], *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (*end || pid <= 0 || pid > INT_MAX)
			continue;
		count++;
		found.pid = (pid_t)pid;
		snprintf(path, sizeof(path), "%d/ns/net", found.pid);
		if (fstatat(dirfd(directory), path, &status, 0) < 0)
			continue;
		found.inode = status.st_ino;
		found.path = path;
		on_found(&found, userdata);
	}
	return count;
}

/* "who" is a process whose mounts are looked at, "self" or "1". */
static ssize_t read_mounts(int proc_fd, const char *who, namespace_list_on_found on_found,
			   void *userdata)
{
	cleanup_file FILE *file = NULL;
	cleanup_free char *line = NULL;
	char path[PATH_MAX];
	size_t room = 0;
	ssize_t count = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/mountinfo", who);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return 0;
	}
	while (getline(&line, &room, file) > 0) {
		struct found_namespace found = {.path = path};
		const char *point;

		count++;
		if (!namespace_list_parse_mount(line, &found.inode, &point) ||
		    snprintf(path, sizeof(path), "%s/root%s", who, point) >= (int)sizeof(path))
			continue;
		on_found(&found, userdata);
	}
	return count;
}

static bool is_among_mounts_of_init(int proc_fd)
{
	struct stat own, init;

	return fstatat(proc_fd, "self/ns/mnt", &own, 0) < 0 ||
	       fstatat(proc_fd, "1/ns/mnt", &init, 0) < 0 || own.st_ino == init.st_ino;
}

ssize_t namespace_list_read(int proc_fd, namespace_list_on_found on_found, void *userdata)
{
	ssize_t count = read_processes(proc_fd, on_found, userdata);

	if (count < 0)
		return count;
	count += read_mounts(proc_fd, "self", on_found, userdata);
	/* Mounts of the host do not always come to a service with mounts of its own. */
	if (!is_among_mounts_of_init(proc_fd))
		count += read_mounts(proc_fd, "1", on_found, userdata);
	return count;
}
