/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What /proc shows of processes and their descriptors, as attribution leans on it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/actor.h"

static int open_below(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d%s", pid, name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Fact 11: whether or not open() succeeds, nothing is ever listed, and nothing of another process. */
static void a_dead_process_has_no_descriptors(void **state)
{
	struct actor actor = actor_start();
	int directory = open_below(actor.pid, "");
	int descriptors = open_below(actor.pid, "/fd");
	char target[64];
	struct stat status;
	DIR *stream;

	(void)state;
	assert_true(directory >= 0);
	assert_true(descriptors >= 0);
	assert_true(readlinkat(directory, "fd/3", target, sizeof(target)) > 0);
	actor_stop(&actor);
	assert_int_equal(readlinkat(directory, "fd/3", target, sizeof(target)), -1);
	assert_int_equal(openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1);
	assert_true(errno == ENOENT || errno == ESRCH);
	/* What was open stays open: either it cannot be made a stream (6.2 and later count the
	 * descriptors in fstat()), or it is empty. */
	stream = fdopendir(descriptors);
	fprintf(stderr, "fdopendir of a dead process: %s, fstat %d\n",
		stream ? "works" : strerror(errno), fstat(descriptors, &status));
	if (stream) {
		struct dirent *entry;

		while ((entry = readdir(stream)))
			assert_int_equal(entry->d_name[0], '.');
		closedir(stream);
	} else {
		close(descriptors);
	}
	close(directory);
}

static int64_t do_socket(int64_t unused_argument)
{
	(void)unused_argument;
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int64_t do_socket_inode(int64_t fd)
{
	struct stat status;

	return fstat((int)fd, &status) < 0 ? -errno : (int64_t)status.st_ino;
}

static void the_link_tells_the_sockets_inode(void **state)
{
	struct actor actor = actor_start();
	int64_t fd = actor_tell(&actor, do_socket, 0);
	int64_t inode = actor_tell(&actor, do_socket_inode, fd);
	char path[64], target[64] = "", wanted[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", actor.pid, (int)fd);
	snprintf(wanted, sizeof(wanted), "socket:[%lld]", (long long)inode);
	assert_true(readlink(path, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, wanted);
	actor_stop(&actor);
}

/* A new descriptor gets the lowest free number, and they are listed in order. */
static void descriptors_are_listed_in_order(void **state)
{
	struct actor actor = actor_start();
	int previous = -1;
	struct dirent *entry;
	DIR *stream;

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(actor_tell(&actor, do_socket, 0), 4 + i);
	stream = fdopendir(open_below(actor.pid, "/fd"));
	assert_non_null(stream);
	while ((entry = readdir(stream))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_true(atoi(entry->d_name) > previous);
		previous = atoi(entry->d_name);
	}
	assert_int_equal(previous, 53);
	closedir(stream);
	actor_stop(&actor);
}

static pid_t read_newest(void)
{
	char text[128] = "";
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);

	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return atoi(strrchr(text, ' '));
}

/* Others start processes too: the number is at least ours, or numbers came round. */
static void loadavg_tells_the_newest_pid(void **state)
{
	pid_t before = read_newest();
	struct actor actor = actor_start();
	pid_t after = read_newest();

	(void)state;
	if (after < before)
		skip();
	assert_true(actor.pid > before);
	assert_true(actor.pid <= after);
	actor_stop(&actor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_process_has_no_descriptors),
		cmocka_unit_test(the_link_tells_the_sockets_inode),
		cmocka_unit_test(descriptors_are_listed_in_order),
		cmocka_unit_test(loadavg_tells_the_newest_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
