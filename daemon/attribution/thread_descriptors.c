/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/thread_descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Threads beyond that are not looked at. */
enum { MOST_THREADS = 4096, COMPARE_COST_US = 1, OPEN_COST_US = 10 };

DEFINE_CLEANUP(DIR *, closedir);

bool thread_descriptors_may_exist(int proc_fd, pid_t pid)
{
	struct stat status;
	char name[32];

	/* Two links for the directory, and one for each thread (proc_task_getattr() in
	 * fs/proc/base.c). */
	snprintf(name, sizeof(name), "%d/task", pid);
	return fstatat(proc_fd, name, &status, 0) == 0 && status.st_nlink > 3;
}

static DIR *open_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory && fd >= 0)
		close(fd);
	return directory;
}

/* The numbers in "process_fd" mean something to the kernel only where it is of the /proc that we are in. */
static bool is_our_proc(int process_fd)
{
	char target[16];
	ssize_t length = readlinkat(process_fd, "../self", target, sizeof(target) - 1);

	if (length <= 0)
		return false;
	target[length] = '\0';
	return atoi(target) == getpid();
}

static bool share_table(pid_t one, pid_t other)
{
	return syscall(SYS_kcmp, one, other, KCMP_FILES, 0, 0) == 0;
}

/* The descriptor, or -1. */
static int find_in_table(int tasks, pid_t thread, uint64_t inode, uint64_t *cost_us)
{
	cleanup(closedir_cleanup) DIR *directory = NULL;
	char name[32], wanted[32], target[32];
	const struct dirent *entry;
	int length;

	snprintf(name, sizeof(name), "%d/fd", thread);
	directory = open_directory(tasks, name);
	*cost_us += OPEN_COST_US;
	length = snprintf(wanted, sizeof(wanted), "socket:[%llu]", (unsigned long long)inode);
	while (directory && (entry = readdir(directory))) {
		ssize_t got =
			readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		++*cost_us;
		if (got != length)
			continue;
		target[got] = '\0';
		if (strcmp(target, wanted) == 0)
			return atoi(entry->d_name);
	}
	return -1;
}

pid_t thread_descriptors_find(int process_fd, pid_t pid, uint64_t inode, int *ret_fd,
			      uint64_t *cost_us)
{
	cleanup(closedir_cleanup) DIR *tasks = open_directory(process_fd, "task");
	bool may_compare = is_our_proc(process_fd);
	pid_t looked_at = pid;
	const struct dirent *entry;

	if (!tasks)
		return -errno;
	*cost_us += OPEN_COST_US;
	for (int i = 0; i < MOST_THREADS && (entry = readdir(tasks)); i++) {
		pid_t thread = atoi(entry->d_name);
		int fd;

		if (thread <= 0 || thread == pid)
			continue;
		*cost_us += COMPARE_COST_US;
		if (may_compare && (share_table(pid, thread) || share_table(looked_at, thread)))
			continue;
		looked_at = thread;
		fd = find_in_table(dirfd(tasks), thread, inode, cost_us);
		if (fd >= 0) {
			*ret_fd = fd;
			return thread;
		}
	}
	return 0;
}
