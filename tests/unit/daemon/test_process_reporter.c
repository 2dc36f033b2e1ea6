/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Over a directory that looks like /proc, exit records and a trace that the test makes up, and clocks that
 * it sets. */

#include "process_reporter.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "process/process_table_private.h"
#include "process/taskstats.h"
#include "support/fake_process.h"
#include "support/temporary.h"

enum { MOST_RECORDS = 1024, FIRST_PID = 1000, MOST_LIVES = 600 };

#define WALL_S	   1800000000
#define S(seconds) ((uint64_t)((seconds)*1e9))

static uint64_t now_ns;	    /* monotonic */
static int64_t wall_step_s; /* by which the wall clock was set */

/* Instead of the C library's, for all of the program. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
	ret->tv_sec = (time_t)(now_ns / NS_PER_SEC);
	ret->tv_nsec = (long)(now_ns % NS_PER_SEC);
	if (id == CLOCK_REALTIME)
		ret->tv_sec += WALL_S + wall_step_s;
	return 0;
}

/* What is kept of a record: it borrows. */
struct seen {
	uint32_t pid, number, exit_code;
	uint64_t minor_faults, load_pct100, parts, process_start_ms, start_ms, end_ms, cpu_us;
	uint8_t end_reason;
	char event[8], name[64], executable[64];
};

static struct seen seen[MOST_RECORDS];
static size_t seen_count;

static void copy_text(char *to, size_t size, struct text from)
{
	snprintf(to, size, "%.*s", (int)from.length, from.at ? from.at : "");
}

/* Instead of the one that encodes and sends. */
void exporter_export(struct exporter *exporter, const struct flow_record *record)
{
	struct seen *next = &seen[seen_count++];

	(void)exporter;
	assert_true(seen_count < MOST_RECORDS);
	*next = (struct seen){
		.pid = record->src.pid,
		.number = record->number,
		.minor_faults = record->src.minor_faults,
		.load_pct100 = record->src.cpu_load_pct100,
		.exit_code = record->life.exit_code,
		.parts = record->parts,
		.process_start_ms = record->src.start_ms,
		.start_ms = record->start_ms,
		.end_ms = record->end_ms,
		.cpu_us = record->life.cpu_us,
		.end_reason = record->end_reason,
	};
	copy_text(next->event, sizeof(next->event), record->life.event);
	copy_text(next->name, sizeof(next->name), record->src.name);
	copy_text(next->executable, sizeof(next->executable), record->src.executable);
}

struct fixture {
	char *proc;
	int proc_fd;
	struct loop *loop;
	struct process_table *table;
	struct attribution *attribution;
	struct exporter_set exporters;
	struct exporter *exporter;
	struct process_reporter *reporter;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct process_table_options table = {.sample_interval_ns = NS_PER_SEC,
					      .tell_all_ends = true};
	struct attribution_options attribution = {.methods = CONFIG_METHOD_TRACE};
	struct process_reporter_options options = {
		.interval_ns = S(60), .most = MOST_LIVES, .all = true, .report_start = true};
	struct fake_process kthreadd = {.pid = 2, .comm = "kthreadd"};

	now_ns = S(1000);
	wall_step_s = 0;
	seen_count = 0;
	*state = fixture;
	fixture->proc = temporary_make();
	fake_process_write(fixture->proc, &kthreadd);
	fixture->proc_fd = open(fixture->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	table.proc_fd = attribution.proc_fd = fixture->proc_fd;
	fixture->exporters =
		(struct exporter_set){.items = &fixture->exporter, .count = 1};
	if (loop_new(&fixture->loop) < 0 || process_table_new(&table, &fixture->table) < 0 ||
	    attribution_new(&attribution, &fixture->attribution) < 0)
		return -1;
	attribution_begin_trace(fixture->attribution, now_ns);
	options.loop = fixture->loop;
	options.processes = fixture->table;
	options.attribution = fixture->attribution;
	options.exporters = &fixture->exporters;
	return process_reporter_new(&options, &fixture->reporter);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	process_reporter_free(fixture->reporter);
	attribution_free(fixture->attribution);
	process_table_free(fixture->table);
	loop_free(fixture->loop);
	close(fixture->proc_fd);
	temporary_remove(fixture->proc);
	free(fixture);
	return 0;
}

static void run(struct fixture *fixture, double seconds)
{
	now_ns = S(1000 + seconds);
	process_reporter_run(fixture->reporter, now_ns);
}

/* One that begins so long after the reporter. */
static struct fake_process make_process(struct fixture *fixture, pid_t pid, double seconds)
{
	struct fake_process fake = {.pid = pid,
				    .parent = 1,
				    .comm = "worker",
				    .pages = 10,
				    .start_ticks = S(1000 + seconds) / 10000000};

	fake_process_write(fixture->proc, &fake);
	return fake;
}

/* It ends now; what it used is known by its exit record. */
static void end(struct fixture *fixture, pid_t pid, pid_t group, double lived_s)
{
	struct taskstats_message message = {
		.has_task = true,
		.pid = pid,
		.task_figures = {.pid = pid,
				 .group = group,
				 .group_ended = group == pid,
				 .elapsed_us = (uint64_t)(lived_s * 1e6),
				 .group_elapsed_us = group ? (uint64_t)(lived_s * 1e6) : 0,
				 .cpu_ns = 40 * NS_PER_MS,
				 .minor_faults = 500,
				 .exit_code = 3 << 8,
				 .name = "a-name-of-15-by"},
	};

	process_exits_take(fixture->table, &message, now_ns);
	fixture->table->drained_ns = now_ns;
}

static void trace(struct fixture *fixture, enum process_event_type type, pid_t pid, double seconds)
{
	struct process_event event = {
		.type = type,
		.when_ns = S(1000 + seconds),
		.pid = pid,
		.thread = pid,
		.parent = 1,
		.name = "a-name-of-15-by",
		.executable = type == PROCESS_EVENT_EXECUTABLE ? "/opt/a-name-of-15-bytes" : NULL};

	attribution_add_process(fixture->attribution, &event);
}

static size_t count(const char *event)
{
	size_t found = 0;

	for (size_t i = 0; i < seen_count; i++)
		found += strcmp(seen[i].event, event) == 0;
	return found;
}

static void records_of_a_life_follow_each_other(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = make_process(fixture, FIRST_PID, 1);

	run(fixture, 1.5);
	assert_int_equal(seen_count, 1);
	assert_string_equal(seen[0].event, "start");
	assert_int_equal(seen[0].start_ms, WALL_S * 1000ull + 1001000);
	fake.minor_faults = 70;
	fake_process_write(fixture->proc, &fake);
	run(fixture, 62);
	assert_int_equal(seen_count, 2);
	assert_string_equal(seen[1].event, "interim");
	assert_int_equal(seen[1].start_ms, seen[0].start_ms);
	assert_int_equal(seen[1].minor_faults, 70);
	now_ns = S(1070);
	fake_process_remove(fixture->proc, FIRST_PID);
	end(fixture, FIRST_PID, FIRST_PID, 69);
	run(fixture, 70.5);
	assert_int_equal(seen_count, 2); /* a late flow may still come */
	run(fixture, 71.5);
	assert_int_equal(seen_count, 3);
	assert_string_equal(seen[2].event, "end");
	assert_int_equal(seen[2].start_ms, seen[1].end_ms);
	assert_int_equal(seen[2].minor_faults, 430);
	assert_int_equal(seen[2].exit_code, 3);
	assert_int_equal(seen[2].number, 3);
	assert_int_equal(process_reporter_get_counters(fixture->reporter)->processes, 0);
}

/* A process must not end before it began; and by being slewed its start does not change. */
static void wall_clock_is_set(void **state)
{
	struct fixture *fixture = *state;

	make_process(fixture, FIRST_PID, 1);
	run(fixture, 1.5);
	wall_step_s = -3600;
	run(fixture, 62);
	assert_int_equal(seen_count, 2);
	assert_int_equal(seen[1].process_start_ms, seen[0].process_start_ms - 3600000);
	assert_true(seen[1].process_start_ms <= seen[1].end_ms);
	assert_true(seen[1].start_ms <= seen[1].end_ms);
	run(fixture, 123);
	assert_int_equal(seen[2].process_start_ms, seen[1].process_start_ms);
	wall_step_s += 3600;
	now_ns = S(1130);
	fake_process_remove(fixture->proc, FIRST_PID);
	end(fixture, FIRST_PID, FIRST_PID, 129);
	run(fixture, 132);
	assert_int_equal(seen[3].process_start_ms, seen[0].process_start_ms);
}

/* The exit record was read 300 ms after the end, and the age in it begins a little off: the load is told
 * over the life that trace knows, and times it gives the CPU time. */
static void late_process_has_the_times_and_the_program_of_trace(void **state)
{
	struct fixture *fixture = *state;

	trace(fixture, PROCESS_EVENT_FORK, FIRST_PID, 5);
	trace(fixture, PROCESS_EVENT_EXEC, FIRST_PID, 5.001);
	trace(fixture, PROCESS_EVENT_EXECUTABLE, FIRST_PID, 5.001);
	trace(fixture, PROCESS_EVENT_EXIT, FIRST_PID, 5.1);
	now_ns = S(1005.4);
	end(fixture, FIRST_PID, FIRST_PID, 0.1);
	run(fixture, 8);
	run(fixture, 10);
	assert_int_equal(seen_count, 1);
	assert_string_equal(seen[0].event, "end");
	assert_int_equal(seen[0].process_start_ms, WALL_S * 1000ull + 1005000);
	assert_int_equal(seen[0].end_ms, WALL_S * 1000ull + 1005100);
	assert_int_equal(seen[0].cpu_us, 40000);
	assert_int_equal(seen[0].load_pct100, 4000);
	assert_string_equal(seen[0].executable, "/opt/a-name-of-15-bytes");
	assert_string_equal(seen[0].name, "a-name-of-15-bytes");
}

/* A zombie that its parent left for a second: sampled when it was long over, its load is still that of its
 * life. */
static void zombie_has_the_load_of_its_life(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = make_process(fixture, FIRST_PID, 1);
	struct process *process;
	struct process_usage usage;

	run(fixture, 1.5);
	fake.state = 'Z';
	fake.user_ticks = 50;
	fake_process_write(fixture->proc, &fake);
	now_ns = S(1003);
	process = process_table_find(fixture->table, FIRST_PID);
	assert_int_equal(process_table_sample(fixture->table, process, now_ns, now_ns, &usage), 0);
	end(fixture, FIRST_PID, FIRST_PID, 1);
	run(fixture, 6);
	assert_int_equal(seen_count, 2);
	assert_string_equal(seen[1].event, "end");
	assert_int_equal(seen[1].end_ms, WALL_S * 1000ull + 1002000);
	assert_int_equal(seen[1].cpu_us, 500000);
	assert_int_equal(seen[1].load_pct100, 5000);
}

/* The trace of another life under the pid is not taken. */
static void another_lifes_trace_is_not_taken(void **state)
{
	struct fixture *fixture = *state;

	trace(fixture, PROCESS_EVENT_FORK, FIRST_PID, 5);
	trace(fixture, PROCESS_EVENT_EXECUTABLE, FIRST_PID, 5.001);
	trace(fixture, PROCESS_EVENT_EXIT, FIRST_PID, 5.3);
	now_ns = S(1005.4);
	end(fixture, FIRST_PID, FIRST_PID, 0.1);
	run(fixture, 8);
	run(fixture, 10);
	assert_int_equal(seen_count, 1);
	assert_in_range(seen[0].end_ms, WALL_S * 1000ull + 1005399, WALL_S * 1000ull + 1005400);
	assert_string_equal(seen[0].executable, "");
}

/* Before Linux 5.19 a record may be of a thread: trace knows of processes alone. */
static void only_what_trace_confirms_is_told(void **state)
{
	struct fixture *fixture = *state;

	trace(fixture, PROCESS_EVENT_FORK, FIRST_PID, 5);
	trace(fixture, PROCESS_EVENT_EXIT, FIRST_PID, 5.1);
	now_ns = S(1005.1);
	end(fixture, FIRST_PID, 0, 0.1);
	end(fixture, FIRST_PID + 1, 0, 0.1);
	run(fixture, 8);
	run(fixture, 10);
	assert_int_equal(seen_count, 1);
	assert_int_equal(seen[0].pid, FIRST_PID);
	assert_int_equal(process_reporter_get_counters(fixture->reporter)->unconfirmed, 1);
}

static void threads_of_the_kernel_have_no_records(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process kworker = {.pid = 50, .parent = 2, .comm = "kworker"};

	fake_process_write(fixture->proc, &kworker);
	make_process(fixture, FIRST_PID, 1);
	run(fixture, 2);
	assert_int_equal(seen_count, 1);
	assert_int_equal(seen[0].pid, FIRST_PID);
}

static void flow_after_the_last_record_is_counted(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;

	now_ns = S(1005);
	end(fixture, FIRST_PID, FIRST_PID, 1);
	run(fixture, 7);
	run(fixture, 9);
	assert_int_equal(count("end"), 1);
	process = process_table_acquire(fixture->table, (struct process_id){.pid = FIRST_PID},
					now_ns);
	assert_non_null(process);
	process_reporter_note(fixture->reporter, process);
	process_table_release(fixture->table, process);
	assert_int_equal(process_reporter_get_counters(fixture->reporter)->late, 1);
	run(fixture, 90);
	assert_int_equal(count("end"), 1);
}

/* More than a turn may tell: the next comes soon, and nothing is left out. */
static void backlog_is_told_turn_by_turn(void **state)
{
	enum { HERE = 500, A_TURN = 256 };
	struct fixture *fixture = *state;
	uint64_t due_ns;

	now_ns = S(1005);
	for (pid_t i = 0; i < HERE; i++)
		end(fixture, FIRST_PID + i, FIRST_PID + i, 1);
	now_ns = S(1007);
	due_ns = process_reporter_run(fixture->reporter, now_ns);
	assert_in_range(due_ns - now_ns, 0, 50 * NS_PER_MS);
	now_ns = S(1009);
	process_reporter_run(fixture->reporter, now_ns);
	assert_int_equal(count("end"), A_TURN);
	now_ns = S(1011);
	due_ns = process_reporter_run(fixture->reporter, now_ns);
	assert_int_equal(count("end"), HERE);
	assert_in_range(due_ns - now_ns, 100 * NS_PER_MS, NS_PER_SEC);
}

static void what_there_is_no_room_for_is_refused(void **state)
{
	struct fixture *fixture = *state;

	now_ns = S(1005);
	for (pid_t i = 0; i < MOST_LIVES + 5; i++)
		end(fixture, FIRST_PID + i, FIRST_PID + i, 1);
	for (int i = 0; i < 5; i++)
		process_table_tell_ends(fixture->table, S(1007), MOST_LIVES);
	assert_int_equal(process_reporter_get_counters(fixture->reporter)->processes, MOST_LIVES);
	assert_int_equal(process_reporter_get_counters(fixture->reporter)->refused, 5);
}

static void end_of_the_program_tells_all(void **state)
{
	struct fixture *fixture = *state;

	make_process(fixture, FIRST_PID, 1);
	run(fixture, 2);
	now_ns = S(1005);
	end(fixture, FIRST_PID + 1, FIRST_PID + 1, 1);
	now_ns = S(1005.5);
	process_reporter_flush(fixture->reporter);
	assert_int_equal(seen_count, 3);
	assert_string_equal(seen[1].event, "interim");
	assert_int_equal(seen[1].end_reason, FLOW_END_FORCED);
	assert_string_equal(seen[2].event, "end");
	assert_int_equal(seen[2].pid, FIRST_PID + 1);
	assert_int_equal(process_reporter_get_counters(fixture->reporter)->processes, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define with_reporter(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		with_reporter(records_of_a_life_follow_each_other),
		with_reporter(wall_clock_is_set),
		with_reporter(late_process_has_the_times_and_the_program_of_trace),
		with_reporter(zombie_has_the_load_of_its_life),
		with_reporter(another_lifes_trace_is_not_taken),
		with_reporter(only_what_trace_confirms_is_told),
		with_reporter(threads_of_the_kernel_have_no_records),
		with_reporter(flow_after_the_last_record_is_counted),
		with_reporter(backlog_is_told_turn_by_turn),
		with_reporter(what_there_is_no_room_for_is_refused),
		with_reporter(end_of_the_program_tells_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
