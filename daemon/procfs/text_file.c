/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "procfs/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"

ssize_t procfs_read_text(int directory_fd, const char *path, char *text, size_t size)
{
	cleanup_close int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, size - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	return length;
}
