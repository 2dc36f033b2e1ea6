/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "sources/state_directory.h"
#include "support/temporary.h"

struct place {
	char *path;
	struct state_directory directory;
	struct buffer content;
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	place->path = temporary_make();
	buffer_init(&place->content);
	assert_int_equal(state_directory_open(place->path, &place->directory), 0);
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	state_directory_close(&place->directory);
	buffer_fini(&place->content);
	temporary_remove(place->path);
	free(place);
	return 0;
}

static void test_parents_are_made(void **state)
{
	struct place *place = *state;
	struct state_directory made;
	cleanup_free char *path = NULL;
	struct stat status;

	assert_true(asprintf(&path, "%s/a/b//c/", place->path) > 0);
	assert_int_equal(state_directory_open(path, &made), 0);
	assert_int_equal(fstat(made.fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0750);
	state_directory_close(&made);
	state_directory_close(&made); /* once more does nothing */
}

static void test_one_at_a_time(void **state)
{
	struct place *place = *state;
	struct state_directory second = {.fd = -1};

	assert_int_equal(state_directory_open(place->path, &second), -EBUSY);
	assert_int_equal(second.fd, -1);
	state_directory_close(&place->directory);
	assert_int_equal(state_directory_open(place->path, &place->directory), 0);
}

static void test_what_is_no_directory_is_refused(void **state)
{
	struct place *place = *state;
	struct state_directory opened;
	cleanup_free char *file = NULL, *below = NULL, *links = NULL, *lock = NULL;

	temporary_write(place->path, "file", "");
	assert_true(asprintf(&file, "%s/file", place->path) > 0);
	assert_true(asprintf(&below, "%s/file/below", place->path) > 0);
	assert_int_equal(state_directory_open(file, &opened), -ENOTDIR);
	assert_int_equal(state_directory_open(below, &opened), -ENOTDIR);
	assert_true(asprintf(&links, "%s/links", place->path) > 0);
	assert_true(asprintf(&lock, "%s/links/lock", place->path) > 0);
	assert_int_equal(mkdir(links, 0700), 0);
	assert_int_equal(symlink(file, lock), 0);
	assert_int_equal(state_directory_open(links, &opened), -ELOOP);
}

static void expect_content(struct place *place, const char *name, const char *text)
{
	buffer_clear(&place->content);
	assert_int_equal(state_directory_read(&place->directory, name, &place->content), 0);
	assert_int_equal(place->content.length, strlen(text));
	assert_memory_equal(place->content.bytes, text, strlen(text));
}

static void test_written_and_read(void **state)
{
	struct place *place = *state;

	/* A crash left its temporary file. */
	temporary_write(place->path, ".writing", "half");
	buffer_add_text(&place->content, "one\n");
	assert_int_equal(state_directory_write(&place->directory, "file", &place->content), 0);
	expect_content(place, "file", "one\n");
	buffer_clear(&place->content);
	buffer_add_text(&place->content, "longer than one\n");
	assert_int_equal(state_directory_write(&place->directory, "file", &place->content), 0);
	expect_content(place, "file", "longer than one\n");
	assert_false(temporary_has(place->path, ".writing"));
	assert_int_equal(state_directory_remove(&place->directory, "file"), 0);
	assert_int_equal(state_directory_remove(&place->directory, "file"), 0);
	assert_int_equal(state_directory_read(&place->directory, "file", &place->content), -ENOENT);
}

/* The old content is there until the new one is whole. */
static void test_a_failed_write_leaves_the_file(void **state)
{
	struct place *place = *state;

	temporary_write(place->path, "file", "old");
	temporary_write(place->path, ".writing/x", "");
	buffer_add_text(&place->content, "new");
	assert_true(state_directory_write(&place->directory, "file", &place->content) < 0);
	expect_content(place, "file", "old");
}

static void test_only_small_regular_files_are_read(void **state)
{
	struct place *place = *state;
	const struct state_directory *directory = &place->directory;
	cleanup_free char *large = calloc(1, 65538);

	assert_int_equal(symlinkat("lock", directory->fd, "link"), 0);
	assert_int_equal(mkfifoat(directory->fd, "fifo", 0600), 0);
	assert_int_equal(mkdirat(directory->fd, "folder", 0700), 0);
	memset(large, 'x', 65537);
	temporary_write(place->path, "large", large);
	assert_int_equal(state_directory_read(directory, "link", &place->content), -ELOOP);
	assert_int_equal(state_directory_read(directory, "fifo", &place->content), -EINVAL);
	assert_int_equal(state_directory_read(directory, "folder", &place->content), -EINVAL);
	assert_int_equal(state_directory_read(directory, "large", &place->content), -EFBIG);
}

static void on_name(void *userdata, const char *name)
{
	struct place *place = userdata;

	buffer_add_format(&place->content, "%s ", name);
	assert_int_equal(state_directory_remove(&place->directory, name), 0);
}

static void test_listed_by_prefix(void **state)
{
	struct place *place = *state;

	temporary_write(place->path, "sysctl-kernel", "");
	temporary_write(place->path, "other", "");
	for (unsigned pass = 0; pass < 2; pass++)
		assert_int_equal(state_directory_list(&place->directory, "sysctl-", on_name, place),
				 0);
	assert_int_equal(place->content.length, strlen("sysctl-kernel "));
	assert_memory_equal(place->content.bytes, "sysctl-kernel ", place->content.length);
	assert_true(temporary_has(place->path, "other"));
}

int main(void)
{
#define place_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		place_test(test_parents_are_made),
		place_test(test_one_at_a_time),
		place_test(test_what_is_no_directory_is_refused),
		place_test(test_written_and_read),
		place_test(test_a_failed_write_leaves_the_file),
		place_test(test_only_small_regular_files_are_read),
		place_test(test_listed_by_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
