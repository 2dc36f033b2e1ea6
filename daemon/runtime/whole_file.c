/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_new(const char *path, const void *bytes, size_t length, mode_t mode)
{
	cleanup_close int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return -errno;
	/* Whatever the umask is. */
	return fchmod(fd, mode) < 0 ? -errno : write_all(fd, bytes, length);
}

int whole_file_write(const char *path, const void *bytes, size_t length, mode_t mode)
{
	cleanup_free char *hidden = NULL;
	int r;

	if (asprintf(&hidden, "%s.%d", path, (int)getpid()) < 0)
		return -ENOMEM;
	r = write_new(hidden, bytes, length, mode);
	if (r == -EEXIST && unlink(hidden) == 0) /* of an earlier process with this number */
		r = write_new(hidden, bytes, length, mode);
	if (r == 0 && rename(hidden, path) < 0)
		r = -errno;
	if (r < 0 && r != -EEXIST)
		unlink(hidden);
	return r;
}
