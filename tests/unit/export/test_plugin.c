/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The shared objects of the build: exporter_test.so, and exporter_other.so, which is the same and so
 * has the wrong name inside. */

#include "unit.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "export/delivery.h"
#include "export/plugin.h"

static void find_directory(char directory[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", directory, PATH_MAX - sizeof("/export"));

	assert_true(length > 0);
	directory[length] = '\0';
	strcpy(strrchr(directory, '/'), "/export");
}

static void test_load(unused void **state)
{
	const struct delivery_ops *ops = NULL, *again = NULL;
	char directory[PATH_MAX];

	find_directory(directory);
	assert_true(plugin_is_installed(directory, "test"));
	assert_int_equal(plugin_load(directory, "test", "test", &ops), 0);
	assert_int_equal(plugin_load(directory, "test", "test", &again), 0);
	assert_ptr_equal(ops, again);
	assert_true(ops->wants_documents);
}

static void test_what_cannot_be_loaded(unused void **state)
{
	const struct delivery_ops *ops = NULL;
	char directory[PATH_MAX];

	find_directory(directory);
	assert_false(plugin_is_installed(directory, "missing"));
	assert_int_equal(plugin_load(directory, "missing", "test", &ops), -ENOENT);
	assert_int_equal(plugin_load(directory, "other", "test", &ops), -ELIBACC);
	assert_int_equal(plugin_load("/dev/null", "test", "test", &ops), -ENOENT);
	assert_null(ops);
}

static void test_directory_is_absolute(unused void **state)
{
	char directory[PATH_MAX];

	plugin_find_directory(directory);
	assert_int_equal(directory[0], '/');
}

struct outcome {
	unsigned finished, ready;
	uint32_t records;
	struct loop *loop;
	struct delivery *delivery;
	struct chunk *chunk;
};

static void on_finished(void *userdata, struct chunk *chunk, const struct delivery_outcome *result)
{
	struct outcome *outcome = userdata;

	assert_ptr_equal(chunk, outcome->chunk);
	outcome->finished++;
	outcome->records += result->sent;
	loop_stop(outcome->loop, 0);
}

static void on_ready(void *userdata)
{
	struct outcome *outcome = userdata;

	outcome->ready++;
	assert_int_equal(outcome->delivery->ops->submit(outcome->delivery, outcome->chunk), 0);
}

/* The object uses the program's loop and delivery functions, across the border. */
static void test_it_works(unused void **state)
{
	static const struct delivery_events events = {.on_finished = on_finished,
						      .on_ready = on_ready};
	static char name[] = "test";
	struct config_exporter config = {.name = name};
	struct exporter_counters counters = {0};
	struct outcome outcome = {0};
	struct chunk_pool pool = {0};
	struct delivery_options options = {
		.config = &config, .counters = &counters, .events = &events, .userdata = &outcome};
	struct chunk_document document = {.flow_id = 1, .number = 2, .offset = 0, .length = 5};
	const struct delivery_ops *ops;
	char directory[PATH_MAX];

	find_directory(directory);
	assert_int_equal(plugin_load(directory, "test", "test", &ops), 0);
	assert_int_equal(loop_new(&outcome.loop), 0);
	options.loop = outcome.loop;
	assert_int_equal(ops->open(&options, &outcome.delivery), 0);
	assert_string_equal(delivery_get_name(outcome.delivery), "test");
	outcome.chunk = chunk_new(&pool);
	buffer_add_text(&outcome.chunk->bytes, "hello\n");
	buffer_add(&outcome.chunk->documents, &document, sizeof(document));
	outcome.chunk->records = 1;
	assert_int_equal(ops->submit(outcome.delivery, outcome.chunk), -EAGAIN);
	assert_int_equal(loop_run(outcome.loop), 0);
	assert_int_equal(outcome.ready, 1);
	assert_int_equal(outcome.finished, 1);
	assert_int_equal(outcome.records, 1);
	assert_int_equal(counters.sent_bytes, 5);
	ops->close(outcome.delivery);
	chunk_free(&pool, outcome.chunk);
	chunk_pool_fini(&pool);
	loop_free(outcome.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_what_cannot_be_loaded),
		cmocka_unit_test(test_directory_is_absolute),
		cmocka_unit_test(test_it_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
