/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What procps.c takes of <proc/readproc.h>, with the types of procps 3.3.17 (Debian 11). */

#define PROC_FILLSTATUS 0x0020
#define PROC_FILLSTAT	0x0040
#define PROC_PID	0x1000

typedef struct PROCTAB PROCTAB;

typedef struct proc_t {
	int tid, ppid;
	unsigned long long start_time;
	int ruid;
	char cmd[64];
} proc_t;

PROCTAB *openproc(int flags, ...);
void closeproc(PROCTAB *table);
proc_t *readproc(PROCTAB *__restrict const table, proc_t *__restrict process);
void freeproc(proc_t *process);
