/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/services/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static int check(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	return status.st_mode & (S_IRWXO | S_IWGRP) ? -EPERM : 0;
}

int secret_read(const char *path, char *ret, size_t size)
{
	/* A FIFO would wait for its writer. */
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t length;
	int r;

	if (fd < 0)
		return -errno;
	r = check(fd);
	if (r < 0)
		return r;
	length = read(fd, ret, size);
	if (length < 0)
		return -errno;
	if ((size_t)length == size)
		return -EFBIG;
	while (length > 0 && (ret[length - 1] == '\n' || ret[length - 1] == '\r'))
		length--;
	ret[length] = '\0';
	return length == 0 || strlen(ret) != (size_t)length || strpbrk(ret, "\r\n") ? -EINVAL : 0;
}

const char *secret_describe(int error)
{
	switch (error) {
	case -EPERM:
		return "others may read or write it (chmod g-w,o= mends it)";
	case -EINVAL:
		return "it is not a file with one line";
	case -EFBIG:
		return "it is too long";
	default:
		return strerror(-error);
	}
}
