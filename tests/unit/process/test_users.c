/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "support/temporary.h"

static void assert_name(struct users *users, uid_t uid, uint64_t now_ns, const char *wanted)
{
	char name[USER_NAME_SIZE];

	users_find_name(users, uid, now_ns, name);
	assert_string_equal(name, wanted);
}

static void names_follow_the_file(void **state)
{
	char *directory = temporary_make(), path[256];
	struct users *users;

	(void)state;
	snprintf(path, sizeof(path), "%s/passwd", directory);
	assert_int_equal(users_new(path, &users), 0);
	/* No file yet. */
	assert_name(users, 0, 0, "0");
	temporary_write(directory, "passwd",
			"root:x:0:0:root:/root:/bin/sh\n"
			"toor:x:0:0:the same:/root:/bin/sh\n"
			"broken line\n"
			"nobody:x:65534:65534::/:\n"
			"largest:x:4294967294:1::/:\n"
			"daemon:x:1:1::/:\n");
	/* Looked at again after a second, not before. */
	assert_name(users, 0, NS_PER_SEC - 1, "0");
	assert_name(users, 0, NS_PER_SEC, "root");
	assert_name(users, 1, NS_PER_SEC, "daemon");
	assert_name(users, 65534, NS_PER_SEC, "nobody");
	assert_name(users, 4294967294u, NS_PER_SEC, "largest");
	assert_name(users, 1000, NS_PER_SEC, "1000");
	temporary_write(directory, "passwd", "admin:x:0:0::/:\nalice:x:1000:1000::/:\n");
	assert_name(users, 0, 2 * NS_PER_SEC, "admin");
	assert_name(users, 1000, 2 * NS_PER_SEC, "alice");
	assert_name(users, 1, 2 * NS_PER_SEC, "1");
	unlink(path);
	assert_name(users, 0, 3 * NS_PER_SEC, "0");
	users_free(users);
	temporary_remove(directory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_follow_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
