/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/procps.h"

static const char deleted_suffix[] = " (deleted)";

void identity_complete_name(const char *comm, const char *executable, char ret[IDENTITY_NAME_SIZE])
{
	const char *slash = executable ? strrchr(executable, '/') : NULL;
	const char *base = slash ? slash + 1 : executable;

	if (base && strlen(comm) == COMM_LENGTH && strncmp(comm, base, COMM_LENGTH) == 0)
		comm = base;
	snprintf(ret, IDENTITY_NAME_SIZE, "%s", comm);
}

bool identity_cut_deleted(char *path)
{
	size_t length = strlen(path);
	size_t suffix = sizeof(deleted_suffix) - 1;

	if (length <= suffix || strcmp(path + length - suffix, deleted_suffix) != 0)
		return false;
	path[length - suffix] = '\0';
	return true;
}

static void copy_comm(const struct procfs_stat *stat, char comm[COMM_LENGTH + 1])
{
	size_t length = stat->name.length < COMM_LENGTH ? stat->name.length : COMM_LENGTH;

	memcpy(comm, stat->name.at, length);
	comm[length] = '\0';
}

/* Whether "path", as a process's link of its executable tells it, names the same file for us. A
 * process in our own mount namespace has our files, and one that has another may still have the same
 * root (PrivateTmp= and the like). */
static bool is_hosts(int proc_fd, int process_fd, const char *path)
{
	struct stat theirs, ours;

	if (fstatat(process_fd, "ns/mnt", &theirs, 0) == 0 &&
	    fstatat(proc_fd, "self/ns/mnt", &ours, 0) == 0 && theirs.st_ino == ours.st_ino &&
	    theirs.st_dev == ours.st_dev)
		return true;
	return fstatat(process_fd, "exe", &theirs, 0) == 0 && stat(path, &ours) == 0 &&
	       theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

/* A leader that has ended has no memory, and so no executable; its other threads still do. */
static ssize_t read_thread_link(int process_fd, char *path, size_t size)
{
	int fd = openat(process_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *tasks = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	ssize_t length = -1;

	if (!tasks) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (length <= 0 && (entry = readdir(tasks))) {
		char link[sizeof(entry->d_name) + sizeof("/exe")];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(link, sizeof(link), "%s/exe", entry->d_name);
		length = readlinkat(dirfd(tasks), link, path, size);
	}
	closedir(tasks);
	return length;
}

void identity_read_executable(int proc_fd, int process_fd, const struct procfs_stat *stat,
			      struct identity_facts *facts)
{
	/* Kernel threads have none; of others it may not be readable without the right to trace. */
	ssize_t length = readlinkat(process_fd, "exe", facts->executable, IDENTITY_PATH_SIZE - 1);

	if (length <= 0 && stat->state == 'Z' && stat->threads > 1)
		length = read_thread_link(process_fd, facts->executable, IDENTITY_PATH_SIZE - 1);
	facts->has_executable = length > 0;
	facts->executable[length > 0 ? length : 0] = '\0';
	facts->executable_deleted =
		facts->has_executable && identity_cut_deleted(facts->executable);
	facts->executable_is_hosts =
		facts->has_executable && is_hosts(proc_fd, process_fd, facts->executable);
	copy_comm(stat, facts->comm);
	identity_complete_name(facts->comm, facts->has_executable ? facts->executable : NULL,
			       facts->name);
}

/* The "Uid:" line of /proc/PID/status: real, effective, saved, file system. */
int identity_parse_uid(int status_fd, uid_t *ret)
{
	char text[4096];
	const char *line;
	char *end;
	ssize_t length = read(status_fd, text, sizeof(text) - 1);
	unsigned long uid;

	if (length < 0)
		return -errno;
	text[length] = '\0';
	line = strstr(text, "\nUid:\t");
	if (!line)
		return -EBADMSG;
	uid = strtoul(line + 6, &end, 10);
	if (end == line + 6)
		return -EBADMSG;
	*ret = (uid_t)uid;
	return 0;
}

int identity_read_uid(int process_fd, uid_t *ret)
{
	cleanup_close int fd = openat(process_fd, "status", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : identity_parse_uid(fd, ret);
}

void identity_read_command_line(int process_fd, struct identity_facts *facts)
{
	cleanup_close int fd = openat(process_fd, "cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t length =
		fd >= 0 ? read(fd, facts->command_line, IDENTITY_COMMAND_LINE_SIZE - 1) : -1;

	while (length > 0 && facts->command_line[length - 1] == '\0')
		length--;
	facts->has_command_line = length > 0;
	facts->command_line[length > 0 ? length : 0] = '\0';
	for (ssize_t i = 0; i < length; i++)
		if (facts->command_line[i] == '\0')
			facts->command_line[i] = ' ';
}

/* When a parent dies its number may be given out again before we look; its directory, once open,
 * leads to nobody else. */
void identity_read_parent(int proc_fd, pid_t parent, uint64_t start_ticks,
			  struct identity_facts *facts)
{
	cleanup_close int parent_fd = -1, stat_fd = -1;
	char line[PROCFS_STAT_LINE_SIZE], path[16], comm[COMM_LENGTH + 1];
	struct procfs_stat stat;
	ssize_t length;

	facts->parent = parent;
	facts->has_parent = parent > 0;
	facts->has_parent_name = facts->has_parent_uid = facts->has_parent_executable = false;
	if (!facts->has_parent)
		return;
	snprintf(path, sizeof(path), "%d", parent);
	parent_fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	stat_fd = parent_fd >= 0 ? openat(parent_fd, "stat", O_RDONLY | O_CLOEXEC) : -1;
	if (stat_fd < 0 || procfs_stat_read_fd(stat_fd, line, sizeof(line), &stat) < 0 ||
	    stat.start_ticks > start_ticks)
		return;
	facts->has_parent_uid = identity_read_uid(parent_fd, &facts->parent_uid) == 0;
	copy_comm(&stat, comm);
	length = readlinkat(parent_fd, "exe", facts->parent_executable, IDENTITY_PATH_SIZE - 1);
	facts->parent_executable[length > 0 ? length : 0] = '\0';
	facts->has_parent_executable = length > 0;
	identity_cut_deleted(facts->parent_executable);
	facts->parent_executable_is_hosts = facts->has_parent_executable &&
					    is_hosts(proc_fd, parent_fd, facts->parent_executable);
	identity_complete_name(comm, facts->parent_executable, facts->parent_name);
	facts->has_parent_name = true;
}

int identity_read(int proc_fd, int process_fd, pid_t pid, const struct procfs_stat *stat,
		  struct procps *procps, struct identity_facts *ret)
{
	struct procps_identity seen;
	int r = procps ? procps_read(procps, pid, &seen) : -ENOSYS;

	if (r == 0 && seen.start_ticks != stat->start_ticks)
		return -ESRCH;
	ret->without_procps = r < 0;
	if (r == 0)
		ret->uid = seen.uid;
	else /* the library does not tell why it found nothing */
		r = identity_read_uid(process_fd, &ret->uid);
	if (r < 0)
		return r;
	ret->lacks_uid = false;
	identity_read_executable(proc_fd, process_fd, stat, ret);
	identity_read_parent(proc_fd, stat->parent, stat->start_ticks, ret);
	return 0;
}
