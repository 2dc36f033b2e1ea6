/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A service that the test plays: it takes at most "room" chunks and keeps them until the test says
 * what became of them. */

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "export/outbox.h"
#include "support/temporary.h"

/* The file of the configuration is only there so that the outbox opens a delivery; the test puts its
 * own in front of it. */
struct fixture {
	struct config_exporter config;
	struct chunk_pool pool;
	struct loop *loop;
	struct outbox *outbox;
	struct exporter_counters *counters;
	struct delivery_ops ops;
	struct chunk *taken[64];
	size_t count, room;
	unsigned sessions, gaps;
	char *directory; /* of the spool, where there is one */
};

static struct fixture *the_fixture;

static int submit(unused struct delivery *delivery, struct chunk *chunk)
{
	struct fixture *fixture = the_fixture;

	if (fixture->count >= fixture->room)
		return -EAGAIN;
	fixture->taken[fixture->count++] = chunk;
	return 0;
}

static void add(struct fixture *fixture, uint32_t records)
{
	struct chunk *chunk = chunk_new(&fixture->pool);

	for (uint32_t i = 0; i < records; i++)
		buffer_add_text(&chunk->bytes, "line\n");
	chunk->records = records;
	chunk->packets = records;
	chunk->is_lines = true;
	fixture->counters->accepted_records += records;
	outbox_add(fixture->outbox, chunk);
}

static void on_session(void *userdata)
{
	struct fixture *fixture = userdata;

	fixture->sessions++;
	for (int i = 0; i < 2; i++) {
		struct chunk *chunk = chunk_new(&fixture->pool);

		buffer_add_format(&chunk->bytes, "preamble %d", i);
		chunk->is_preamble = true;
		chunk->templates = 1;
		outbox_add(fixture->outbox, chunk);
	}
}

static void on_gap(void *userdata)
{
	((struct fixture *)userdata)->gaps++;
}

static int open_fixture(void **state, char *directory)
{
	static char path[] = "/dev/null", name[] = "test";
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct outbox_options options = {.config = &fixture->config,
					 .pool = &fixture->pool,
					 .on_session = on_session,
					 .on_gap = on_gap,
					 .userdata = fixture};

	fixture->config =
		(struct config_exporter){.name = name,
					 .type = CONFIG_EXPORTER_JSON,
					 .queue = 100,
					 .spool = directory,
					 .spool_max_bytes = 1 << 20,
					 .to = {.transport = CONFIG_TRANSPORT_FILE, .path = path}};
	fixture->directory = directory;
	assert_int_equal(loop_new(&fixture->loop), 0);
	options.loop = fixture->loop;
	assert_int_equal(outbox_new(&options, &fixture->outbox), 0);
	fixture->counters = outbox_get_counters(fixture->outbox);
	fixture->ops = *outbox_get_delivery(fixture->outbox)->ops;
	fixture->ops.submit = submit;
	outbox_get_delivery(fixture->outbox)->ops = &fixture->ops;
	the_fixture = fixture;
	*state = fixture;
	return 0;
}

static int set_up(void **state)
{
	return open_fixture(state, NULL);
}

static int set_up_spool(void **state)
{
	return open_fixture(state, temporary_make());
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	outbox_free(fixture->outbox);
	chunk_pool_fini(&fixture->pool);
	loop_free(fixture->loop);
	temporary_remove(fixture->directory);
	free(fixture);
	return 0;
}

static void check_sum(const struct fixture *fixture)
{
	const struct exporter_counters *counters = fixture->counters;

	assert_int_equal(counters->accepted_records,
			 counters->sent_records + counters->waiting_records +
				 exporter_counters_sum_dropped(counters));
}

static struct chunk *take_first(struct fixture *fixture)
{
	struct chunk *chunk = fixture->taken[0];

	assert_true(fixture->count > 0);
	fixture->count--;
	for (size_t i = 0; i < fixture->count; i++)
		fixture->taken[i] = fixture->taken[i + 1];
	return chunk;
}

static void test_a_full_delivery_is_asked_again(void **state)
{
	struct fixture *fixture = *state;
	struct delivery *delivery = outbox_get_delivery(fixture->outbox);

	fixture->room = 2;
	for (uint32_t i = 1; i <= 5; i++)
		add(fixture, i);
	assert_int_equal(fixture->count, 2);
	check_sum(fixture);
	for (uint32_t i = 1; i <= 5; i++) {
		struct chunk *chunk = take_first(fixture);

		assert_int_equal(chunk->records, i);
		delivery_finish_sent(delivery, chunk);
		check_sum(fixture);
		delivery_ready(delivery);
	}
	assert_int_equal(fixture->counters->sent_records, 15);
	assert_int_equal(fixture->counters->waiting_records, 0);
}

static void test_the_oldest_that_waits_makes_room(void **state)
{
	struct fixture *fixture = *state;
	struct delivery *delivery = outbox_get_delivery(fixture->outbox);
	uint64_t packets, octets;

	fixture->room = 1;
	for (uint32_t i = 0; i < 12; i++)
		add(fixture, 10);
	assert_int_equal(fixture->counters->dropped_queue_full, 20);
	assert_int_equal(fixture->counters->waiting_records, 100);
	assert_int_equal(fixture->taken[0]->order, 1ull << 32);
	check_sum(fixture);
	outbox_get_lost_flows(fixture->outbox, &packets, &octets);
	assert_int_equal(packets, 20);
	assert_true(fixture->gaps >= 2);
	delivery_finish_sent(delivery, take_first(fixture));
	delivery_ready(delivery);
	assert_int_equal(fixture->taken[0]->order, (1ull << 32) + 3);
}

static void test_what_comes_back_keeps_its_place(void **state)
{
	struct fixture *fixture = *state;
	struct delivery *delivery = outbox_get_delivery(fixture->outbox);
	struct chunk *one, *two;

	fixture->room = 2;
	for (uint32_t i = 1; i <= 4; i++)
		add(fixture, i + 5);
	one = take_first(fixture);
	two = take_first(fixture);
	fixture->room = 0;
	two->begin = 5 * 5;
	delivery_return(delivery, two, 5); /* five of its seven lines had arrived */
	delivery_return(delivery, one, 0);
	check_sum(fixture);
	assert_int_equal(fixture->counters->sent_records, 5);
	fixture->room = 4;
	delivery_ready(delivery);
	assert_int_equal(fixture->count, 4);
	assert_ptr_equal(fixture->taken[0], one);
	assert_ptr_equal(fixture->taken[1], two);
	assert_int_equal(two->records, 2);
	assert_int_equal(fixture->taken[3]->records, 9);
}

static void test_each_fate_has_its_counter(void **state)
{
	struct fixture *fixture = *state;
	struct delivery *delivery = outbox_get_delivery(fixture->outbox);

	fixture->room = 1;
	add(fixture, 10);
	delivery_finish(delivery, take_first(fixture),
			&(struct delivery_outcome){
				.sent = 1, .refused = 2, .unreachable = 3, .too_large = 4});
	assert_int_equal(fixture->counters->sent_records, 1);
	assert_int_equal(fixture->counters->dropped_refused, 2);
	assert_int_equal(fixture->counters->dropped_unreachable, 3);
	assert_int_equal(fixture->counters->dropped_too_large, 4);
	check_sum(fixture);
}

/* Templates go in front of what waited, once a session, and die with it. */
static void test_a_session_begins_with_its_preamble(void **state)
{
	struct fixture *fixture = *state;
	struct delivery *delivery = outbox_get_delivery(fixture->outbox);

	add(fixture, 3);
	delivery_begin_session(delivery);
	delivery_begin_session(delivery);
	fixture->room = 2;
	delivery_ready(delivery);
	assert_int_equal(fixture->count, 2);
	assert_memory_equal(fixture->taken[0]->bytes.bytes, "preamble 0", 10);
	assert_memory_equal(fixture->taken[1]->bytes.bytes, "preamble 1", 10);
	check_sum(fixture);
	delivery_finish_sent(delivery, take_first(fixture));
	delivery_return(delivery, take_first(fixture), 0);
	assert_int_equal(fixture->counters->templates_sent, 1);
	delivery_ready(delivery);
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->taken[0]->records, 3);
	check_sum(fixture);
}

static void test_closed_for_good(void **state)
{
	struct fixture *fixture = *state;

	add(fixture, 3);
	add(fixture, 4);
	delivery_report_closed(outbox_get_delivery(fixture->outbox));
	assert_true(outbox_is_closed(fixture->outbox));
	assert_int_equal(fixture->counters->dropped_unreachable, 7);
	add(fixture, 5);
	assert_int_equal(fixture->counters->dropped_unreachable, 12);
	check_sum(fixture);
}

/* More than the queue holds was on its way when the connection was lost. */
static void test_what_comes_back_is_on_disk(void **state)
{
	struct fixture *fixture = *state;
	struct delivery *delivery = outbox_get_delivery(fixture->outbox);
	unsigned preambles = 0;

	fixture->room = array_length(fixture->taken);
	for (uint32_t i = 0; i < 30; i++)
		add(fixture, 10);
	assert_int_equal(fixture->count, 30);
	fixture->room = 0;
	while (fixture->count > 0)
		delivery_return(delivery, fixture->taken[--fixture->count], 0);
	delivery_begin_session(delivery);
	add(fixture, 10);
	assert_int_equal(exporter_counters_sum_dropped(fixture->counters), 0);
	fixture->room = array_length(fixture->taken);
	delivery_ready(delivery);
	assert_int_equal(fixture->count, 2 + 31);
	for (; fixture->count > 0; preambles += fixture->taken[--fixture->count]->is_preamble)
		assert_true(fixture->count == 1 ||
			    fixture->taken[fixture->count - 2]->order <
				    fixture->taken[fixture->count - 1]->order);
	assert_int_equal(preambles, 2);
	check_sum(fixture);
}

/* Any order of everything that can happen keeps the sum and the order. */
static void test_random(void **state)
{
	struct fixture *fixture = *state;
	struct delivery *delivery = outbox_get_delivery(fixture->outbox);

	srandom(5);
	for (unsigned i = 0; i < 20000; i++) {
		fixture->room = (size_t)random() % 8;
		switch (random() % 5) {
		case 0:
		case 1:
			add(fixture, (uint32_t)random() % 20);
			break;
		case 2:
			if (fixture->count > 0)
				delivery_finish_sent(delivery, take_first(fixture));
			break;
		case 3:
			while (fixture->count > 0)
				delivery_return(delivery, fixture->taken[--fixture->count], 0);
			break;
		default:
			delivery_ready(delivery);
			break;
		}
		check_sum(fixture);
		for (size_t j = 1; j < fixture->count; j++)
			assert_true(fixture->taken[j - 1]->order < fixture->taken[j]->order);
	}
	assert_true(fixture->counters->dropped_queue_full > 0);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_a_full_delivery_is_asked_again),
		with_fixture(test_the_oldest_that_waits_makes_room),
		with_fixture(test_what_comes_back_keeps_its_place),
		with_fixture(test_each_fate_has_its_counter),
		with_fixture(test_a_session_begins_with_its_preamble),
		with_fixture(test_closed_for_good),
		cmocka_unit_test_setup_teardown(test_what_comes_back_is_on_disk, set_up_spool,
						tear_down),
		with_fixture(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
