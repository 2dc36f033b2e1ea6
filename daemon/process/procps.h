/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One process as the procps library sees it: libproc2 (procps 4), or libprocps where only that is
 * installed. The library knows the mounted /proc of its own pid namespace alone. */

#include <stdint.h>
#include <sys/types.h>

struct procps;

struct procps_identity {
	char name[64];
	pid_t parent;
	uid_t uid; /* real */
	uint64_t start_ticks;
};

/* 0 or a negative errno. */
int procps_open(struct procps **ret);
void procps_close(struct procps *procps);

/* 0; -ESRCH where the process is gone; another negative errno. About 30 us. */
int procps_read(struct procps *procps, pid_t pid, struct procps_identity *ret);
