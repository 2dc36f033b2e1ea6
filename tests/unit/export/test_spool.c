/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/spool.h"

enum { MOST = 1 << 20, FORMAT = 7 };

struct fixture {
	char directory[64], own[96];
	struct spool *spool;
	struct chunk_pool pool;
};

static int try_to_open(struct fixture *fixture, uint64_t format, struct spool **ret)
{
	struct spool_options options = {.directory = fixture->directory,
					.name = "a/b",
					.max_bytes = MOST,
					.format = format};

	return spool_open(&options, ret);
}

static void open_spool(struct fixture *fixture)
{
	assert_int_equal(try_to_open(fixture, FORMAT, &fixture->spool), 0);
}

static void close_spool(struct fixture *fixture)
{
	spool_close(fixture->spool);
	fixture->spool = NULL;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/procflow-spool-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->own, sizeof(fixture->own), "%s/a_b", fixture->directory);
	open_spool(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	spool_close(fixture->spool);
	chunk_pool_fini(&fixture->pool);
	snprintf(command, sizeof(command), "rm -r %s", fixture->directory);
	free(fixture);
	return system(command);
}

/* A chunk of "number" lines, each of which says so. */
static int append(struct fixture *fixture, unsigned number, uint64_t *ret_at)
{
	struct chunk *chunk = chunk_new(&fixture->pool);
	struct chunk_document document = {.flow_id = number};
	int r;

	for (unsigned i = 0; i < number; i++) {
		buffer_add_format(&chunk->bytes, "{\"number\":%u}\n", number);
		buffer_add(&chunk->documents, &document, sizeof(document));
	}
	chunk->records = number;
	chunk->is_lines = true;
	r = spool_append(fixture->spool, chunk);
	if (ret_at)
		*ret_at = chunk->spool_at;
	chunk_free(&fixture->pool, chunk);
	return r;
}

/* The number of the next chunk; 0: there is none. */
static unsigned read_next(struct fixture *fixture, uint64_t *ret_at)
{
	struct chunk *chunk;
	const uint8_t *at;
	unsigned number = 0;

	if (spool_read(fixture->spool, &fixture->pool, &chunk) != 0)
		return 0;
	assert_true(chunk->is_lines);
	/* Nothing ends the bytes, so no atoi(3): it may look as far as it likes. */
	for (at = chunk->bytes.bytes + strlen("{\"number\":"); *at >= '0' && *at <= '9'; at++)
		number = number * 10 + *at - '0';
	assert_int_equal(chunk_count_documents(chunk), number);
	assert_int_equal(chunk_get_documents(chunk)[0].flow_id, number);
	assert_int_equal(chunk->records + chunk->sent, number);
	assert_int_equal(chunk_count_lines(chunk, chunk->bytes.length), chunk->records);
	if (ret_at)
		*ret_at = chunk->spool_at;
	chunk_free(&fixture->pool, chunk);
	return number;
}

static void test_first_in_first_out_over_a_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t at;

	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(append(fixture, i, NULL), 0);
	assert_int_equal(spool_count_unread(fixture->spool), 15);
	assert_int_equal(read_next(fixture, NULL), 1);
	assert_int_equal(read_next(fixture, &at), 2);
	spool_set_done(fixture->spool, at, 0, 0);
	close_spool(fixture);
	open_spool(fixture);
	assert_int_equal(spool_count_unread(fixture->spool), 14);
	assert_int_equal(append(fixture, 6, NULL), 0);
	for (unsigned i = 2; i <= 6; i++)
		assert_int_equal(read_next(fixture, NULL), i);
	assert_int_equal(read_next(fixture, NULL), 0);
	assert_int_equal(spool_count_unread(fixture->spool), 0);
}

/* Of the first chunk three lines had arrived. */
static void test_a_part_is_done(void **state)
{
	struct fixture *fixture = *state;
	uint64_t at;

	assert_int_equal(append(fixture, 7, &at), 0);
	spool_set_done(fixture->spool, at, 3 * strlen("{\"number\":7}\n"), 3);
	close_spool(fixture);
	open_spool(fixture);
	assert_int_equal(spool_count_unread(fixture->spool), 4);
	assert_int_equal(read_next(fixture, NULL), 7);
	assert_int_equal(spool_count_unread(fixture->spool), 0);
}

static void test_in_use(void **state)
{
	struct fixture *fixture = *state;
	struct spool *other = NULL;

	assert_int_equal(try_to_open(fixture, FORMAT, &other), -EBUSY);
	assert_null(other);
}

static void test_bound_and_its_files(void **state)
{
	struct fixture *fixture = *state;
	unsigned count = 0, first = 0;
	uint64_t at;

	while (append(fixture, 1000, NULL) == 0)
		count++;
	assert_int_equal(append(fixture, 1000, NULL), SPOOL_FULL);
	assert_in_range(count, 5, 100);
	/* Room comes with whole files. */
	do {
		assert_int_equal(read_next(fixture, NULL), 1000);
		first++;
		at = spool_get_unread_at(fixture->spool);
		spool_set_done(fixture->spool, at, 0, 0);
	} while (append(fixture, 1000, NULL) == SPOOL_FULL);
	assert_true(first < count);
	close_spool(fixture);
	open_spool(fixture);
	assert_int_equal(spool_count_unread(fixture->spool), (count - first + 1) * 1000);
}

static void damage(struct fixture *fixture, const char *name, off_t cut, off_t at)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", fixture->own, name);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	if (cut)
		assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - cut), 0);
	else
		assert_int_equal(pwrite(fd, "?", 1, at), 1);
	close(fd);
}

static const char first_file[] = "0000000000000000";

static void test_torn_tail(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(append(fixture, i, NULL), 0);
	close_spool(fixture);
	damage(fixture, first_file, 1, 0);
	open_spool(fixture);
	assert_int_equal(spool_count_unread(fixture->spool), 3);
	assert_int_equal(spool_take_lost(fixture->spool), 3); /* its head is whole */
	assert_int_equal(append(fixture, 4, NULL), 0);
	assert_int_equal(read_next(fixture, NULL), 1);
	assert_int_equal(read_next(fixture, NULL), 2);
	assert_int_equal(read_next(fixture, NULL), 4);
	assert_int_equal(read_next(fixture, NULL), 0);
	assert_int_equal(spool_take_lost(fixture->spool), 0);
}

static void remove_own(const struct fixture *fixture)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", fixture->own);
	assert_int_equal(system(command), 0);
}

/* Reads all; how many records were in what came, in order and never twice. */
static unsigned read_all(struct fixture *fixture)
{
	unsigned number, before = 0, records = 0;

	while ((number = read_next(fixture, NULL)) != 0) {
		assert_true(number > before);
		before = number;
		records += number;
	}
	assert_int_equal(spool_count_unread(fixture->spool), 0);
	return records;
}

/* Whichever byte of the second of four is wrong, the others are read; what is lost is counted, when
 * the spool was open already always, at the start where the head is whole. */
static void check_wrong_byte(struct fixture *fixture, uint64_t at, bool is_open)
{
	unsigned lost, records;

	for (unsigned i = 1; i <= 4; i++)
		assert_int_equal(append(fixture, i, NULL), 0);
	if (!is_open)
		close_spool(fixture);
	damage(fixture, first_file, 0, (off_t)at);
	if (!is_open)
		open_spool(fixture);
	lost = (unsigned)spool_take_lost(fixture->spool);
	records = read_all(fixture);
	lost += (unsigned)spool_take_lost(fixture->spool);
	assert_int_equal(records, 10 - 2);
	if (is_open)
		assert_int_equal(lost, 2);
	else
		assert_true(lost == 2 || lost == 0);
	close_spool(fixture);
	remove_own(fixture);
	open_spool(fixture);
}

static void test_any_wrong_byte(void **state)
{
	struct fixture *fixture = *state;
	uint64_t begin, end;

	assert_int_equal(append(fixture, 1, NULL), 0);
	assert_int_equal(append(fixture, 2, &begin), 0);
	assert_int_equal(append(fixture, 3, &end), 0);
	close_spool(fixture);
	remove_own(fixture);
	open_spool(fixture);
	for (uint64_t at = begin; at < end; at += 3) {
		check_wrong_byte(fixture, at, true);
		check_wrong_byte(fixture, at, false);
	}
}

/* A whole file that went away under it, in the middle. */
static void test_a_file_that_is_gone(void **state)
{
	struct fixture *fixture = *state;
	unsigned count = 0, read = 0, lost;
	char path[160];
	uint64_t at;

	do {
		assert_int_equal(append(fixture, 1000, &at), 0);
		count++;
	} while (at < MOST / 8 * 2);
	snprintf(path, sizeof(path), "%s/%s", fixture->own, first_file);
	assert_int_equal(unlink(path), 0);
	while (read_next(fixture, NULL) != 0)
		read++;
	lost = (unsigned)spool_take_lost(fixture->spool);
	assert_true(read > 0 && read < count);
	assert_int_equal(lost, (count - read) * 1000);
	assert_int_equal(spool_count_unread(fixture->spool), 0);
}

/* The same name and directory, and another language. */
static void test_another_format(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(append(fixture, i, NULL), 0);
	close_spool(fixture);
	assert_int_equal(try_to_open(fixture, FORMAT + 1, &fixture->spool), 0);
	assert_int_equal(spool_count_unread(fixture->spool), 6);
	assert_int_equal(append(fixture, 4, NULL), 0);
	assert_int_equal(read_next(fixture, NULL), 4);
	assert_int_equal(read_next(fixture, NULL), 0);
	assert_int_equal(spool_take_lost(fixture->spool), 6);
	assert_int_equal(spool_count_unread(fixture->spool), 0);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_first_in_first_out_over_a_restart),
		with_fixture(test_a_part_is_done),
		with_fixture(test_in_use),
		with_fixture(test_bound_and_its_files),
		with_fixture(test_torn_tail),
		with_fixture(test_any_wrong_byte),
		with_fixture(test_a_file_that_is_gone),
		with_fixture(test_another_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
