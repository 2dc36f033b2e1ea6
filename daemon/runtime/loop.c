/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { TIMER_ACCURACY_US = 500 };

struct loop {
	sd_event *event;
};

struct loop_source {
	sd_event_source *source;
	union {
		loop_on_io on_io;
		loop_on_timer on_timer;
		loop_on_signal on_signal;
	};
	void *userdata;
};

DEFINE_CLEANUP(struct loop *, loop_free);
DEFINE_CLEANUP(struct loop_source *, loop_source_free);

int loop_new(struct loop **ret)
{
	cleanup(loop_free_cleanup) struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	r = sd_event_new(&loop->event);
	if (r < 0)
		return r;
	*ret = steal_pointer(&loop);
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	sd_event_unref(loop->event);
	free(loop);
}

int loop_run(struct loop *loop)
{
	return sd_event_loop(loop->event);
}

void loop_stop(struct loop *loop, int code)
{
	sd_event_exit(loop->event, code);
}

int loop_run_once(struct loop *loop, uint64_t longest_ns)
{
	int r = sd_event_run(loop->event, longest_ns / 1000);

	return r < 0 ? r : 0;
}

static int dispatch_io(unused sd_event_source *source, unused int fd, uint32_t events,
		       void *userdata)
{
	struct loop_source *self = userdata;

	self->on_io(self->userdata, events);
	return 0;
}

static int dispatch_timer(unused sd_event_source *source, unused uint64_t usec, void *userdata)
{
	struct loop_source *self = userdata;

	self->on_timer(self->userdata, clock_now_ns());
	return 0;
}

static int dispatch_signal(unused sd_event_source *source, const struct signalfd_siginfo *info,
			   void *userdata)
{
	struct loop_source *self = userdata;

	self->on_signal(self->userdata, (int)info->ssi_signo);
	return 0;
}

static int dispatch_post(unused sd_event_source *source, void *userdata)
{
	struct loop_source *self = userdata;

	self->on_timer(self->userdata, clock_now_ns());
	return 0;
}

static struct loop_source *source_new(void *userdata)
{
	struct loop_source *source = calloc(1, sizeof(*source));

	if (source)
		source->userdata = userdata;
	return source;
}

int loop_add_io(struct loop *loop, int fd, uint32_t events, loop_on_io on_io, void *userdata,
		struct loop_source **ret)
{
	cleanup(loop_source_free_cleanup) struct loop_source *source = source_new(userdata);
	int r;

	if (!source)
		return -ENOMEM;
	source->on_io = on_io;
	r = sd_event_add_io(loop->event, &source->source, fd, events, dispatch_io, source);
	if (r < 0)
		return r;
	*ret = steal_pointer(&source);
	return 0;
}

static uint64_t to_usec(uint64_t when_ns)
{
	/* Rounded up: a timer never fires before its time. */
	return when_ns > UINT64_MAX - 999 ? UINT64_MAX : (when_ns + 999) / 1000;
}

int loop_add_timer(struct loop *loop, uint64_t when_ns, loop_on_timer on_timer, void *userdata,
		   struct loop_source **ret)
{
	cleanup(loop_source_free_cleanup) struct loop_source *source = source_new(userdata);
	int r;

	if (!source)
		return -ENOMEM;
	source->on_timer = on_timer;
	r = sd_event_add_time(loop->event, &source->source, CLOCK_MONOTONIC, to_usec(when_ns),
			      TIMER_ACCURACY_US, dispatch_timer, source);
	if (r < 0)
		return r;
	*ret = steal_pointer(&source);
	return 0;
}

int loop_add_signal(struct loop *loop, int signal_number, loop_on_signal on_signal, void *userdata,
		    struct loop_source **ret)
{
	cleanup(loop_source_free_cleanup) struct loop_source *source = source_new(userdata);
	sigset_t set;
	int r;

	if (!source)
		return -ENOMEM;
	source->on_signal = on_signal;
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(loop->event, &source->source, signal_number, dispatch_signal,
				source);
	if (r < 0)
		return r;
	*ret = steal_pointer(&source);
	return 0;
}

int loop_add_post(struct loop *loop, loop_on_timer on_post, void *userdata,
		  struct loop_source **ret)
{
	cleanup(loop_source_free_cleanup) struct loop_source *source = source_new(userdata);
	int r;

	if (!source)
		return -ENOMEM;
	source->on_timer = on_post;
	r = sd_event_add_post(loop->event, &source->source, dispatch_post, source);
	if (r < 0)
		return r;
	*ret = steal_pointer(&source);
	return 0;
}

int loop_source_set_priority(struct loop_source *source, int64_t priority)
{
	return sd_event_source_set_priority(source->source, priority);
}

int loop_source_set_time(struct loop_source *source, uint64_t when_ns)
{
	int r = sd_event_source_set_time(source->source, to_usec(when_ns));

	if (r < 0)
		return r;
	return sd_event_source_set_enabled(source->source, SD_EVENT_ONESHOT);
}

int loop_source_set_events(struct loop_source *source, uint32_t events)
{
	return sd_event_source_set_io_events(source->source, events);
}

void loop_source_free(struct loop_source *source)
{
	if (!source)
		return;
	sd_event_source_disable_unref(source->source);
	free(source);
}

void loop_notify(const char *state)
{
	sd_notify(0, state);
}

int loop_use_watchdog(struct loop *loop)
{
	int r = sd_event_set_watchdog(loop->event, 1);

	return r < 0 ? r : 0;
}
