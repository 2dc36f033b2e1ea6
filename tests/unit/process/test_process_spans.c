/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What was used between two times, over a directory that looks like /proc. */

#include "process/process_table.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "support/fake_process.h"
#include "support/temporary.h"

struct fixture {
	char *proc;
	int proc_fd;
	struct process_table *table;
};

#define AT(seconds) ((uint64_t)((seconds)*1e9))

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct process_table_options options = {.sample_interval_ns = NS_PER_SEC};

	fixture->proc = temporary_make();
	fixture->proc_fd = open(fixture->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.proc_fd = fixture->proc_fd;
	*state = fixture;
	return process_table_new(&options, &fixture->table);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	process_table_free(fixture->table);
	close(fixture->proc_fd);
	temporary_remove(fixture->proc);
	free(fixture);
	return 0;
}

static struct process *acquire(struct fixture *fixture, pid_t pid, uint64_t start_ticks,
			       uint64_t now_ns)
{
	struct process_id id = {.pid = pid, .start_ticks = start_ticks};

	return process_table_acquire(fixture->table, id, now_ns);
}

static void peak_memory_since_a_time(void **state)
{
	static const uint64_t pages[] = {10, 50, 20, 30, 5};
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "a", .start_ticks = 9};
	struct process *process = NULL;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < array_length(pages); i++) {
		struct process_usage usage;

		fake.pages = pages[i];
		fake_process_write(fixture->proc, &fake);
		if (!process)
			process = acquire(fixture, 42, 9, AT(1));
		process_table_sample(fixture->table, process, AT(1 + (double)i), AT(1 + (double)i),
				     &usage);
	}
	assert_int_equal(process_get_peak_memory(process, 0), 50 * page);
	assert_int_equal(process_get_peak_memory(process, AT(2)), 50 * page);
	assert_int_equal(process_get_peak_memory(process, AT(2.1)), 30 * page);
	assert_int_equal(process_get_peak_memory(process, AT(5)), 5 * page);
	assert_int_equal(process_get_peak_memory(process, AT(5.1)), 0);
	process_table_release(fixture->table, process);
}

/* A process that is sampled at these times, in seconds, after each of these faults. */
static struct process *sample_at(struct fixture *fixture, struct fake_process *fake,
				 const double *seconds, const uint64_t *faults, size_t count)
{
	struct process *process = NULL;
	struct process_usage usage;

	for (size_t i = 0; i < count; i++) {
		fake->minor_faults = faults[i];
		fake->pages = faults[i];
		fake_process_write(fixture->proc, fake);
		if (!process)
			process = acquire(fixture, fake->pid, fake->start_ticks, AT(seconds[i]));
		assert_int_equal(process_table_sample(fixture->table, process, AT(seconds[i]),
						      AT(seconds[i]), &usage),
				 0);
	}
	return process;
}

static void end_of_a_span_is_not_the_time_of_its_report(void **state)
{
	static const double seconds[] = {100, 101, 102, 103};
	static const uint64_t faults[] = {10, 20, 60, 60};
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "a", .start_ticks = 9};
	struct process *process = sample_at(fixture, &fake, seconds, faults, array_length(seconds));
	struct process_usage usage;

	fake.minor_faults = 5000;
	fake_process_write(fixture->proc, &fake);
	assert_int_equal(process_table_read_end(fixture->table, process, AT(100), AT(101.5),
						AT(140), &usage),
			 0);
	assert_int_equal(usage.taken_ns, AT(101.5));
	assert_int_equal(usage.minor_faults, 40);
	assert_int_equal(usage.memory_bytes, 20 * sysconf(_SC_PAGESIZE));
	assert_int_equal(process_find_peak_memory(process, AT(100), AT(101.5)),
			 20 * sysconf(_SC_PAGESIZE));
	assert_int_equal(process_find_peak_memory(process, AT(100), AT(102)),
			 60 * sysconf(_SC_PAGESIZE));
	/* It ended before its base could be taken: the next sample. */
	assert_int_equal(process_table_read_end(fixture->table, process, AT(101), AT(100.9),
						AT(140), &usage),
			 0);
	assert_int_equal(usage.taken_ns, AT(102));
	/* It is reported at its end. */
	assert_int_equal(
		process_table_read_end(fixture->table, process, AT(101), AT(141), AT(141), &usage),
		0);
	assert_int_equal(usage.minor_faults, 5000);
	/* Its process has ended long after it. */
	fake_process_remove(fixture->proc, 42);
	assert_int_equal(
		process_table_read_end(fixture->table, process, AT(101), AT(102), AT(150), &usage),
		0);
	assert_int_equal(usage.minor_faults, 60);
	process_table_release(fixture->table, process);
}

static void base_is_the_sample_after_the_begin(void **state)
{
	static const double seconds[] = {100, 101};
	static const uint64_t faults[] = {10, 20};
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42, .comm = "a", .start_ticks = 9};
	struct process *process = sample_at(fixture, &fake, seconds, faults, array_length(seconds));
	struct process_usage usage;

	fake.minor_faults = 30;
	fake_process_write(fixture->proc, &fake);
	assert_int_equal(
		process_table_read_base(fixture->table, process, AT(101.985), AT(102), &usage), 0);
	assert_int_equal(usage.taken_ns, AT(102));
	/* Where it was noticed late, what the samples around it tell. */
	assert_int_equal(
		process_table_read_base(fixture->table, process, AT(101.5), AT(102.005), &usage),
		0);
	assert_int_equal(usage.taken_ns, AT(101.5));
	assert_int_equal(usage.minor_faults, 25);
	assert_int_equal(
		process_table_read_base(fixture->table, process, AT(100.99), AT(102.005), &usage),
		0);
	assert_int_equal(usage.taken_ns, AT(101));
	/* Older than the first sample: that one. */
	assert_int_equal(
		process_table_read_base(fixture->table, process, AT(50), AT(102.005), &usage), 0);
	assert_int_equal(usage.minor_faults, 30);
	process_table_release(fixture->table, process);
}

/* It began after the flow: all that it used counts, also before its first sample. */
static void base_of_a_younger_process_is_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct fake_process fake = {.pid = 42,
				    .comm = "worker",
				    .start_ticks = 10000,
				    .minor_faults = 77,
				    .user_ticks = 3};
	struct process_usage base, end;
	struct process *process;

	fake_process_write(fixture->proc, &fake);
	process = acquire(fixture, 42, 0, AT(100.5));
	assert_int_equal(process_table_read_base(fixture->table, process, AT(99), AT(100.5), &base),
			 0);
	assert_int_equal(base.cpu_ns, 0);
	assert_int_equal(base.minor_faults, 0);
	assert_int_equal(base.taken_ns, AT(99));
	assert_true(base.has_faults);
	assert_int_equal(process_table_read_end(fixture->table, process, base.taken_ns, AT(101),
						AT(101), &end),
			 0);
	assert_int_equal(end.minor_faults, 77);
	/* The next flow begins after it. */
	assert_int_equal(process_table_read_base(fixture->table, process, AT(101), AT(101), &base),
			 0);
	assert_int_equal(base.minor_faults, 77);
	process_table_release(fixture->table, process);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define with_proc(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		with_proc(peak_memory_since_a_time),
		with_proc(end_of_a_span_is_not_the_time_of_its_report),
		with_proc(base_is_the_sample_after_the_begin),
		with_proc(base_of_a_younger_process_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
