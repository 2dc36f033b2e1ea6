/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/cleanup.h"

enum { FILE_MAX = 65536 };

static int open_mounted(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs info;

	if (fd < 0)
		return -errno;
	/* Both mount points exist, empty, where nothing is mounted. */
	if (fstatfs(fd, &info) < 0 || info.f_type != TRACEFS_MAGIC)
		return -ENOENT;
	return steal_fd(&fd);
}

/* The raw calls: glibc has wrappers only since 2.36. */
static int open_detached(void)
{
	cleanup_close int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
			  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? -errno : fd;
}

int trace_files_open(int *ret_directory_fd)
{
	int fd = open_mounted("/sys/kernel/tracing");

	if (fd < 0)
		fd = open_mounted("/sys/kernel/debug/tracing");
	if (fd < 0)
		fd = open_detached();
	if (fd < 0)
		return fd;
	*ret_directory_fd = fd;
	return 0;
}

int trace_files_read(int directory_fd, const char *path, char **ret_text, size_t *ret_length)
{
	cleanup_close int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	size_t length = 0;

	if (fd < 0)
		return -errno;
	text = malloc(FILE_MAX + 1);
	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t got = read(fd, text + length, FILE_MAX - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
		if (length == FILE_MAX)
			return -EFBIG;
	}
	text[length] = '\0';
	*ret_length = length;
	*ret_text = steal_pointer(&text);
	return 0;
}
