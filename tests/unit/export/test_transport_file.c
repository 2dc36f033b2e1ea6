/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "export/transport_ops.h"
#include "support/temporary.h"

static int open_link(const char *directory, const char *name, mode_t mode)
{
	static const struct transport_rotation rotation = {.size_bytes = 0};
	struct config_address to = {.port = 0};
	struct transport *transport = NULL;
	char path[256];
	int r;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	to.path = path;
	assert_int_equal(chmod(directory, mode), 0);
	r = transport_file_open(&to, "file", &rotation, &transport);
	if (r == 0)
		transport_close(transport);
	return r;
}

/* A link is the administrator's where nobody else can make one. */
static void test_links(unused void **state)
{
	char *directory = temporary_make();
	char target[256], link[256];

	temporary_write(directory, "target/victim", "before\n");
	snprintf(target, sizeof(target), "%s/target/victim", directory);
	snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(open_link(directory, "link", 0700), 0);
	assert_int_equal(open_link(directory, "link", 0755), 0);
	assert_int_equal(open_link(directory, "link", 0777), -ELOOP);
	assert_int_equal(open_link(directory, "link", 01777), -ELOOP);
	if (geteuid() == 0) {
		assert_int_equal(chown(directory, 64990, 0), 0);
		assert_int_equal(open_link(directory, "link", 0755), -ELOOP);
		assert_int_equal(open_link(directory, "plain", 0755), 0);
		assert_int_equal(open_link(directory, "plain", 0755), 0);
	}
	temporary_remove(directory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
