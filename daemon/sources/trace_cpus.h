/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which CPUs are online: /sys/devices/system/cpu/online. */

#include <stdbool.h>

enum { TRACE_CPUS_MAX = 8192 }; /* the kernel's NR_CPUS goes no further */

struct trace_cpus {
	bool online[TRACE_CPUS_MAX];
	unsigned count;
};

/* Parses a list such as "0-3,8,10-11\n". 0, or -EINVAL (nothing is written then). */
int trace_cpus_parse(const char *text, struct trace_cpus *ret);
/* Reads the system's. 0 or a negative errno. */
int trace_cpus_read(struct trace_cpus *ret);
