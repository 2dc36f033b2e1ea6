/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_ports.h"

#include <errno.h>

int trace_ports_add(struct trace_ports *list, uint16_t port, uint64_t until_ns)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->ports[i] == port)
			return -EEXIST;
	if (list->count == TRACE_PORTS_MAX)
		return -ENOSPC;
	list->ports[list->count] = port;
	list->until_ns[list->count++] = until_ns;
	return 0;
}

void trace_ports_remove_last(struct trace_ports *list)
{
	list->count--;
}

bool trace_ports_expire(struct trace_ports *list, uint64_t now_ns)
{
	size_t before = list->count;

	for (size_t i = 0; i < list->count;) {
		if (list->until_ns[i] > now_ns) {
			i++;
			continue;
		}
		list->count--;
		list->ports[i] = list->ports[list->count];
		list->until_ns[i] = list->until_ns[list->count];
	}
	return list->count != before;
}
