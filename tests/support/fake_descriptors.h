/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The descriptors of made-up processes (fake_process.h), and what /proc/loadavg says. */

#include <stdint.h>
#include <sys/types.h>

/* PID/fd/FD leads to the socket; to /dev/null where "inode" is 0. What was there is replaced. */
void fake_descriptors_set(const char *proc, pid_t pid, int fd, uint64_t inode);
void fake_descriptors_unset(const char *proc, pid_t pid, int fd);
/* Removes PID/fd with all that is in it: to be called before fake_process_remove(). */
void fake_descriptors_remove(const char *proc, pid_t pid);

/* The newest pid, as /proc/loadavg tells it. */
void fake_descriptors_set_newest(const char *proc, pid_t pid);
