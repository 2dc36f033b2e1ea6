/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/inspect.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "process/process.h"
#include "process/process_table_private.h"

#define MINUTE_NS (60 * NS_PER_SEC)

int process_inspect_list(const struct process_table *table, struct process_id **ret,
			 size_t *ret_count)
{
	struct process_id *ids = calloc(table->map.used + 1, sizeof(*ids));
	const struct process *process;
	size_t position = 0, count = 0;

	if (!ids)
		return -ENOMEM;
	while ((process = hash_map_next(&table->map, &position)))
		if (!process->is_gone)
			ids[count++] = process->identity.id;
	*ret = ids;
	*ret_count = count;
	return 0;
}

struct process *process_inspect_find(const struct process_table *table, struct process_id id)
{
	struct process *process = process_table_find_living(table, id.pid);

	return process && process->identity.id.start_ticks == id.start_ticks ? process : NULL;
}

bool process_inspect_last_usage(const struct process *process, struct process_usage *ret)
{
	if (!process->has_usage)
		return false;
	*ret = process->usage;
	return true;
}

/* A process that is younger than a minute used all that it used in it. */
static void read_minute(const struct process *process, struct process_inspection *ret)
{
	uint64_t since_ns = ret->usage.taken_ns - MINUTE_NS;
	struct history_entry entry;

	if (ret->usage.taken_ns < MINUTE_NS || process->identity.start_ns >= since_ns) {
		ret->minute_cpu_ns = ret->usage.cpu_ns;
		ret->minute_iowait_ns = ret->usage.iowait_ns;
		ret->minute_ns = ret->usage.taken_ns - process->identity.start_ns;
		return;
	}
	if (!history_find(&process->history, since_ns, &entry) ||
	    entry.taken_ns >= ret->usage.taken_ns || entry.cpu_ns > ret->usage.cpu_ns)
		return;
	ret->minute_cpu_ns = ret->usage.cpu_ns - entry.cpu_ns;
	if (entry.iowait_ns < ret->usage.iowait_ns)
		ret->minute_iowait_ns = ret->usage.iowait_ns - entry.iowait_ns;
	ret->minute_ns = ret->usage.taken_ns - entry.taken_ns;
}

bool process_inspect_read(struct process_table *table, struct process *process, uint64_t now_ns,
			  struct process_inspection *ret)
{
	if (!process->has_usage || now_ns > process->usage.taken_ns + PROCESS_INSPECT_AGE_NS)
		process_table_take_sample(table, process, now_ns);
	if (process->is_gone)
		return false;
	*ret = (struct process_inspection){
		.identity = &process->identity,
		.package = process_table_find_package(table, &process->identity),
		.network = process->network.total,
		.minute_network = network_use_find_minute(&process->network, now_ns),
		.has_usage = process->has_usage,
		.usage = process->usage,
	};
	if (ret->has_usage)
		read_minute(process, ret);
	return true;
}
