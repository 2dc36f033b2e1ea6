/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/counters.h"

#include "base/macros.h"

#define COUNTER(member, meaning_)                                                                  \
	{                                                                                          \
		.name = #member, .meaning = meaning_,                                              \
		.offset = offsetof(struct exporter_counters, member)                               \
	}

const struct exporter_counter exporter_counter_table[] = {
	COUNTER(accepted_records, "records given to the exporter"),
	COUNTER(sent_records, "records that the collector's side has"),
	COUNTER(sent_messages, "messages they went in"),
	COUNTER(sent_bytes, "bytes they went in"),
	COUNTER(waiting_records, "records not sent yet"),
	COUNTER(dropped_queue_full, "thrown away, oldest first: too many waited"),
	COUNTER(dropped_unreachable, "thrown away: sending failed"),
	COUNTER(dropped_too_large, "thrown away: longer than a message"),
	COUNTER(dropped_refused, "thrown away: the collector will not take them"),
	COUNTER(dropped_no_memory, "thrown away: memory ran out"),
	COUNTER(refused_messages, "datagrams that nobody took; they count as sent"),
	COUNTER(templates_sent, "templates sent"),
	COUNTER(simplified_records, "records sent with fewer fields than known"),
	COUNTER(connections, "connections made"),
	COUNTER(failed_connections, "attempts to connect that failed"),
	COUNTER(retried_records, "records given to the collector once more"),
};
const size_t exporter_counter_count = array_length(exporter_counter_table);

_Static_assert(array_length(exporter_counter_table) * sizeof(uint64_t) ==
		       sizeof(struct exporter_counters),
	       "every counter has its row");

uint64_t exporter_counters_sum_dropped(const struct exporter_counters *counters)
{
	return counters->dropped_queue_full + counters->dropped_unreachable +
	       counters->dropped_too_large + counters->dropped_refused +
	       counters->dropped_no_memory;
}

void exporter_counters_update_waiting(struct exporter_counters *counters)
{
	counters->waiting_records = counters->accepted_records - counters->sent_records -
				    exporter_counters_sum_dropped(counters);
}
