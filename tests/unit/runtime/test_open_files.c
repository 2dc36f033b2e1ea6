/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/open_files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/resource.h>

#include "base/macros.h"

static void set_limit(rlim_t soft, rlim_t hard)
{
	struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void limit_goes_up_and_never_down(unused void **state)
{
	uint64_t limit = 0;
	int fd;

	set_limit(64, 512);
	assert_int_equal(open_files_raise(300, &limit), 0);
	assert_int_equal(limit, 300);
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 299);
	assert_int_equal(fd, 299);
	close(fd);
	assert_int_equal(open_files_raise(100, &limit), 0);
	assert_int_equal(limit, 300);
	assert_int_equal(open_files_raise(100000, &limit), 0);
	assert_int_equal(limit, 512);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_goes_up_and_never_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
