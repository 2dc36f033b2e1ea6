/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Processes in a directory that looks like /proc, for what reads /proc by a descriptor. */

#include <stdint.h>
#include <sys/types.h>

struct fake_process {
	pid_t pid, parent;
	const char *comm;
	char state; /* 0: 'S' */
	uid_t uid;
	uint64_t minor_faults, major_faults, user_ticks, system_ticks, start_ticks, pages;
	unsigned threads;	/* 0: 1 */
	const char *executable; /* where the link leads; NULL: none */
};

/* Writes PID/stat (in place: a descriptor that is open sees it), PID/status and PID/exe. */
void fake_process_write(const char *proc, const struct fake_process *process);
void fake_process_write_stat(const char *path, const struct fake_process *process);
/* As if it had ended: an open descriptor of its stat file shows another process, with start 0. */
void fake_process_remove(const char *proc, pid_t pid);
