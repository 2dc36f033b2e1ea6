/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The processes that are there when the question comes are looked at one after another; what ended or
 * was forgotten meanwhile is left out. */

#include "control_processes.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "process/inspect.h"
#include "runtime/control.h"
#include "status/ranking.h"
#include "status/record_filter.h"

/* A sample costs about 10 us. */
enum { LOOKED_AT_PER_STEP = 1000, SAMPLED_PER_STEP = 50, BYTES_PER_STEP = 16 * 1024 };

struct control_processes {
	struct process_table *processes;
	const struct control_request *request;
	struct process_id *ids;
	size_t count, next;
	struct ranking ranking;
	size_t next_ranked;
	uint64_t matched, shown;
	bool is_ranked;
};

int control_processes_new(struct process_table *processes, const struct control_request *request,
			  struct control_processes **ret)
{
	struct control_processes *query = calloc(1, sizeof(*query));

	if (!query)
		return -ENOMEM;
	query->processes = processes;
	query->request = request;
	ranking_init(&query->ranking, request->limit);
	if (process_inspect_list(processes, &query->ids, &query->count) < 0) {
		free(query);
		return -ENOMEM;
	}
	*ret = query;
	return 0;
}

void control_processes_free(struct control_processes *query)
{
	if (!query)
		return;
	ranking_fini(&query->ranking);
	free(query->ids);
	free(query);
}

static void add_text(struct buffer *out, const char *key, const char *value)
{
	if (value)
		json_text_add_string(out, key, text_from(value));
}

static void add_identity(struct buffer *out, const struct process_identity *identity)
{
	int64_t start_ns = (int64_t)identity->start_ns + clock_wall_offset_ns();

	json_text_add_number(out, "PROC_PID", (uint64_t)identity->id.pid);
	add_text(out, "PROC_NAME", identity->name);
	add_text(out, "PROC_USER_NAME", identity->user_name);
	json_text_add_number(out, "PROC_UID", identity->uid);
	if (identity->has_parent) {
		json_text_add_number(out, "FATHER_PROC_PID", (uint64_t)identity->parent_pid);
		add_text(out, "FATHER_PROC_NAME", identity->parent_name);
	}
	if (start_ns > 0)
		json_text_add_number(out, "PROC_START_MILLISECONDS",
				     (uint64_t)start_ns / NS_PER_MS);
	if (identity->has_executable)
		add_text(out, "PROC_EXE", identity->executable);
	add_text(out, "PROC_CMDLINE", identity->command_line);
	if (!identity->cgroup)
		return;
	add_text(out, "PROC_CONTAINER_ID", identity->cgroup->container);
	add_text(out, "PROC_UNIT", identity->cgroup->unit);
	add_text(out, "PROC_CGROUP", identity->cgroup->path);
}

/* % * 100 */
static uint64_t share(uint64_t part_ns, uint64_t whole_ns)
{
	return (uint64_t)((__uint128_t)part_ns * 10000 / whole_ns);
}

static void add_use(struct buffer *out, const struct process_inspection *inspection)
{
	const struct process_usage *usage = &inspection->usage;

	if (inspection->has_usage) {
		json_text_add_number(out, "PROC_CPU_MICROSECONDS", usage->cpu_ns / 1000);
		if (usage->has_iowait)
			json_text_add_number(out, "PROC_IOWAIT_MICROSECONDS",
					     usage->iowait_ns / 1000);
		if (usage->has_memory)
			json_text_add_number(out, "PROC_ACTUAL_MEMORY", usage->memory_bytes);
		if (usage->has_faults)
			json_text_add_number(out, "PROC_NUM_PAGE_FAULTS",
					     usage->minor_faults + usage->major_faults);
	}
	json_text_add_number(out, "PROC_FLOWS", inspection->network.flows);
	json_text_add_number(out, "PROC_SENT_BYTES", inspection->network.sent_bytes);
	json_text_add_number(out, "PROC_RECEIVED_BYTES", inspection->network.received_bytes);
	if (inspection->minute_ns) {
		json_text_add_number(out, "LAST_MINUTE_CPU_MICROSECONDS",
				     inspection->minute_cpu_ns / 1000);
		json_text_add_number(out, "LAST_MINUTE_AVERAGE_CPU_LOAD",
				     share(inspection->minute_cpu_ns, inspection->minute_ns));
		if (usage->has_iowait)
			json_text_add_number(
				out, "LAST_MINUTE_PCTG_IOWAIT",
				share(inspection->minute_iowait_ns, inspection->minute_ns));
	}
	json_text_add_number(out, "LAST_MINUTE_FLOWS", inspection->minute_network.flows);
	json_text_add_number(out, "LAST_MINUTE_SENT_BYTES", inspection->minute_network.sent_bytes);
	json_text_add_number(out, "LAST_MINUTE_RECEIVED_BYTES",
			     inspection->minute_network.received_bytes);
}

static void tell(struct control_processes *query, const struct process_inspection *inspection,
		 struct buffer *out)
{
	control_add_item_begin(out);
	json_text_open_object(out, NULL);
	add_identity(out, inspection->identity);
	add_text(out, "PROC_PKG_NAME", inspection->package);
	add_use(out, inspection);
	json_text_close_object(out);
	control_add_item_end(out);
	query->shown++;
}

static bool is_wanted(const struct control_processes *query, const struct process *process)
{
	const struct process_identity *identity = process_get_identity(process);
	const struct cgroup *cgroup = identity->cgroup;

	return record_filter_is_process(&query->request->filter, (uint32_t)identity->id.pid,
					text_from(identity->name), identity->uid,
					text_from(identity->user_name),
					text_from(cgroup ? cgroup->container : NULL));
}

/* CPU and bytes are those of the last minute. */
static uint64_t find_key(enum control_sort sort, const struct process_inspection *inspection)
{
	const struct network_counters *network = &inspection->minute_network;

	switch (sort) {
	case CONTROL_SORT_BYTES:
		return network->sent_bytes + network->received_bytes;
	case CONTROL_SORT_CPU:
		return inspection->minute_cpu_ns;
	case CONTROL_SORT_MEMORY:
		return inspection->has_usage && inspection->usage.has_memory
			       ? inspection->usage.memory_bytes
			       : 0;
	case CONTROL_SORT_AGE:
		return UINT64_MAX - inspection->identity->start_ns;
	case CONTROL_SORT_NONE:
		break;
	}
	return 0;
}

/* 0 or -ENOMEM. */
static int look_at(struct control_processes *query, struct process *process, uint64_t now_ns,
		   struct buffer *out)
{
	const struct control_request *request = query->request;
	struct process_inspection inspection;
	struct ranking_item item;

	if (!process_inspect_read(query->processes, process, now_ns, &inspection))
		return 0;
	query->matched++;
	if (request->sort) {
		item = (struct ranking_item){.key = find_key(request->sort, &inspection),
					     .object = &query->ids[query->next]};
		return ranking_add(&query->ranking, &item);
	}
	if (request->limit == 0 || query->shown < request->limit)
		tell(query, &inspection, out);
	return 0;
}

static int walk(struct control_processes *query, uint64_t now_ns, struct buffer *out)
{
	unsigned sampled = 0;

	for (unsigned i = 0;
	     i < LOOKED_AT_PER_STEP && sampled < SAMPLED_PER_STEP && out->length < BYTES_PER_STEP;
	     i++) {
		struct process *process;

		if (query->next == query->count) {
			query->is_ranked = true;
			ranking_finish(&query->ranking);
			break;
		}
		process = process_inspect_find(query->processes, query->ids[query->next]);
		if (process && is_wanted(query, process)) {
			sampled++;
			if (look_at(query, process, now_ns, out) < 0)
				return -ENOMEM;
		}
		query->next++;
	}
	return CONTROL_MORE;
}

int control_processes_step(struct control_processes *query, uint64_t now_ns, struct buffer *out)
{
	if (!query->is_ranked)
		return walk(query, now_ns, out);
	while (query->next_ranked < query->ranking.count && out->length < BYTES_PER_STEP) {
		const struct process_id *id = query->ranking.items[query->next_ranked++].object;
		struct process *process = process_inspect_find(query->processes, *id);
		struct process_inspection inspection;

		if (process && process_inspect_read(query->processes, process, now_ns, &inspection))
			tell(query, &inspection, out);
	}
	if (query->next_ranked < query->ranking.count)
		return CONTROL_MORE;
	control_add_end(out, query->matched, query->shown);
	return 0;
}
