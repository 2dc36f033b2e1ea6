/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/conntrack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "netlink/channel.h"
#include "sources/conntrack_filter.h"
#include "sources/conntrack_parse.h"
#include "sources/resync.h"

/* Messages a turn of the loop: some milliseconds of work at most, so that timers keep their time.
 */
enum { EVENTS_PER_TURN = 1024, LISTED_PER_TURN = 64 };

#define NEVER UINT64_MAX

struct conntrack {
	struct loop *loop;
	struct conntrack_handlers handlers;
	struct conntrack_counters counters;
	struct conntrack_timeouts timeouts;
	struct netlink_channel *events, *questions;
	struct netlink_channel *listing; /* NULL: it has failed; the next listing opens it again */
	struct loop_source *events_source, *listing_source, *resync_timer;
	uint64_t receive_buffer_bytes, receive_buffer_max_bytes; /* as asked for */
	struct resync resync;
	enum conntrack_listing listing_kind;
	bool is_listing;
	bool is_congested; /* an overrun was told and the queue was not empty since */
	int sysctl_fd;
	struct wall_steps wall;
	uint64_t drained_ns; /* all events from before were read */
};

DEFINE_CLEANUP(struct conntrack *, conntrack_free);

/* What the handler of one batch of messages needs. */
struct batch {
	struct conntrack *conntrack;
	const struct netlink_channel *channel;
	uint64_t number;
	struct conntrack_parse_context context;
	bool is_answer;
};

static struct batch batch_begin(struct conntrack *conntrack, const struct netlink_channel *channel,
				bool is_answer)
{
	wall_steps_observe(&conntrack->wall, clock_now_ns(), clock_wall_offset_ns());
	return (struct batch){
		.conntrack = conntrack,
		.channel = channel,
		.context = {.timeouts = &conntrack->timeouts,
			    .wall = &conntrack->wall,
			    .not_before_ns = conntrack->drained_ns},
		.is_answer = is_answer,
	};
}

/* The clock is read once a batch of the channel, after the kernel gave it: whatever a message tells
 * happened before. */
static void batch_take_time(struct batch *batch)
{
	uint64_t number = netlink_channel_get_batches(batch->channel);

	if (batch->number == number && batch->context.now_ns)
		return;
	batch->number = number;
	batch->context.now_ns = clock_now_ns();
}

static int on_message(const struct nlmsghdr *message, void *userdata)
{
	struct batch *batch = userdata;
	struct conntrack *conntrack = batch->conntrack;
	struct flow_event event;
	int r;

	batch_take_time(batch);
	r = conntrack_parse(message, batch->is_answer, &batch->context, &event);

	if (r < 0)
		conntrack->counters.malformed++;
	if (r != CONNTRACK_PARSED)
		return 0;
	switch (event.type) {
	case FLOW_EVENT_NEW:
		conntrack->counters.events_new++;
		break;
	case FLOW_EVENT_CLOSED:
		conntrack->counters.events_update++;
		break;
	case FLOW_EVENT_DESTROY:
		conntrack->counters.events_destroy++;
		break;
	case FLOW_EVENT_LISTED:
		conntrack->counters.listed_entries++;
		break;
	}
	conntrack->handlers.on_event(conntrack->handlers.userdata, &event);
	return 0;
}

static void set_receive_buffer(struct conntrack *conntrack, uint64_t bytes)
{
	ssize_t given = netlink_channel_set_receive_buffer(conntrack->events, bytes);

	if (given < 0)
		return;
	conntrack->receive_buffer_bytes = bytes;
	conntrack->counters.receive_buffer_bytes = (uint64_t)given;
}

static void enlarge_receive_buffer(struct conntrack *conntrack)
{
	uint64_t bytes = conntrack->receive_buffer_bytes * 2;

	if (bytes > conntrack->receive_buffer_max_bytes)
		bytes = conntrack->receive_buffer_max_bytes;
	if (bytes != conntrack->receive_buffer_bytes)
		set_receive_buffer(conntrack, bytes);
}

static void want_resync(struct conntrack *conntrack)
{
	resync_want(&conntrack->resync, clock_now_ns());
	loop_source_set_time(conntrack->resync_timer, conntrack->resync.due_ns);
}

static void note_overrun(struct conntrack *conntrack)
{
	conntrack->counters.overruns++;
	conntrack->is_congested = true;
	enlarge_receive_buffer(conntrack);
	want_resync(conntrack);
}

static void on_events_readable(void *userdata, unused uint32_t epoll_events)
{
	struct conntrack *conntrack = userdata;
	struct batch batch = batch_begin(conntrack, conntrack->events, false);
	int r = netlink_channel_receive(conntrack->events, EVENTS_PER_TURN, on_message, &batch);

	if (r == NETLINK_DRAINED && batch.context.now_ns)
		conntrack->drained_ns = batch.context.now_ns;
	if (r == -ENOBUFS) {
		note_overrun(conntrack);
	} else if (r == NETLINK_DRAINED && conntrack->is_congested) {
		/* What was lost until now was not told again (netlink_overrun()). */
		conntrack->is_congested = false;
		want_resync(conntrack);
	}
	if (r < 0 && r != -ENOBUFS)
		conntrack->counters.receive_errors++;
}

static void finish_listing(struct conntrack *conntrack, bool is_torn)
{
	conntrack->is_listing = false;
	if (is_torn)
		conntrack->counters.torn_listings++;
	conntrack->handlers.on_listed(conntrack->handlers.userdata, conntrack->listing_kind,
				      is_torn);
	/* A resync that was due meanwhile, or one that was torn. */
	if (is_torn && conntrack->listing_kind != CONNTRACK_LISTING_SWEEP &&
	    !resync_is_wanted(&conntrack->resync))
		resync_want(&conntrack->resync, clock_now_ns());
	if (resync_is_wanted(&conntrack->resync))
		loop_source_set_time(conntrack->resync_timer, clock_now_ns() + RESYNC_QUIET_NS);
}

static void close_listing(struct conntrack *conntrack)
{
	loop_source_free(steal_pointer(&conntrack->listing_source));
	netlink_channel_close(steal_pointer(&conntrack->listing));
}

static void on_listing_readable(void *userdata, unused uint32_t epoll_events)
{
	struct conntrack *conntrack = userdata;
	struct batch batch = batch_begin(conntrack, conntrack->listing, true);
	int r = netlink_channel_receive(conntrack->listing, LISTED_PER_TURN, on_message, &batch);

	if (r < 0) {
		/* The kernel may be in the middle of it, and would refuse the next one with EBUSY
		 * (cb_running in net/netlink/af_netlink.c). */
		conntrack->counters.failed_listings++;
		close_listing(conntrack);
	}
	if (r < 0 || r == NETLINK_DONE || r == NETLINK_TORN)
		finish_listing(conntrack, r != NETLINK_DONE);
}

static void on_resync_due(void *userdata, uint64_t now_ns)
{
	struct conntrack *conntrack = userdata;

	if (!resync_is_wanted(&conntrack->resync) || conntrack->is_listing)
		return; /* finish_listing() arms the timer again */
	if (!resync_is_due(&conntrack->resync, now_ns))
		loop_source_set_time(conntrack->resync_timer, conntrack->resync.due_ns);
	else if (conntrack_list(conntrack, CONNTRACK_LISTING_RESYNC) < 0)
		loop_source_set_time(conntrack->resync_timer, now_ns + RESYNC_QUIET_NS);
}

static int open_listing(struct conntrack *conntrack)
{
	int r = netlink_channel_open(NETLINK_NETFILTER, &conntrack->listing);

	if (r == 0)
		r = loop_add_io(conntrack->loop, netlink_channel_get_fd(conntrack->listing),
				EPOLLIN, on_listing_readable, conntrack,
				&conntrack->listing_source);
	if (r < 0)
		close_listing(conntrack);
	return r;
}

int conntrack_list(struct conntrack *conntrack, enum conntrack_listing listing)
{
	char buffer[256];
	int r;

	if (conntrack->is_listing)
		return -EBUSY;
	if (!conntrack->listing) {
		r = open_listing(conntrack);
		if (r < 0)
			return r;
	}
	conntrack_timeouts_read(&conntrack->timeouts, conntrack->sysctl_fd);
	r = netlink_channel_dump(conntrack->listing, conntrack_encode_dump(buffer));
	if (r < 0)
		return r;
	conntrack->is_listing = true;
	if (resync_is_wanted(&conntrack->resync) && listing == CONNTRACK_LISTING_SWEEP)
		listing = CONNTRACK_LISTING_RESYNC;
	if (listing == CONNTRACK_LISTING_RESYNC) {
		resync_begin(&conntrack->resync);
		conntrack->counters.resyncs++;
	}
	conntrack->listing_kind = listing;
	conntrack->counters.listings++;
	conntrack->handlers.on_listing_begins(conntrack->handlers.userdata, listing);
	return 0;
}

bool conntrack_is_listing(const struct conntrack *conntrack)
{
	return conntrack->is_listing;
}

bool conntrack_needs_resync(const struct conntrack *conntrack)
{
	return resync_is_wanted(&conntrack->resync) || conntrack->is_congested;
}

/* The answer to a question about one entry: told only if it is the entry that was meant. */
struct answer {
	struct batch batch;
	uint32_t conntrack_id;
	bool found;
};

static int on_answer(const struct nlmsghdr *message, void *userdata)
{
	struct answer *answer = userdata;
	struct flow_event event;

	batch_take_time(&answer->batch);
	if (conntrack_parse(message, true, &answer->batch.context, &event) != CONNTRACK_PARSED) {
		answer->batch.conntrack->counters.malformed++;
		return 0;
	}
	if (answer->conntrack_id && answer->conntrack_id != event.conntrack_id)
		return 0;
	answer->found = true;
	answer->batch.conntrack->handlers.on_event(answer->batch.conntrack->handlers.userdata,
						   &event);
	return 0;
}

int conntrack_query(struct conntrack *conntrack, const struct flow_key *key, uint32_t conntrack_id)
{
	char buffer[512];
	struct answer answer = {.batch = batch_begin(conntrack, conntrack->questions, true),
				.conntrack_id = conntrack_id};
	struct nlmsghdr *request = conntrack_encode_query(buffer, key);
	int r;

	conntrack->counters.queries++;
	if (!request)
		return -ENOMEM;
	r = netlink_channel_request(conntrack->questions, request, on_answer, &answer);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || !answer.found) {
		conntrack->counters.queries_missed++;
		return -ENOENT;
	}
	return 0;
}

const struct conntrack_counters *conntrack_get_counters(const struct conntrack *conntrack)
{
	return &conntrack->counters;
}

static int open_events(struct conntrack *conntrack, struct loop *loop)
{
	static const unsigned groups[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE,
					  NFNLGRP_CONNTRACK_DESTROY};
	int r = netlink_channel_open(NETLINK_NETFILTER, &conntrack->events);

	if (r < 0)
		return r;
	/* Without it the daemon still works, only woken five times a connection. */
	r = conntrack_filter_attach(netlink_channel_get_fd(conntrack->events));
	if (r < 0)
		conntrack->counters.filter_errors++;
	set_receive_buffer(conntrack, conntrack->receive_buffer_bytes);
	for (size_t i = 0; i < array_length(groups); i++) {
		r = netlink_channel_join(conntrack->events, groups[i]);
		if (r < 0)
			return r;
	}
	r = loop_add_io(loop, netlink_channel_get_fd(conntrack->events), EPOLLIN,
			on_events_readable, conntrack, &conntrack->events_source);
	if (r < 0)
		return r;
	return loop_source_set_priority(conntrack->events_source, LOOP_PRIORITY_KERNEL);
}

int conntrack_new(struct loop *loop, const struct conntrack_options *options,
		  struct conntrack **ret)
{
	cleanup(conntrack_free_cleanup) struct conntrack *conntrack = calloc(1, sizeof(*conntrack));
	int r;

	if (!conntrack)
		return -ENOMEM;
	conntrack->loop = loop;
	conntrack->handlers = options->handlers;
	conntrack->drained_ns = clock_now_ns();
	conntrack->receive_buffer_bytes = options->receive_buffer_bytes;
	conntrack->receive_buffer_max_bytes = options->receive_buffer_max_bytes;
	conntrack->sysctl_fd = open("/proc/sys/net/netfilter", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = loop_add_timer(loop, NEVER, on_resync_due, conntrack, &conntrack->resync_timer);
	if (r < 0)
		return r;
	/* Events first: what begins while the first listing runs is then told by its event. */
	r = open_events(conntrack, loop);
	if (r < 0)
		return r;
	r = netlink_channel_open(NETLINK_NETFILTER, &conntrack->questions);
	if (r < 0)
		return r;
	r = conntrack_list(conntrack, CONNTRACK_LISTING_START);
	if (r < 0)
		return r;
	*ret = steal_pointer(&conntrack);
	return 0;
}

void conntrack_free(struct conntrack *conntrack)
{
	if (!conntrack)
		return;
	close_listing(conntrack);
	loop_source_free(conntrack->events_source);
	loop_source_free(conntrack->resync_timer);
	netlink_channel_close(conntrack->events);
	netlink_channel_close(conntrack->questions);
	if (conntrack->sysctl_fd >= 0)
		close(conntrack->sysctl_fd);
	free(conntrack);
}
