/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the source makes of losses and errors, over a double of the channel that gives them. */

#include "sources/conntrack.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "netlink/channel.h"
#include "runtime/loop.h"

enum { EVENTS, QUESTIONS, LISTING, CHANNELS };
enum { KERNEL_MOST = 700 };
#define KIBI(n) ((n)*1024ull)

struct netlink_channel {
	int fd;
	int result; /* of the next netlink_channel_receive() */
	size_t asked_bytes;
	unsigned dumps;
};

static struct netlink_channel *opened[CHANNELS + 2];
static size_t open_count, close_count;

int netlink_channel_open(unused int bus, struct netlink_channel **ret)
{
	struct netlink_channel *channel = calloc(1, sizeof(*channel));

	assert_non_null(channel);
	assert_true(open_count < array_length(opened));
	channel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	opened[open_count++] = channel;
	*ret = channel;
	return 0;
}

void netlink_channel_close(struct netlink_channel *channel)
{
	if (!channel)
		return;
	close_count++;
	close(channel->fd);
	free(channel);
}

int netlink_channel_get_fd(const struct netlink_channel *channel)
{
	return channel->fd;
}

int netlink_channel_join(unused struct netlink_channel *channel, unused unsigned group)
{
	return 0;
}

/* As the kernel: the double is given, and not without a bound. */
ssize_t netlink_channel_set_receive_buffer(struct netlink_channel *channel, size_t bytes)
{
	channel->asked_bytes = bytes;
	return (ssize_t)(bytes * 2 < KIBI(KERNEL_MOST) ? bytes * 2 : KIBI(KERNEL_MOST));
}

uint64_t netlink_channel_get_batches(unused const struct netlink_channel *channel)
{
	return 1;
}

int netlink_channel_request(unused struct netlink_channel *channel, unused struct nlmsghdr *request,
			    unused netlink_on_message on_message, unused void *userdata)
{
	return -ENOENT;
}

int netlink_channel_dump(struct netlink_channel *channel, unused struct nlmsghdr *request)
{
	channel->dumps++;
	return 0;
}

int netlink_channel_receive(struct netlink_channel *channel, unused unsigned most,
			    unused netlink_on_message on_message, unused void *userdata)
{
	uint64_t count;

	assert_int_equal(read(channel->fd, &count, sizeof(count)), sizeof(count));
	return channel->result;
}

struct fixture {
	struct loop *loop;
	struct conntrack *conntrack;
	unsigned listed, torn;
};

static void ignore_event(unused void *userdata, unused const struct flow_event *event)
{
}

static void ignore_listing(unused void *userdata, unused enum conntrack_listing listing)
{
}

static void on_listed(void *userdata, unused enum conntrack_listing listing, bool is_torn)
{
	struct fixture *fixture = userdata;

	fixture->listed++;
	fixture->torn += is_torn;
}

static void set_up(struct fixture *fixture)
{
	struct conntrack_options options = {.receive_buffer_bytes = KIBI(100),
					    .receive_buffer_max_bytes = KIBI(500),
					    .handlers = {.on_event = ignore_event,
							 .on_listed = on_listed,
							 .on_listing_begins = ignore_listing,
							 .userdata = fixture}};

	open_count = close_count = 0;
	*fixture = (struct fixture){0};
	assert_int_equal(loop_new(&fixture->loop), 0);
	assert_int_equal(conntrack_new(fixture->loop, &options, &fixture->conntrack), 0);
	assert_int_equal(open_count, CHANNELS);
}

static void tear_down(struct fixture *fixture)
{
	conntrack_free(fixture->conntrack);
	loop_free(fixture->loop);
	assert_int_equal(close_count, open_count);
}

/* The channel has something to read, and that is "result". */
static void give(struct fixture *fixture, struct netlink_channel *channel, int result)
{
	const uint64_t one = 1;

	channel->result = result;
	assert_int_equal(write(channel->fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(loop_run_once(fixture->loop, 10 * NS_PER_SEC), 0);
}

static void overruns_enlarge_the_buffer_up_to_the_bound(unused void **state)
{
	static const uint64_t asked[] = {KIBI(200), KIBI(400), KIBI(500), KIBI(500)};
	static const uint64_t given[] = {KIBI(400), KIBI(KERNEL_MOST), KIBI(KERNEL_MOST),
					 KIBI(KERNEL_MOST)};
	const struct conntrack_counters *counters;
	struct fixture fixture;

	set_up(&fixture);
	counters = conntrack_get_counters(fixture.conntrack);
	assert_int_equal(counters->receive_buffer_bytes, KIBI(200));
	for (size_t i = 0; i < array_length(asked); i++) {
		give(&fixture, opened[EVENTS], -ENOBUFS);
		assert_int_equal(counters->overruns, i + 1);
		assert_int_equal(opened[EVENTS]->asked_bytes, asked[i]);
		assert_int_equal(counters->receive_buffer_bytes, given[i]);
	}
	assert_int_equal(counters->receive_errors, 0);
	tear_down(&fixture);
}

/* The listing is asked for when the queue was read empty: what was lost until then is not told again. */
static void a_loss_needs_a_listing_until_one_begins(unused void **state)
{
	struct fixture fixture;

	set_up(&fixture);
	give(&fixture, opened[LISTING], NETLINK_DONE);
	assert_false(conntrack_needs_resync(fixture.conntrack));
	give(&fixture, opened[EVENTS], -ENOBUFS);
	assert_true(conntrack_needs_resync(fixture.conntrack));
	assert_int_equal(opened[LISTING]->dumps, 1); /* not at once */
	give(&fixture, opened[EVENTS], NETLINK_DRAINED);
	assert_int_equal(conntrack_list(fixture.conntrack, CONNTRACK_LISTING_SWEEP), 0);
	assert_false(conntrack_needs_resync(fixture.conntrack));
	assert_int_equal(conntrack_get_counters(fixture.conntrack)->resyncs, 1);
	tear_down(&fixture);
}

static void a_listing_that_fails_does_not_hold_up_the_next(unused void **state)
{
	static const int errors[] = {-EMSGSIZE, -ENOBUFS, -ENOMEM};
	const struct conntrack_counters *counters;

	for (size_t i = 0; i < array_length(errors); i++) {
		struct fixture fixture;

		set_up(&fixture);
		counters = conntrack_get_counters(fixture.conntrack);
		assert_true(conntrack_is_listing(fixture.conntrack));
		give(&fixture, opened[LISTING], errors[i]);
		assert_false(conntrack_is_listing(fixture.conntrack));
		assert_int_equal(fixture.listed, 1);
		assert_int_equal(fixture.torn, 1);
		assert_int_equal(counters->failed_listings, 1);
		assert_int_equal(close_count, 1); /* the kernel may still be at it there */
		assert_int_equal(conntrack_list(fixture.conntrack, CONNTRACK_LISTING_SWEEP), 0);
		assert_int_equal(open_count, CHANNELS + 1);
		assert_int_equal(opened[CHANNELS]->dumps, 1);
		give(&fixture, opened[CHANNELS], NETLINK_DONE);
		assert_int_equal(fixture.listed, 2);
		assert_int_equal(fixture.torn, 1);
		tear_down(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overruns_enlarge_the_buffer_up_to_the_bound),
		cmocka_unit_test(a_loss_needs_a_listing_until_one_begins),
		cmocka_unit_test(a_listing_that_fails_does_not_hold_up_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
