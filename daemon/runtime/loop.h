/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The event loop: descriptors, timers and signals, one thread. A thin adapter over sd-event, so
 * that nothing else knows it. Callbacks must not block. */

#include <stdint.h>

struct loop;
struct loop_source;

typedef void (*loop_on_io)(void *userdata, uint32_t epoll_events);
typedef void (*loop_on_timer)(void *userdata, uint64_t now_ns);
typedef void (*loop_on_signal)(void *userdata, int signal_number);

/* Lower runs first when several are ready: the kernel's events go before everything else, because
 * only they are lost when they wait. */
enum loop_priority {
	LOOP_PRIORITY_KERNEL = -100,
	LOOP_PRIORITY_NORMAL = 0,
	LOOP_PRIORITY_IDLE = 100
};

int loop_new(struct loop **ret);
void loop_free(struct loop *loop);

/* Runs until loop_stop(). Returns the code given there, or a negative errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int code);
/* One turn: waits until something is ready, at most so long, and runs it. 0, or a negative errno.
 * For tests, which look at what came of it in between. */
int loop_run_once(struct loop *loop, uint64_t longest_ns);

/* Each returns 0 and a source that the caller frees (before the loop), or a negative errno. The
 * descriptor stays the caller's. "events" are EPOLLIN and friends. */
int loop_add_io(struct loop *loop, int fd, uint32_t events, loop_on_io on_io, void *userdata,
		struct loop_source **ret);
/* Monotonic nanoseconds; one shot: arm again with loop_source_set_time(). UINT64_MAX: never. */
int loop_add_timer(struct loop *loop, uint64_t when_ns, loop_on_timer on_timer, void *userdata,
		   struct loop_source **ret);
/* Blocks the signal for the process and takes it over. */
int loop_add_signal(struct loop *loop, int signal_number, loop_on_signal on_signal, void *userdata,
		    struct loop_source **ret);
/* Runs once per turn of the loop, when all else that was ready has run. */
int loop_add_post(struct loop *loop, loop_on_timer on_post, void *userdata,
		  struct loop_source **ret);

int loop_source_set_priority(struct loop_source *source, int64_t priority);
int loop_source_set_time(struct loop_source *source, uint64_t when_ns);
int loop_source_set_events(struct loop_source *source, uint32_t events);
/* Accepts NULL. May be called from within the source's own callback. */
void loop_source_free(struct loop_source *source);

/* READY=1, WATCHDOG=1 and so on to the service manager; nothing where there is none. */
void loop_notify(const char *state);
/* Lets the service manager's watchdog (WATCHDOG_USEC) watch this loop. 0 also where there is none.
 */
int loop_use_watchdog(struct loop *loop);
