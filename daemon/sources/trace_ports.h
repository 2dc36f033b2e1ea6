/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Local ports that are left out of trace until a time of each. A plain value. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRACE_PORTS_MAX = 64 };

struct trace_ports {
	uint16_t ports[TRACE_PORTS_MAX];
	uint64_t until_ns[TRACE_PORTS_MAX];
	size_t count;
};

/* 0; -EEXIST (its time stays); -ENOSPC. */
int trace_ports_add(struct trace_ports *list, uint16_t port, uint64_t until_ns);
/* Takes back what was added last. */
void trace_ports_remove_last(struct trace_ports *list);
/* Forgets those whose time is over: whether there were any. */
bool trace_ports_expire(struct trace_ports *list, uint64_t now_ns);
