/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "status/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"

struct some {
	uint64_t events, fill, cpu_ns, unknown;
	uint64_t methods[3];
	uint64_t lost;
};

static const char *get_label(unsigned number)
{
	return number == 0 ? NULL : number == 1 ? "trace" : "none";
}

#define SOME(name_, kind_)                                                                         \
	.group = "some", .name = #name_, .help = "About " #name_ ".", .kind = STATISTIC_##kind_,   \
	.source = 1, .offset = offsetof(struct some, name_)

static const struct statistic rows[] = {
	{SOME(events, COUNTER)},
	{SOME(fill, GAUGE)},
	{SOME(cpu_ns, SECONDS)},
	{SOME(unknown, GAUGE)},
	{SOME(methods, COUNTER), .label_key = "method", .get_label = get_label, .count = 3},
	{SOME(lost, LOSS)},
	{.group = "absent", .name = "x", .help = "Never there.", .source = 3},
	{.group = "exporter", .name = "sent", .help = "Sent.", .source = 2},
	{.group = "exporter",
	 .name = "dropped",
	 .help = "Dropped.",
	 .kind = STATISTIC_LOSS,
	 .source = 2,
	 .offset = 8},
};

static const struct some some = {.events = 5,
				 .fill = 7,
				 .cpu_ns = 1500000000,
				 .unknown = STATISTIC_UNKNOWN,
				 .methods = {1, 2, 3},
				 .lost = 0};
static const uint64_t exporters[2][2] = {{10, 0}, {20, 4}};
static const struct statistics_instance instances[] = {{"json", "json", "file:///x", exporters[0]},
						       {"c\"1", "ipfix", NULL, exporters[1]}};

static const struct statistics statistics = {
	.rows = rows,
	.row_count = array_length(rows),
	.sources = {[1] = &some},
	.instance_source = 2,
	.instances = instances,
	.instance_count = array_length(instances),
};

static void assert_text(struct buffer *out, const char *expected)
{
	buffer_add_byte(out, 0);
	assert_false(out->failed);
	assert_string_equal((char *)out->bytes, expected);
	buffer_fini(out);
}

static void json_has_groups_labels_and_losses(unused void **state)
{
	struct buffer out;

	buffer_init(&out);
	buffer_add_byte(&out, '{');
	statistics_encode_json(&statistics, &out);
	buffer_add_byte(&out, '}');
	assert_text(&out, "{\"some\":{\"events\":5,\"fill\":7,\"cpu_ns\":1500000000,"
			  "\"methods\":{\"trace\":2,\"none\":3},\"lost\":0},"
			  "\"losses\":[{\"name\":\"exporter.c\\\"1.dropped\",\"count\":4,"
			  "\"meaning\":\"Dropped.\"}]}");
}

static void instance_has_its_own_object(unused void **state)
{
	struct buffer out;

	buffer_init(&out);
	statistics_encode_instance(&statistics, &instances[0], &out);
	assert_text(&out, "{\"name\":\"json\",\"type\":\"json\",\"to\":\"file:///x\",\"sent\":10,"
			  "\"dropped\":0}");
}

static void metrics_are_prometheus_text(unused void **state)
{
	struct buffer out;

	buffer_init(&out);
	statistics_encode_metrics(&statistics, &out);
	assert_text(&out,
		    "# HELP procflow_some_events_total About events.\n"
		    "# TYPE procflow_some_events_total counter\n"
		    "procflow_some_events_total 5\n"
		    "# HELP procflow_some_fill About fill.\n"
		    "# TYPE procflow_some_fill gauge\n"
		    "procflow_some_fill 7\n"
		    "# HELP procflow_some_cpu_seconds_total About cpu_ns.\n"
		    "# TYPE procflow_some_cpu_seconds_total counter\n"
		    "procflow_some_cpu_seconds_total 1.500000000\n"
		    "# HELP procflow_some_methods_total About methods.\n"
		    "# TYPE procflow_some_methods_total counter\n"
		    "procflow_some_methods_total{method=\"trace\"} 2\n"
		    "procflow_some_methods_total{method=\"none\"} 3\n"
		    "# HELP procflow_some_lost_total About lost.\n"
		    "# TYPE procflow_some_lost_total counter\n"
		    "procflow_some_lost_total 0\n"
		    "# HELP procflow_exporter_sent_total Sent.\n"
		    "# TYPE procflow_exporter_sent_total counter\n"
		    "procflow_exporter_sent_total{exporter=\"json\",type=\"json\"} 10\n"
		    "procflow_exporter_sent_total{exporter=\"c\\\"1\",type=\"ipfix\"} 20\n"
		    "# HELP procflow_exporter_dropped_total Dropped.\n"
		    "# TYPE procflow_exporter_dropped_total counter\n"
		    "procflow_exporter_dropped_total{exporter=\"json\",type=\"json\"} 0\n"
		    "procflow_exporter_dropped_total{exporter=\"c\\\"1\",type=\"ipfix\"} 4\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_groups_labels_and_losses),
		cmocka_unit_test(instance_has_its_own_object),
		cmocka_unit_test(metrics_are_prometheus_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
