/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "export/transport_ops.h"
#include "runtime/log.h"

enum { FILE_MODE = 0640, DIRECTORY_MODE = 0750 };

static int file_send(struct transport *transport, const void *bytes, size_t length,
		     size_t *ret_taken)
{
	return transport_write(transport->fd, bytes, length, ret_taken);
}

static void file_close(struct transport *transport)
{
	close(transport->fd);
	free(transport);
}

/* The directory the file stands in, and those above it. */
static int make_directories(const char *path)
{
	cleanup_free char *part = strdup(path);

	if (!part)
		return -ENOMEM;
	for (char *slash = strchr(part + (*part == '/'), '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, DIRECTORY_MODE) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* Not O_NONBLOCK, which a regular file ignores; but a FIFO that nobody reads is not waited for. */
static int open_file(const char *path)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags, FILE_MODE);
	int r;

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	r = make_directories(path);
	if (r < 0)
		return r;
	fd = open(path, flags, FILE_MODE);
	return fd < 0 ? -errno : fd;
}

int transport_file_open(const struct config_address *to, const char *log_name,
			struct transport **ret)
{
	static const struct transport_ops ops = {true, file_send, file_close};
	struct transport *self;
	int fd = open_file(to->path);

	if (fd < 0) {
		log_error("%s: cannot open %s: %s", log_name, to->path, strerror(-fd));
		return fd;
	}
	self = calloc(1, sizeof(*self));
	if (!self) {
		close(fd);
		return -ENOMEM;
	}
	*self = (struct transport){.ops = &ops, .fd = fd};
	*ret = self;
	return 0;
}
