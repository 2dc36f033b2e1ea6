/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Child processes that do one thing and tell when it is done, and never outlive the test. */

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct child {
	pid_t pid;
	int done_fd, go_fd; /* pipes: it writes to one and reads from the other */
};

typedef void (*child_work)(struct child *child, void *argument);

/* Forks a child that runs "work" and exits with 0. It is killed when the test's process dies. */
struct child child_start(child_work work, void *argument);
/* The child's side: tells that it is at a point, and waits until it may go on. */
void child_pause(struct child *child);
/* The test's side: waits for that point; lets it go on. */
void child_wait_pause(struct child *child);
void child_continue(struct child *child);
/* Waits until it is a zombie, and leaves it one: one whose CPU clock stands still, for the parent is
 * woken some way before the end of do_exit() (kernel/exit.c). */
void child_wait_zombie(struct child *child);
/* Reaps it and closes the pipes. CPU time as wait4(2) tells it, ns; "usage" may be NULL. */
uint64_t child_reap(struct child *child, struct rusage *usage);

/* Spends that much CPU time by the thread's own clock; without asking the kernel for it, and
 * without sleeping, by the wall clock (so less, where others want the CPU too). */
void child_burn_ms(unsigned ms);
void child_spin_ms(unsigned ms);
/* How far two readings of one CPU clock may lie apart for what is done between them: 2 ms, times
 * slowness_get(). */
uint64_t child_get_tolerance_ns(void);
uint64_t rusage_cpu_ns(const struct rusage *usage);
