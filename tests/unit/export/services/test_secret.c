/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "../unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/services/secret.h"

static char path[] = "/tmp/procflow-secret-XXXXXX";

static int make_file(unused void **state)
{
	int fd;

	strcpy(path, "/tmp/procflow-secret-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(unused void **state)
{
	return unlink(path);
}

static void write_file(const char *bytes, size_t length, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void check_read(const char *bytes, size_t length, int expected, const char *secret)
{
	char read[16] = "?";

	write_file(bytes, length, 0600);
	assert_int_equal(secret_read(path, read, sizeof(read)), expected);
	if (secret)
		assert_string_equal(read, secret);
}

static void test_lines(unused void **state)
{
	check_read("s3cret", 6, 0, "s3cret");
	check_read("s3cret\n", 7, 0, "s3cret");
	check_read("with blank\r\n", 12, 0, "with blank");
	check_read("", 0, -EINVAL, NULL);
	check_read("\n", 1, -EINVAL, NULL);
	check_read("a\nb", 3, -EINVAL, NULL);
	check_read("a\0b", 3, -EINVAL, NULL);
	check_read("fifteen-letters", 15, 0, "fifteen-letters");
	check_read("sixteen-letters.", 16, -EFBIG, NULL);
}

static void test_modes(unused void **state)
{
	static const struct {
		mode_t mode;
		int expected;
	} cases[] = {{0400, 0},	     {0600, 0},	     {0640, 0},	     {0440, 0},
		     {0644, -EPERM}, {0604, -EPERM}, {0660, -EPERM}, {0602, -EPERM}};
	char read[16];

	for (size_t i = 0; i < array_length(cases); i++) {
		write_file("x", 1, cases[i].mode);
		assert_int_equal(secret_read(path, read, sizeof(read)), cases[i].expected);
	}
}

static void test_what_is_no_file(unused void **state)
{
	char read[16];

	assert_int_equal(secret_read("/nonexistent/secret", read, sizeof(read)), -ENOENT);
	assert_int_equal(secret_read("/tmp", read, sizeof(read)), -EINVAL);
	assert_int_equal(secret_read("/dev/null", read, sizeof(read)), -EINVAL);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(secret_read(path, read, sizeof(read)), -EINVAL);
	assert_string_equal(secret_describe(-ENOENT), strerror(ENOENT));
	assert_non_null(secret_describe(-EPERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, make_file, remove_file),
		cmocka_unit_test_setup_teardown(test_modes, make_file, remove_file),
		cmocka_unit_test_setup_teardown(test_what_is_no_file, make_file, remove_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
