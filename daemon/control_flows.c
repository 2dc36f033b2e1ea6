/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Unsorted flows are told as the walk meets them. To sort, a first walk keeps the largest, and they
 * are told afterwards, as far as they are still there. */

#include "control_flows.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "runtime/control.h"
#include "status/ranking.h"
#include "status/record_filter.h"

/* A flow that is looked at costs up to 1 us, one that is told 3. */
enum { LOOKED_AT_PER_STEP = 500, BYTES_PER_STEP = 16 * 1024 };

struct control_flows {
	struct pipeline *pipeline;
	const struct control_request *request;
	struct flow_table_cursor cursor;
	struct ranking ranking;
	size_t next; /* of the ranking */
	uint64_t matched, shown;
	bool is_ranked;
};

int control_flows_new(struct pipeline *pipeline, const struct control_request *request,
		      struct control_flows **ret)
{
	struct control_flows *flows = calloc(1, sizeof(*flows));

	if (!flows)
		return -ENOMEM;
	flows->pipeline = pipeline;
	flows->request = request;
	ranking_init(&flows->ranking, request->limit);
	*ret = flows;
	return 0;
}

void control_flows_free(struct control_flows *flows)
{
	if (!flows)
		return;
	ranking_fini(&flows->ranking);
	free(flows);
}

static void tell(struct control_flows *flows, const struct flow *flow,
		 const struct flow_record *record, struct buffer *out)
{
	int64_t begin_ns = (int64_t)flow->begin_ns + clock_wall_offset_ns();

	control_add_item_begin(out);
	record_filter_encode(
		record, flow->begin_ns && begin_ns > 0 ? (uint64_t)begin_ns / NS_PER_MS : 0, out);
	control_add_item_end(out);
	flows->shown++;
}

static uint64_t find_key(enum control_sort sort, const struct flow *flow,
			 const struct flow_record *record)
{
	uint64_t load = 0;

	if (sort == CONTROL_SORT_BYTES)
		return flow->seen.in_bytes + flow->seen.out_bytes;
	if (sort == CONTROL_SORT_AGE) /* what began before anybody looked is the oldest */
		return UINT64_MAX - flow->begin_ns;
	if (record->parts & RECORD_END(RECORD_SRC, END_USAGE))
		load += record->src.cpu_load_pct100;
	if (record->parts & RECORD_END(RECORD_DST, END_USAGE))
		load += record->dst.cpu_load_pct100;
	return load;
}

/* 0 or -ENOMEM. */
static int look_at(struct control_flows *flows, struct flow *flow, uint64_t now_ns,
		   struct buffer *out)
{
	const struct control_request *request = flows->request;
	struct ranking_item item = {.object = flow, .number = flow->id};
	struct pipeline_description description;

	if (!record_filter_passes_key(&request->filter, flow))
		return 0;
	pipeline_describe_flow(flows->pipeline, flow, now_ns, &description);
	if (!record_filter_passes_ends(&request->filter, &description.record))
		return 0;
	flows->matched++;
	if (request->sort) {
		item.key = find_key(request->sort, flow, &description.record);
		return ranking_add(&flows->ranking, &item);
	}
	if (request->limit == 0 || flows->shown < request->limit)
		tell(flows, flow, &description.record, out);
	return 0;
}

static int walk(struct control_flows *flows, uint64_t now_ns, struct buffer *out)
{
	const struct flow_table *table = pipeline_get_flows(flows->pipeline);
	struct flow *flow;

	for (int i = 0; i < LOOKED_AT_PER_STEP && out->length < BYTES_PER_STEP; i++) {
		if (!flow_table_walk(table, &flows->cursor, &flow)) {
			flows->is_ranked = true;
			ranking_finish(&flows->ranking);
			return CONTROL_MORE;
		}
		if (flow && look_at(flows, flow, now_ns, out) < 0)
			return -ENOMEM;
	}
	return CONTROL_MORE;
}

int control_flows_step(struct control_flows *flows, uint64_t now_ns, struct buffer *out)
{
	if (!flows->is_ranked)
		return walk(flows, now_ns, out);
	while (flows->next < flows->ranking.count && out->length < BYTES_PER_STEP) {
		const struct ranking_item *item = &flows->ranking.items[flows->next++];
		struct flow *flow = item->object;
		struct pipeline_description description;

		if (flow->id != item->number) /* it has left: see flow.h */
			continue;
		pipeline_describe_flow(flows->pipeline, flow, now_ns, &description);
		tell(flows, flow, &description.record, out);
	}
	if (flows->next < flows->ranking.count)
		return CONTROL_MORE;
	control_add_end(out, flows->matched, flows->shown);
	return 0;
}
