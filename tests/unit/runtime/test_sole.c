/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/sole.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"

static void test_one_a_namespace(unused void **state)
{
	pid_t other = 0;
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		skip();
	fd = sole_take(&other);
	assert_true(fd >= 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(sole_take(&other), -EBUSY);
	assert_int_equal(other, getpid());
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	close(sole_take(&other));
	close(fd);
	fd = sole_take(&other);
	assert_true(fd >= 0);
	close(fd);
}

static void take_as_nobody(int ready)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0procflow/daemon"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (setresuid(65534, 65534, 65534) == 0 &&
	    bind(fd, (struct sockaddr *)&address,
		 offsetof(struct sockaddr_un, sun_path) + strlen("procflow/daemon") + 1) == 0 &&
	    listen(fd, 1) == 0 && write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

/* Any user may take the name: that must not keep the daemon from starting. */
static void test_name_of_a_stranger(unused void **state)
{
	pid_t other = 0, stranger;
	int ready[2];
	char byte;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(pipe(ready), 0);
	stranger = fork();
	if (stranger == 0)
		take_as_nobody(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(sole_take(&other), -EACCES);
	assert_int_equal(other, 0);
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
	close(ready[0]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_a_namespace),
		cmocka_unit_test(test_name_of_a_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
