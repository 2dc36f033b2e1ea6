/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "record_builder.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

#define START	  (1000 * NS_PER_SEC)
#define END	  (1010 * NS_PER_SEC)
#define SRC(part) RECORD_END(RECORD_SRC, part)

static const struct process_identity identity = {
	.id = {.pid = 42}, .start_ns = START - NS_PER_SEC, .name = "curl", .user_name = "www"};

/* A flow of ten seconds whose source used half a CPU, and waited for I/O a quarter of the time. */
struct scene {
	struct flow flow;
	struct flow_report report;
	struct record_process src, dst;
};

static struct scene make_scene(void)
{
	return (struct scene){
		.flow = {.key = {.family = IP_FAMILY_V4, .protocol = IPPROTO_TCP},
			 .id = 7,
			 .start_ns = START,
			 .src = {.method = OWNERSHIP_TRACE,
				 .base_ns = START,
				 .base_cpu_ns = 3 * NS_PER_SEC,
				 .base_iowait_us = 1000 * 1000,
				 .base_minor_faults = 100,
				 .base_major_faults = 10},
			 .dst = {.method = OWNERSHIP_REMOTE}},
		.report = {.reason = FLOW_END_DETECTED, .end_ns = END, .is_last = true},
		.src = {.identity = &identity,
			.has_usage = true,
			.usage = {.taken_ns = END,
				  .cpu_ns = 8 * NS_PER_SEC,
				  .iowait_ns = 3500 * NS_PER_MS,
				  .minor_faults = 150,
				  .major_faults = 11,
				  .memory_bytes = 4096,
				  .has_faults = true,
				  .has_memory = true,
				  .has_iowait = true},
			.peak_memory_bytes = 8192},
	};
}

static struct flow_record build(const struct scene *scene)
{
	struct flow_record record;

	record_builder_build(&scene->flow, &scene->report, &scene->src, &scene->dst, 0, &record);
	return record;
}

static void loads_are_over_the_span(unused void **state)
{
	struct scene scene = make_scene();
	struct flow_record record = build(&scene);

	assert_int_equal(record.src.cpu_load_pct100, 5000);
	assert_int_equal(record.src.iowait_pct100, 2500);
	assert_int_equal(record.src.minor_faults, 50);
	assert_int_equal(record.src.major_faults, 1);
	assert_int_equal(record.src.page_faults, 51);
	assert_int_equal(record.src.memory_bytes, 4096);
	assert_int_equal(record.src.peak_memory_bytes, 8192);
	assert_int_equal(record.src.pid, 42);
	/* Half of the time only was measured. */
	scene.flow.src.base_ns = START + 5 * NS_PER_SEC;
	assert_int_equal(build(&scene).src.cpu_load_pct100, 10000);
	/* Nothing stands there of the end that is not ours. */
	assert_int_equal(record.parts & RECORD_END(RECORD_DST, END_PROCESS), 0);
	assert_int_equal(record.parts & RECORD_END(RECORD_DST, END_USAGE), 0);
}

static void several_cpus_are_above_100_percent(unused void **state)
{
	struct scene scene = make_scene();

	scene.src.usage.cpu_ns = scene.flow.src.base_cpu_ns + 80 * NS_PER_SEC;
	assert_int_equal(build(&scene).src.cpu_load_pct100, 80000);
}

static void what_is_not_known_is_left_out(unused void **state)
{
	static const struct {
		const char *what;
		uint64_t base_ns, taken_ns;
		bool has_usage, has_faults, has_memory, has_iowait;
		uint64_t parts;
	} cases[] = {
		{"all is known", START, END, true, true, true, true,
		 SRC(END_USAGE) | SRC(END_FAULTS) | SRC(END_MEMORY) | SRC(END_IOWAIT)},
		{"no delay accounting", START, END, true, true, true, false,
		 SRC(END_USAGE) | SRC(END_FAULTS) | SRC(END_MEMORY)},
		{"threads that ended unseen", START, END, true, false, false, true,
		 SRC(END_USAGE) | SRC(END_IOWAIT)},
		{"no base", 0, END, true, true, true, true, SRC(END_MEMORY)},
		{"no time between base and end", END, END, true, true, true, true, SRC(END_MEMORY)},
		{"an end before the base", END, START, true, true, true, true, SRC(END_MEMORY)},
		{"no sample", START, END, false, true, true, true, 0},
	};
	const uint64_t all = cases[0].parts;

	for (size_t i = 0; i < array_length(cases); i++) {
		struct scene scene = make_scene();

		print_message("%s\n", cases[i].what);
		scene.flow.src.base_ns = cases[i].base_ns;
		scene.src.has_usage = cases[i].has_usage;
		scene.src.usage.taken_ns = cases[i].taken_ns;
		scene.src.usage.has_faults = cases[i].has_faults;
		scene.src.usage.has_memory = cases[i].has_memory;
		scene.src.usage.has_iowait = cases[i].has_iowait;
		assert_int_equal(build(&scene).parts & all, cases[i].parts);
	}
}

static void counters_below_the_base_are_nothing(unused void **state)
{
	struct scene scene = make_scene();
	struct flow_record record;

	scene.src.usage.cpu_ns = scene.flow.src.base_cpu_ns - 1;
	scene.src.usage.iowait_ns = 0;
	scene.src.usage.minor_faults = 99;
	scene.src.usage.major_faults = 9;
	record = build(&scene);
	assert_int_equal(record.src.cpu_load_pct100, 0);
	assert_int_equal(record.src.iowait_pct100, 0);
	assert_int_equal(record.src.page_faults, 0);
}

static void faults_beyond_32_bits(unused void **state)
{
	struct scene scene = make_scene();

	scene.flow.src.base_minor_faults = UINT32_MAX;
	scene.src.usage.minor_faults = (1ull << 32) + 9;
	assert_int_equal(build(&scene).src.minor_faults, 10);
}

static void counters_that_wrap_between_base_and_end(unused void **state)
{
	struct scene scene = make_scene();
	uint64_t span_ns = scene.src.usage.taken_ns - scene.flow.src.base_ns;

	scene.flow.src.base_major_faults = (1u << FLOW_MAJOR_FAULTS_BITS) - 1;
	scene.src.usage.major_faults = (1ull << FLOW_MAJOR_FAULTS_BITS) + 4;
	scene.flow.src.base_iowait_us = (1ull << FLOW_IOWAIT_BITS) - 1;
	scene.src.usage.iowait_ns = (1ull << FLOW_IOWAIT_BITS) * 1000 + span_ns / 2;
	assert_int_equal(build(&scene).src.major_faults, 5);
	assert_int_equal(build(&scene).src.iowait_pct100, 5000);
}

/* A set clock moves both ends of a record alike, and no span of it. */
static void wall_time_is_added_at_the_end(unused void **state)
{
	static const int64_t offsets_s[] = {0, 1700000000, 1700003600, -990};

	for (size_t i = 0; i < array_length(offsets_s); i++) {
		struct scene scene = make_scene();
		struct flow_record record;

		record_builder_build(&scene.flow, &scene.report, &scene.src, &scene.dst,
				     offsets_s[i] * (int64_t)NS_PER_SEC, &record);
		assert_int_equal(record.start_ms, (1000 + offsets_s[i]) * 1000);
		assert_int_equal(record.end_ms - record.start_ms, 10000);
		assert_int_equal(record.src.start_ms, record.start_ms - 1000);
		assert_int_equal(record.src.cpu_load_pct100, 5000);
	}
}

static void socket_without_a_process_has_a_user(unused void **state)
{
	struct scene scene = make_scene();
	struct flow_record record;

	scene.flow.dst = (struct flow_end){.method = OWNERSHIP_NONE,
					   .reason = OWNERSHIP_REASON_EXITED,
					   .has_uid = true,
					   .uid = 33};
	strcpy(scene.dst.socket_user_name, "www-data");
	record = build(&scene);
	assert_int_equal(record.dst.uid, 33);
	assert_int_equal(record.dst.user_name.length, strlen("www-data"));
	assert_true(record.parts & RECORD_END(RECORD_DST, END_USER));
	assert_true(record.parts & RECORD_END(RECORD_DST, END_REASON));
	assert_false(record.parts & RECORD_END(RECORD_DST, END_PROCESS));
}

static void process_that_only_trace_knows_has_no_user(unused void **state)
{
	struct process_identity traced = identity;
	struct scene scene = make_scene();
	struct flow_record record;

	assert_true(build(&scene).parts & RECORD_END(RECORD_SRC, END_USER));
	traced.user_name = NULL;
	scene.src = (struct record_process){.identity = &traced};
	record = build(&scene);
	assert_true(record.parts & RECORD_END(RECORD_SRC, END_PROCESS));
	assert_false(record.parts & RECORD_END(RECORD_SRC, END_USER));
	assert_false(record.parts & RECORD_END(RECORD_SRC, END_USAGE));
	assert_false(record.parts & RECORD_END(RECORD_SRC, END_MEMORY));
}

static void icmp_has_type_and_code(unused void **state)
{
	struct scene scene = make_scene();
	struct flow_record record;

	scene.flow.key.protocol = IPPROTO_ICMP;
	scene.flow.key.tuple.dst_port = 8 << 8 | 3;
	record = build(&scene);
	assert_true(record.parts & RECORD_ICMP);
	assert_int_equal(record.icmp_type, 8);
	assert_int_equal(record.icmp_code, 3);
}

#define QUALITY(side) (RECORD_END(side, END_TCP_SOCKET) | RECORD_END(side, END_ROUND_TRIP))

/* Of the end whose socket told, and of that one only what it told; a process need not be known. */
static void quality_of_a_connection(unused void **state)
{
	struct scene scene = make_scene();
	struct flow_record record = build(&scene);

	assert_int_equal(record.parts & (QUALITY(RECORD_SRC) | QUALITY(RECORD_DST)), 0);
	scene.dst = (struct record_process){.has_quality = true,
					    .quality = {.acked_bytes = 11,
							.data_bytes = 10,
							.retransmissions = 0,
							.rtt_us = 300,
							.min_rtt_us = 200,
							.has_counters = true}};
	record = build(&scene);
	assert_int_equal(record.parts & (QUALITY(RECORD_SRC) | QUALITY(RECORD_DST)),
			 QUALITY(RECORD_DST));
	assert_int_equal(record.dst.retransmissions, 0);
	assert_int_equal(record.dst.rtt_us, 300);
	assert_int_equal(record.dst.min_rtt_us, 200);
	assert_int_equal(record.dst.delivered_bytes, 10);
	scene.src.has_quality = true;
	scene.src.quality = (struct tcp_quality){.rtt_us = 100, .min_rtt_us = 90};
	record = build(&scene);
	assert_int_equal(record.parts & QUALITY(RECORD_SRC),
			 RECORD_END(RECORD_SRC, END_ROUND_TRIP));
}

/* Ten seconds of a process, the second five of its life. */
static void process_tells_what_it_used_in_the_interval(void **state)
{
	const struct record_process process = {
		.identity = &identity,
		.has_usage = true,
		.usage = {.taken_ns = END,
			  .cpu_ns = 8 * NS_PER_SEC,
			  .has_faults = true,
			  .minor_faults = 150,
			  .major_faults = 11},
		.peak_memory_bytes = 8192,
	};
	struct record_interval interval = {
		.id = 1ull << 63 | 5,
		.number = 2,
		.event = RECORD_EVENT_END,
		.reason = FLOW_END_DETECTED,
		.base = {.base_ns = START,
			 .base_cpu_ns = 3 * NS_PER_SEC,
			 .base_minor_faults = 100,
			 .base_major_faults = 10},
		.end_ns = END,
		.start_ms = 7,
		.base_totals = {.user_parts = 2,
				.system_parts = 1,
				.has_io = true,
				.read_bytes = 10,
				.written_bytes = 20},
		.totals = {.user_parts = 6,
			   .system_parts = 2,
			   .has_io = true,
			   .read_bytes = 15,
			   .written_bytes = 19,
			   .has_switches = true,
			   .has_wait_status = true,
			   .wait_status = 3 << 8},
		.base_network = {.sent_bytes = 100, .received_bytes = 1, .flows = 1},
		.network = {.sent_bytes = 150, .received_bytes = 4, .flows = 3},
	};
	struct flow_record record;

	(void)state;
	record_builder_build_process(&interval, &process, 0, &record);
	assert_true(record.parts & RECORD_PROCESS);
	assert_int_equal(record.src.start_ms, 7);
	assert_int_equal(record.start_ms, START / NS_PER_MS);
	assert_int_equal(record.end_ms, END / NS_PER_MS);
	assert_int_equal(record.life.cpu_us, 5000000);
	/* 6 of 8 seconds until now, 2 of 3 until then. */
	assert_int_equal(record.life.user_us, 4000000);
	assert_int_equal(record.life.system_us, 1000000);
	assert_int_equal(record.src.cpu_load_pct100, 5000);
	assert_int_equal(record.src.page_faults, 51);
	/* A counter that went backwards is none. */
	assert_int_equal(record.life.read_bytes, 5);
	assert_int_equal(record.life.written_bytes, 0);
	assert_int_equal(record.life.flows, 2);
	assert_int_equal(record.life.sent_bytes, 50);
	assert_int_equal(record.life.received_bytes, 3);
	assert_int_equal(record.life.exit_code, 3);
	assert_int_equal(record.src.peak_memory_bytes, 8192);
	assert_true(record.parts & RECORD_LIFE(LIFE_EXIT_CODE));
	assert_true(record.parts & RECORD_LIFE(LIFE_PEAK));
	assert_false(record.parts & RECORD_LIFE(LIFE_EXIT_SIGNAL));
	/* The base is not known: neither is the difference. */
	assert_false(record.parts & RECORD_LIFE(LIFE_SWITCHES));
	assert_false(record.parts & RECORD_END(RECORD_SRC, END_MEMORY));
	assert_false(record.parts & RECORD_END(RECORD_SRC, END_IOWAIT));

	/* Nor where threads that ended before it are missing now. */
	interval.base_totals.has_switches = true;
	interval.totals.voluntary_switches = 4;
	interval.totals.switches_since_ns = START + 1;
	record_builder_build_process(&interval, &process, 0, &record);
	assert_false(record.parts & RECORD_LIFE(LIFE_SWITCHES));
	interval.totals.switches_since_ns = START;
	record_builder_build_process(&interval, &process, 0, &record);
	assert_true(record.parts & RECORD_LIFE(LIFE_SWITCHES));
	assert_int_equal(record.life.voluntary_switches, 4);

	interval.totals.wait_status = 9;
	interval.network = (struct network_counters){.flows = 3};
	interval.totals.user_parts = interval.totals.system_parts = 0;
	record_builder_build_process(&interval, &process, 0, &record);
	assert_int_equal(record.life.exit_signal, 9);
	assert_false(record.parts & RECORD_LIFE(LIFE_EXIT_CODE));
	/* Flows without bytes are not counted ones; without ticks nobody knows how CPU time parts. */
	assert_false(record.parts & RECORD_LIFE(LIFE_TRAFFIC));
	assert_false(record.parts & RECORD_LIFE(LIFE_CPU_SPLIT));

	interval.event = RECORD_EVENT_INTERIM;
	record_builder_build_process(&interval, &process, 0, &record);
	assert_false(record.parts & RECORD_LIFE(LIFE_EXIT_SIGNAL));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(process_tells_what_it_used_in_the_interval),
		cmocka_unit_test(loads_are_over_the_span),
		cmocka_unit_test(several_cpus_are_above_100_percent),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(counters_below_the_base_are_nothing),
		cmocka_unit_test(faults_beyond_32_bits),
		cmocka_unit_test(counters_that_wrap_between_base_and_end),
		cmocka_unit_test(wall_time_is_added_at_the_end),
		cmocka_unit_test(socket_without_a_process_has_a_user),
		cmocka_unit_test(process_that_only_trace_knows_has_no_user),
		cmocka_unit_test(icmp_has_type_and_code),
		cmocka_unit_test(quality_of_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
