/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/state_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { MODE_DIRECTORY = 0750, MODE_FILE = 0640, READ_MOST = 65536, NAME_SIZE = 256 };

static const char temporary_name[] = ".writing";

static void closedir_cleanup(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

/* mkdir -p. What exists may be anything: opening it tells. */
static int make_directories(const char *path)
{
	cleanup_free char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *at = copy + 1; *copy && *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(copy, MODE_DIRECTORY) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(copy, MODE_DIRECTORY) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_directory(const char *path)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = open(path, flags);
	int r;

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return -errno;
	r = make_directories(path);
	if (r < 0)
		return r;
	fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

/* What root makes in the directory of the daemon's user is that user's. Where it cannot be, that user
 * still reads it, and says what it cannot change. */
static void give_to_owner(int directory_fd, int fd)
{
	struct stat owner;

	if (geteuid() != 0 || fstat(directory_fd, &owner) < 0 || owner.st_uid == 0)
		return;
	(void)!fchown(fd, owner.st_uid, owner.st_gid);
}

const char *state_directory_get_path(void)
{
	const char *path = getenv("STATE_DIRECTORY");

	return path ? path : "/var/lib/procflow";
}

/* What faccessat(2) says is not the whole truth: root may write to /proc, says it. */
static int try_to_make(int parent_fd)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), ".procflow-check-%d", (int)getpid());
	if (mkdirat(parent_fd, name, MODE_DIRECTORY) < 0)
		return -errno;
	return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Opens the directory, or the nearest parent that there is; *ret_absent tells which. */
static int open_nearest(const char *path, bool *ret_absent)
{
	cleanup_free char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	*ret_absent = false;
	for (;;) {
		int fd = open(*copy ? copy : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		char *slash = strrchr(copy, '/');

		if (fd >= 0)
			return fd;
		if (errno != ENOENT || !slash)
			return -errno;
		*slash = '\0';
		*ret_absent = true;
	}
}

static int check_lock(int directory_fd)
{
	cleanup_close int fd =
		openat(directory_fd, "lock", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int state_directory_check(const char *path)
{
	bool is_absent;
	cleanup_close int fd = open_nearest(path, &is_absent);
	int r = fd < 0 ? fd : try_to_make(fd);

	if (r == 0 && !is_absent)
		r = check_lock(fd);
	return r == 0 && is_absent ? STATE_DIRECTORY_ABSENT : r;
}

static int open_lock(int directory_fd)
{
	cleanup_close int fd =
		openat(directory_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		       MODE_FILE);

	if (fd < 0)
		return -errno;
	give_to_owner(directory_fd, fd);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return steal_fd(&fd);
}

int state_directory_open(const char *path, struct state_directory *ret)
{
	cleanup_close int fd = open_directory(path);
	int lock;

	if (fd < 0)
		return fd;
	lock = open_lock(fd);
	if (lock < 0)
		return lock;
	*ret = (struct state_directory){.fd = steal_fd(&fd), .lock = lock};
	return 0;
}

void state_directory_close(struct state_directory *directory)
{
	if (directory->fd < 0)
		return;
	close(directory->fd);
	close(directory->lock);
	directory->fd = -1;
}

static int write_all(int fd, const struct buffer *content)
{
	for (size_t done = 0; done < content->length;) {
		ssize_t length = write(fd, content->bytes + done, content->length - done);

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return length < 0 ? -errno : -EIO;
		done += (size_t)length;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_temporary(int directory_fd, const struct buffer *content)
{
	cleanup_close int fd =
		openat(directory_fd, temporary_name,
		       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE_FILE);

	if (fd < 0)
		return -errno;
	give_to_owner(directory_fd, fd);
	return write_all(fd, content);
}

int state_directory_write(const struct state_directory *directory, const char *name,
			  const struct buffer *content)
{
	int r;

	if (content->failed)
		return -ENOMEM;
	r = state_directory_remove(directory, temporary_name);
	if (r < 0)
		return r;
	r = write_temporary(directory->fd, content);
	if (r == 0 && renameat(directory->fd, temporary_name, directory->fd, name) < 0)
		r = -errno;
	if (r == 0 && fsync(directory->fd) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(directory->fd, temporary_name, 0);
	return r;
}

int state_directory_read(const struct state_directory *directory, const char *name,
			 struct buffer *content)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us up. */
	cleanup_close int fd =
		openat(directory->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char bytes[4096];
	struct stat status;
	size_t total = 0;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	for (;;) {
		ssize_t length = read(fd, bytes, sizeof(bytes));

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return -errno;
		if (length == 0)
			return content->failed ? -ENOMEM : 0;
		total += (size_t)length;
		if (total > READ_MOST)
			return -EFBIG;
		buffer_add(content, bytes, (size_t)length);
	}
}

int state_directory_remove(const struct state_directory *directory, const char *name)
{
	if (unlinkat(directory->fd, name, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}

int state_directory_rename(const struct state_directory *directory, const char *from,
			   const char *to)
{
	return renameat(directory->fd, from, directory->fd, to) < 0 ? -errno : 0;
}

int state_directory_list(const struct state_directory *directory, const char *prefix,
			 void (*on_name)(void *userdata, const char *name), void *userdata)
{
	cleanup_close int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(closedir_cleanup) DIR *listing = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!listing)
		return -errno;
	steal_fd(&fd);
	for (errno = 0; (entry = readdir(listing)); errno = 0)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			on_name(userdata, entry->d_name);
	return -errno;
}
