/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What processes used between two times. */

#include "process/process_table_private.h"

#include <errno.h>

#include "base/clock.h"
#include "process/process.h"

#define NEAR_NS	      (20 * NS_PER_MS)
#define SHORT_LIFE_NS NS_PER_SEC

int process_table_sample(struct process_table *table, struct process *process, uint64_t now_ns,
			 uint64_t since_ns, struct process_usage *ret)
{
	table->now_ns = now_ns;
	if (process->is_gone || (process->has_usage && process->usage.taken_ns >= since_ns)) {
		table->counters.samples_shared += !process->is_gone;
	} else {
		process_table_take_sample(table, process, now_ns);
	}
	if (!process->has_usage)
		return -ENODATA;
	*ret = process->usage;
	return 0;
}

/* A sample taken soon after the begin is better than what lies between it and an older one: what a
 * process did before the flow it must not have done for it. */
static int read_begin(struct process_table *table, struct process *process, uint64_t since_ns,
		      uint64_t now_ns, struct process_usage *ret)
{
	uint64_t recent_ns = now_ns > PROCESS_SHARE_NS ? now_ns - PROCESS_SHARE_NS : 0;
	const struct history_entry *after;
	struct history_entry entry;
	int r = process_table_sample(table, process, now_ns, recent_ns, ret);

	if (r < 0 || process->is_late || ret->taken_ns <= since_ns + NEAR_NS)
		return r;
	after = history_find_after(&process->history, since_ns);
	if (after && after->taken_ns <= since_ns + NEAR_NS)
		*ret = process_find_usage(process, after);
	else if (history_find(&process->history, since_ns, &entry) && entry.taken_ns <= since_ns)
		*ret = process_find_usage(process, &entry);
	return 0;
}

int process_table_read_base(struct process_table *table, struct process *process, uint64_t since_ns,
			    uint64_t now_ns, struct process_usage *ret)
{
	const struct process_identity *identity = &process->identity;

	if (identity->start_ns < since_ns &&
	    !(process->is_late && since_ns - identity->start_ns <= SHORT_LIFE_NS))
		return read_begin(table, process, since_ns, now_ns, ret);
	*ret = (struct process_usage){.taken_ns = identity->start_ns, .has_faults = true};
	if (since_ns < ret->taken_ns)
		ret->taken_ns = since_ns;
	return 0;
}

int process_table_read_end(struct process_table *table, struct process *process, uint64_t base_ns,
			   uint64_t end_ns, uint64_t now_ns, struct process_usage *ret)
{
	uint64_t least_ns = end_ns > base_ns ? end_ns : base_ns + 1;
	const struct history_entry *after;
	struct history_entry entry;
	int r = process_table_sample(table, process, now_ns, least_ns, ret);

	if (r == 0 && process->is_gone && base_ns < ret->taken_ns && end_ns > ret->taken_ns)
		ret->taken_ns = end_ns;
	if (r < 0 || process->is_late || least_ns >= ret->taken_ns)
		return r;
	after = history_find_after(&process->history, base_ns);
	if (end_ns <= base_ns && after)
		*ret = process_find_usage(process, after);
	else if (end_ns > base_ns && history_find(&process->history, end_ns, &entry))
		*ret = process_find_usage(process, &entry);
	return 0;
}

uint64_t process_get_peak_memory(const struct process *process, uint64_t since_ns)
{
	uint64_t peak = peak_find(&process->peak, since_ns);

	if (process->identity.start_ns >= since_ns && process->exit_peak_bytes > peak)
		return process->exit_peak_bytes;
	return peak;
}

uint64_t process_find_peak_memory(const struct process *process, uint64_t since_ns,
				  uint64_t until_ns)
{
	uint64_t peak = peak_find(&process->peak, since_ns);
	uint64_t within = (uint64_t)history_find_peak(&process->history, since_ns, until_ns) * 1024;

	if (process->is_late || (process->is_gone && until_ns >= process->usage.taken_ns))
		return process_get_peak_memory(process, since_ns);
	return within < peak ? within : peak;
}
