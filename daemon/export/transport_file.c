/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/transport_ops.h"
#include "runtime/log.h"

enum { FILE_MODE = 0640, DIRECTORY_MODE = 0750, LONGEST_LINE = 1 << 20 };

#define LOOK_EVERY_NS NS_PER_SEC

struct transport_file {
	struct transport head;
	const char *path, *log_name;
	struct transport_rotation rotation;
	bool is_regular;
	bool is_mended;
	uint64_t size;	    /* bytes, of a regular file */
	uint64_t looked_ns; /* when it was last seen to have a name */
};

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

/* 0, or O_NOFOLLOW where somebody else can make a symbolic link of that name. */
static int forbid_links(const char *path)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *directory = strndup(path, slash > path ? (size_t)(slash - path) : 1);
	struct stat status;

	if (!directory || stat(directory, &status) < 0)
		return O_NOFOLLOW;
	return status.st_mode & S_IWOTH || (status.st_mode & S_IWGRP && status.st_gid != 0) ||
			       (status.st_uid != 0 && status.st_uid != geteuid())
		       ? O_NOFOLLOW
		       : 0;
}

/* Not O_NONBLOCK, which a regular file ignores; but a FIFO that nobody reads is not waited for. What is
 * made here its group may read, though the daemon's umask is that of its secrets. */
static int open_or_make(const char *path)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags | O_EXCL, FILE_MODE);

	if (fd >= 0)
		(void)fchmod(fd, FILE_MODE);
	else if (errno == EEXIST)
		fd = open(path, flags | forbid_links(path), FILE_MODE);
	return fd < 0 ? -errno : fd;
}

static int open_file(const char *path)
{
	int fd = open_or_make(path);
	int r;

	if (fd != -ENOENT)
		return fd;
	r = make_directories(path);
	return r < 0 ? r : open_or_make(path);
}

static void read_size(struct transport_file *self)
{
	struct stat status;

	self->is_regular = fstat(self->head.fd, &status) == 0 && S_ISREG(status.st_mode);
	self->size = self->is_regular ? (uint64_t)status.st_size : 0;
}

/* The file's last bytes, at most so many; NULL: there are none to be had. The descriptor that is
 * written to cannot read, and the name may be another file's by now. */
static uint8_t *read_end(const struct transport_file *self, size_t most, size_t *ret_length)
{
	char path[32];
	cleanup_close int fd = -1;
	cleanup_free uint8_t *bytes = NULL;
	struct stat status;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->head.fd);
	if (self->is_regular)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return NULL;
	if ((uint64_t)status.st_size < most)
		most = (size_t)status.st_size;
	bytes = malloc(most + 1);
	if (!bytes || pread(fd, bytes, most, status.st_size - (off_t)most) != (ssize_t)most)
		return NULL;
	*ret_length = most;
	return steal_pointer(&bytes);
}

static bool cut_end(struct transport_file *self, size_t length)
{
	struct stat status;

	if (fstat(self->head.fd, &status) < 0 || (uint64_t)status.st_size < length ||
	    ftruncate(self->head.fd, status.st_size - (off_t)length) < 0)
		return false;
	self->size = (uint64_t)status.st_size - length;
	return true;
}

static bool file_take_back(struct transport *transport, const void *bytes, size_t length)
{
	struct transport_file *self = (struct transport_file *)transport;
	size_t found = 0;
	cleanup_free uint8_t *end = read_end(self, length, &found);

	return end && found == length && memcmp(end, bytes, length) == 0 && cut_end(self, length);
}

/* A line that a crash or a full disk tore: the next one must not be glued to it. Ours begin with a brace,
 * and it was not sent; what somebody else began is ended. Not before the first record comes: until then
 * the one that this one replaces may be at it. */
static void mend_end(struct transport_file *self)
{
	size_t length = 0, begin, taken;
	cleanup_free uint8_t *end = NULL;

	self->is_mended = true;
	end = read_end(self, LONGEST_LINE, &length);
	if (!end || length == 0 || end[length - 1] == '\n')
		return;
	for (begin = length; begin > 0 && end[begin - 1] != '\n';)
		begin--;
	if (end[begin] == '{' && length < LONGEST_LINE && cut_end(self, length - begin))
		log_notice("%s: %s ended in the middle of a record, which is cut off (%zu bytes)",
			   self->log_name, self->path, length - begin);
	else if (transport_write(self->head.fd, "\n", 1, &taken) == 0)
		self->size += taken;
}

static size_t file_find_sent(struct transport *transport, const void *bytes, size_t length)
{
	struct transport_file *self = (struct transport_file *)transport;
	cleanup_free uint8_t *end = NULL;
	size_t found = 0;

	mend_end(self);
	end = read_end(self, length + 1, &found);
	if (!end)
		return 0;
	for (size_t i = found > length; i < found; i++)
		if ((i == 0 || end[i - 1] == '\n') && end[found - 1] == '\n' &&
		    memcmp(end + i, bytes, found - i) == 0)
			return found - i;
	return 0;
}

static int file_reopen(struct transport *transport)
{
	struct transport_file *self = (struct transport_file *)transport;
	int fd = open_file(self->path);

	if (fd < 0)
		return fd;
	close(transport->fd);
	transport->fd = fd;
	read_size(self);
	mend_end(self);
	return 0;
}

static int shift_names(const struct transport_file *self)
{
	for (uint32_t i = self->rotation.keep; i > 0; i--) {
		cleanup_free char *older = NULL, *newer = NULL;

		if (asprintf(&older, "%s.%u", self->path, i) < 0 ||
		    (i > 1 && asprintf(&newer, "%s.%u", self->path, i - 1) < 0))
			return -ENOMEM;
		if (rename(newer ? newer : self->path, older) < 0 && errno != ENOENT)
			return -errno;
	}
	if (self->rotation.keep == 0 && unlink(self->path) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* When it cannot be done, the file goes on, and it is tried again a whole size later. */
static void rotate(struct transport_file *self)
{
	int r = shift_names(self);

	if (r == 0)
		r = file_reopen(&self->head);
	if (r == 0)
		return;
	self->size = 0;
	log_warning("%s: cannot rotate %s: %s", self->log_name, self->path, strerror(-r));
}

static void restore_removed(struct transport_file *self)
{
	uint64_t now_ns = clock_now_ns();
	struct stat status;

	if (now_ns - self->looked_ns < LOOK_EVERY_NS)
		return;
	self->looked_ns = now_ns;
	if (fstat(self->head.fd, &status) < 0 || status.st_nlink > 0)
		return;
	if (file_reopen(&self->head) == 0)
		log_warning("%s: %s was removed; there is a new one now", self->log_name,
			    self->path);
}

static void file_begin_message(struct transport *transport, size_t length)
{
	struct transport_file *self = (struct transport_file *)transport;

	if (!self->is_regular)
		return;
	if (!self->is_mended)
		mend_end(self);
	restore_removed(self);
	if (self->rotation.size_bytes > 0 && self->size > 0 &&
	    self->size + length > self->rotation.size_bytes)
		rotate(self);
}

static int file_send(struct transport *transport, const void *bytes, size_t length,
		     size_t *ret_taken)
{
	struct transport_file *self = (struct transport_file *)transport;
	int r = transport_write(transport->fd, bytes, length, ret_taken);

	if (r == 0)
		self->size += *ret_taken;
	return r;
}

static void file_close(struct transport *transport)
{
	close(transport->fd);
	free(transport);
}

int transport_file_open(const struct config_address *to, const char *log_name,
			const struct transport_rotation *rotation, struct transport **ret)
{
	static const struct transport_ops ops = {.is_stream = true,
						 .send = file_send,
						 .close = file_close,
						 .begin_message = file_begin_message,
						 .reopen = file_reopen,
						 .take_back = file_take_back,
						 .find_sent = file_find_sent};
	struct transport_file *self;
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
	*self = (struct transport_file){.head = {.ops = &ops, .fd = fd},
					.path = to->path,
					.log_name = log_name,
					.rotation = *rotation,
					.looked_ns = clock_now_ns()};
	read_size(self);
	*ret = &self->head;
	return 0;
}
