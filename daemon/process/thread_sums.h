/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the threads of a process used that have ended, added up from the exit record of each. The kernel's own
 * sum of a thread group, in the record of its last thread, has CPU time and delays, but no faults and no
 * bytes; context switches of ended threads only on newer kernels. Needs the group in each record (version 12 of
 * taskstats); of older kernels nothing is added up. Bounded: the group longest without a record goes first. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "process/taskstats.h"

struct thread_sums;

/* 0 or -ENOMEM. "now_ns": records are read from now on. */
int thread_sums_new(size_t most, uint64_t now_ns, struct thread_sums **ret);
void thread_sums_free(struct thread_sums *sums);

/* Takes a record in. Where it is the last of a group, the group's figures in it get faults, bytes, the
 * parts of the CPU time and, where the kernel tells none, context switches from all the group's records;
 * see sums_since_ns and is_whole. */
void thread_sums_add(struct thread_sums *sums, struct taskstats_message *message, uint64_t now_ns);

/* Records are missing: what was added up until now is not whole. */
void thread_sums_lose(struct thread_sums *sums, uint64_t now_ns);

/* Of the ended threads of a group that goes on, how many there were; the figures are 0 where there were
 * none. */
unsigned thread_sums_find(const struct thread_sums *sums, pid_t group, struct task_figures *ret);
/* Since when none is missing; UINT64_MAX: the kernel does not tell the group. */
uint64_t thread_sums_get_since(const struct thread_sums *sums);

/* Whether the kernel's figures of a group have the context switches of ended threads: learnt from the first
 * group that ends. */
enum thread_switches { THREAD_SWITCHES_UNKNOWN, THREAD_SWITCHES_LOST, THREAD_SWITCHES_KEPT };
enum thread_switches thread_sums_get_switches(const struct thread_sums *sums);
