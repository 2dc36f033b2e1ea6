/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/ending.h"

#include "base/clock.h"
#include "process/totals.h"

/* What a start may be told too late: the clock tick of /proc. */
#define SLACK_NS (10 * NS_PER_MS)

struct ending ending_from_entry(const struct exit_entry *entry)
{
	return (struct ending){
		.last = &entry->last,
		.total = entry->is_sum ? &entry->total : &entry->last,
		.is_whole = entry->is_whole,
		.sums_since_ns = entry->sums_since_ns,
		.peak_bytes = entry->peak_memory_bytes,
		.seen_ns = entry->seen_ns,
	};
}

bool ending_fits(const struct ending_span *span, uint64_t earliest_start_ns,
		 uint64_t latest_start_ns)
{
	uint64_t lived_ns = (span->lived_us + 1) * NS_PER_US;

	return latest_start_ns + lived_ns >= span->after_ns &&
	       earliest_start_ns + lived_ns <= span->seen_ns + SLACK_NS;
}

static uint64_t find_end_ns(const struct process *process, const struct ending *ending)
{
	uint64_t lived_us = ending->last->group_elapsed_us;
	uint64_t end_ns;

	if (!lived_us && ending->last == ending->total)
		lived_us = ending->last->elapsed_us;
	end_ns = process->identity.start_ns + lived_us * 1000;
	return lived_us && end_ns < ending->seen_ns ? end_ns : ending->seen_ns;
}

void ending_take(struct process *process, const struct ending *ending)
{
	const struct task_figures *total = ending->total;
	struct process_usage *usage = &process->usage;
	bool is_sum = ending->last != total, has_faults = !is_sum || ending->is_whole;
	uint64_t cpu_ns = is_sum ? total->cpu_ns : taskstats_find_exit_cpu(total);
	uint64_t end_ns = find_end_ns(process, ending);
	uint64_t since_ns = process->has_usage ? usage->taken_ns : process->identity.start_ns;

	totals_take_ending(process, ending);
	process->has_exit_record = true;
	process->end_ns = end_ns;
	process->has_usage = true;
	usage->has_faults |= has_faults;
	if (end_ns > usage->taken_ns)
		usage->taken_ns = end_ns;
	if (cpu_ns > usage->cpu_ns)
		usage->cpu_ns = cpu_ns;
	if (process->counts_delays && total->io_delay_ns > usage->iowait_ns &&
	    process_check_iowait(process, total->io_delay_ns - usage->iowait_ns,
				 end_ns - (since_ns < end_ns ? since_ns : end_ns), 1))
		usage->iowait_ns = total->io_delay_ns;
	if (has_faults && total->minor_faults > usage->minor_faults)
		usage->minor_faults = total->minor_faults;
	if (has_faults && total->major_faults > usage->major_faults)
		usage->major_faults = total->major_faults;
	if (ending->peak_bytes > process->exit_peak_bytes)
		process->exit_peak_bytes = ending->peak_bytes;
}

void ending_find_parent(const struct exit_log *log, uint64_t child_start_ns, uint64_t now_ns,
			struct identity_facts *facts)
{
	const struct exit_entry *entry = exit_log_find(log, facts->parent, now_ns);

	if (!entry || entry->seen_ns < child_start_ns ||
	    entry->after_ns > child_start_ns + (entry->leader.elapsed_us + 1) * 1000)
		return;
	snprintf(facts->parent_name, sizeof(facts->parent_name), "%s", entry->leader.name);
	facts->has_parent_name = true;
	facts->parent_uid = entry->leader.uid;
	facts->has_parent_uid = true;
}
