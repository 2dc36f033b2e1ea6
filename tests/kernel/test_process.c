/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The process table over real processes whose use the test knows. */

#include "process/process_table.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "support/child.h"
#include "support/temporary.h"

/* Before Linux 6.2 each of three kinds of pages is told up to 64 late (TASK_RSS_EVENTS_THRESH in
 * mm/memory.c), and a fault in a file maps 16 of them. */
enum { CLOSE_FAULTS = 5, CLOSE_PAGES = 512 };

struct fixture {
	int proc_fd;
	struct process_table *table;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct process_table_options options = {.sample_interval_ns = NS_PER_SEC};

	fixture->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.proc_fd = fixture->proc_fd;
	*state = fixture;
	return process_table_new(&options, &fixture->table);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	process_table_free(fixture->table);
	close(fixture->proc_fd);
	free(fixture);
	return 0;
}

static struct process *acquire(struct fixture *fixture, pid_t pid)
{
	return process_table_acquire(fixture->table, (struct process_id){.pid = pid},
				     clock_now_ns());
}

static struct process_usage sample(struct fixture *fixture, struct process *process)
{
	uint64_t now_ns = clock_now_ns();
	struct process_usage usage;

	assert_int_equal(process_table_sample(fixture->table, process, now_ns, now_ns, &usage), 0);
	print_message("cpu %.3f ms, faults %lu + %lu, memory %lu, final %d\n",
		      (double)usage.cpu_ns / 1e6, usage.minor_faults, usage.major_faults,
		      usage.memory_bytes, usage.is_final);
	return usage;
}

static void assert_close(uint64_t found, uint64_t truth, uint64_t most)
{
	print_message("found %lu, truth %lu\n", found, truth);
	assert_true((found > truth ? found - truth : truth - found) <= most);
}

/* Burns and faults between two points, and tells the test what it used by getrusage(2). */
struct shared {
	struct rusage before, after;
	size_t pages;
	unsigned ms, threads;
};

static struct shared *share(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(shared, MAP_FAILED);
	return shared;
}

static char *touch_pages(size_t pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	madvise(memory, pages * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i++)
		memory[i * page] = 1;
	return memory;
}

static void *use_in_thread(void *argument)
{
	const struct shared *shared = argument;

	touch_pages(shared->pages);
	child_burn_ms(shared->ms);
	return NULL;
}

static void use(struct child *child, void *argument)
{
	struct shared *shared = argument;
	pthread_t threads[16];

	child_pause(child);
	getrusage(RUSAGE_SELF, &shared->before);
	for (unsigned i = 0; i < shared->threads; i++)
		pthread_create(&threads[i], NULL, use_in_thread, shared);
	for (unsigned i = 0; i < shared->threads; i++)
		pthread_join(threads[i], NULL);
	if (shared->threads == 0)
		use_in_thread(shared);
	getrusage(RUSAGE_SELF, &shared->after);
	child_pause(child);
}

static uint64_t faults_of(const struct process_usage *usage)
{
	return usage->minor_faults + usage->major_faults;
}

static void check_span(struct fixture *fixture, struct shared *shared)
{
	struct child child = child_start(use, shared);
	struct process_usage before, after;
	struct process *process;
	uint64_t faults;

	child_wait_pause(&child);
	process = acquire(fixture, child.pid);
	assert_non_null(process);
	before = sample(fixture, process);
	child_continue(&child);
	child_wait_pause(&child);
	after = sample(fixture, process);
	child_continue(&child);
	child_reap(&child, NULL);
	assert_close(after.cpu_ns - before.cpu_ns,
		     rusage_cpu_ns(&shared->after) - rusage_cpu_ns(&shared->before),
		     child_get_tolerance_ns());
	faults = (uint64_t)(shared->after.ru_minflt - shared->before.ru_minflt +
			    shared->after.ru_majflt - shared->before.ru_majflt);
	assert_true(faults >= shared->pages);
	assert_close(faults_of(&after) - faults_of(&before), faults, CLOSE_FAULTS);
	process_table_release(fixture->table, process);
	munmap(shared, sizeof(*shared));
}

static void cpu_and_faults_of_a_span(void **state)
{
	struct shared *shared = share();

	shared->pages = 3000;
	shared->ms = 30;
	check_span(*state, shared);
}

static void threads_that_ended_early_count(void **state)
{
	struct shared *shared = share();

	shared->pages = 200;
	shared->ms = 5;
	shared->threads = 8;
	check_span(*state, shared);
}

static void grow_and_shrink(struct child *child, void *argument)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = *(size_t *)argument;
	char *memory;

	child_pause(child);
	memory = touch_pages(pages);
	child_pause(child);
	munmap(memory, pages * page);
	child_pause(child);
}

static void peak_memory_is_seen_after_it_shrank(void **state)
{
	struct fixture *fixture = *state;
	size_t pages = 8000, page = (size_t)sysconf(_SC_PAGESIZE);
	struct child child = child_start(grow_and_shrink, &pages);
	struct process_usage small, large, last;
	struct process *process;
	uint64_t begin_ns, end_ns;

	child_wait_pause(&child);
	process = acquire(fixture, child.pid);
	small = sample(fixture, process);
	begin_ns = clock_now_ns();
	child_continue(&child);
	child_wait_pause(&child);
	large = sample(fixture, process);
	child_continue(&child);
	child_wait_pause(&child);
	end_ns = clock_now_ns();
	last = sample(fixture, process);
	assert_close(large.memory_bytes - small.memory_bytes, pages * page, CLOSE_PAGES * page);
	assert_close(last.memory_bytes, small.memory_bytes, CLOSE_PAGES * page);
	assert_int_equal(process_get_peak_memory(process, begin_ns), large.memory_bytes);
	assert_int_equal(process_get_peak_memory(process, end_ns), last.memory_bytes);
	child_continue(&child);
	child_reap(&child, NULL);
	process_table_release(fixture->table, process);
}

static void work_and_end(struct child *child, void *argument)
{
	child_pause(child);
	touch_pages(*(size_t *)argument);
	child_spin_ms(7);
}

/* Sampled at its begin alone, and reaped before it is looked at again. */
static void end_comes_from_the_exit_record(void **state)
{
	struct fixture *fixture = *state;
	size_t pages = 2000;
	struct child child = child_start(work_and_end, &pages);
	struct process_usage before, after;
	struct process *process;
	struct rusage truth;
	uint64_t truth_ns, reaped_ns;

	child_wait_pause(&child);
	process = acquire(fixture, child.pid);
	before = sample(fixture, process);
	child_continue(&child);
	truth_ns = child_reap(&child, &truth);
	reaped_ns = clock_now_ns();
	after = sample(fixture, process);
	assert_true(after.is_final && after.has_faults && after.has_memory);
	assert_true(after.taken_ns >= before.taken_ns + 7 * NS_PER_MS &&
		    after.taken_ns <= reaped_ns);
	/* What it used since its last sleep is behind by a tick at most; and it gave 8 MB back
	 * while exiting, which no exit record has. */
	print_message("cpu: %.3f ms of %.3f\n", (double)after.cpu_ns / 1e6, (double)truth_ns / 1e6);
	assert_true(after.cpu_ns <= truth_ns + NS_PER_MS && after.cpu_ns > before.cpu_ns);
	assert_close(faults_of(&after), (uint64_t)(truth.ru_minflt + truth.ru_majflt),
		     CLOSE_FAULTS);
	assert_true(process_get_peak_memory(process, process_get_identity(process)->start_ns) >=
		    pages * (size_t)sysconf(_SC_PAGESIZE));
	process_table_release(fixture->table, process);
}

/* The same, but its parent has not asked yet: nothing is missing at all. */
static void zombie_tells_everything(void **state)
{
	struct fixture *fixture = *state;
	size_t pages = 2000;
	struct child child = child_start(work_and_end, &pages);
	struct process_usage after;
	struct process *process;
	struct rusage truth;
	uint64_t truth_ns;

	child_wait_pause(&child);
	process = acquire(fixture, child.pid);
	child_continue(&child);
	child_wait_zombie(&child);
	after = sample(fixture, process);
	truth_ns = child_reap(&child, &truth);
	assert_true(after.is_final);
	assert_close(after.cpu_ns, truth_ns, 10000);
	assert_close(faults_of(&after), (uint64_t)(truth.ru_minflt + truth.ru_majflt),
		     CLOSE_FAULTS);
	assert_true(after.memory_bytes > 0);
	process_table_release(fixture->table, process);
}

static void touch_one_page(struct child *child, void *argument)
{
	for (;;) {
		child_pause(child);
		touch_pages(*(size_t *)argument);
	}
}

/* A process whose CPU clock stands still did nothing: nothing else of it is read, and nothing that it
 * does goes unnoticed, be it one page. */
static void sleeping_process_is_known_by_its_clock(void **state)
{
	enum { ROUNDS = 20, LOOKS = 30, MOST_IDLE = 8 };
	struct fixture *fixture = *state;
	const struct process_table_counters *counters = process_table_get_counters(fixture->table);
	size_t pages = 1;
	struct child child = child_start(touch_one_page, &pages);
	struct process_usage before, after;
	struct process *process;

	child_wait_pause(&child);
	process = acquire(fixture, child.pid);
	assert_non_null(process);
	before = sample(fixture, process);
	for (int round = 0; round < ROUNDS; round++) {
		child_continue(&child);
		child_wait_pause(&child);
		after = sample(fixture, process);
		assert_true(faults_of(&after) > faults_of(&before));
		assert_true(after.memory_bytes >= before.memory_bytes);
		before = after;
	}
	for (int look = 0; look < LOOKS; look++) {
		after = sample(fixture, process);
		assert_true(after.taken_ns > before.taken_ns);
		assert_int_equal(faults_of(&after), faults_of(&before));
		assert_true(process_find_peak_memory(process, after.taken_ns, after.taken_ns) > 0);
	}
	/* Every so often all the same: what sleeps can still lose memory. */
	assert_in_range(counters->samples_idle, LOOKS / 2,
			(LOOKS + ROUNDS) * MOST_IDLE / (MOST_IDLE + 1) + 1);
	kill(child.pid, SIGKILL);
	child_wait_zombie(&child);
	assert_true(sample(fixture, process).is_final);
	child_reap(&child, NULL);
	process_table_release(fixture->table, process);
}

static void live_briefly(struct child *child, void *argument)
{
	(void)child;
	prctl(PR_SET_NAME, "mayfly");
	child_spin_ms(*(unsigned *)argument);
}

/* Gone before it was ever asked for: A11, K8. */
static void k8_exit_record_names_who_was_never_seen(void **state)
{
	struct fixture *fixture = *state;
	/* Exit records may be a clock tick behind in their CPU time. */
	unsigned ms = 30;
	uint64_t tick_ns = NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t before_ns = clock_now_ns(), after_ns, truth_ns;
	struct child child = child_start(live_briefly, &ms);
	const struct process_identity *identity;
	struct process_usage usage, base;
	struct process *process;
	struct rusage truth;

	truth_ns = child_reap(&child, &truth);
	after_ns = clock_now_ns();
	process = acquire(fixture, child.pid);
	assert_non_null(process);
	identity = process_get_identity(process);
	assert_string_equal(identity->name, "mayfly");
	assert_int_equal(identity->parent_pid, getpid());
	assert_string_equal(identity->parent_name, "kernel_process");
	assert_int_equal(identity->uid, getuid());
	assert_true(identity->start_ns + child_get_tolerance_ns() >= before_ns &&
		    identity->start_ns <= after_ns);
	usage = sample(fixture, process);
	assert_true(usage.is_final && usage.has_faults && !usage.has_memory);
	assert_close(usage.cpu_ns, truth_ns, child_get_tolerance_ns() + tick_ns);
	assert_close(faults_of(&usage), (uint64_t)(truth.ru_minflt + truth.ru_majflt),
		     CLOSE_FAULTS);
	assert_true(usage.taken_ns > identity->start_ns &&
		    usage.taken_ns <= clock_now_ns());
	/* The base of a span that began after it did: its whole short life, or, had it lived long
	 * before that, nothing that could be told. */
	assert_int_equal(process_table_read_base(fixture->table, process,
						 identity->start_ns + NS_PER_MS, clock_now_ns(),
						 &base),
			 0);
	assert_int_equal(base.taken_ns, identity->start_ns);
	assert_int_equal(base.cpu_ns, 0);
	assert_int_equal(process_table_read_base(fixture->table, process,
						 identity->start_ns + 2 * NS_PER_SEC,
						 clock_now_ns(), &base),
			 0);
	assert_int_equal(base.taken_ns, usage.taken_ns);
	assert_true(process_get_peak_memory(process, identity->start_ns) > 0);
	assert_ptr_equal(acquire(fixture, child.pid), process);
	process_table_release(fixture->table, process);
	process_table_release(fixture->table, process);
	/* With the start time of another process under the same number it is not meant. */
	assert_null(process_table_acquire(fixture->table,
					  (struct process_id){.pid = child.pid, .start_ticks = 5},
					  clock_now_ns()));
}

static void start_is_known_to_the_microsecond(void **state)
{
	struct fixture *fixture = *state;
	size_t pages = 1;
	uint64_t before_ns = clock_now_ns(), after_ns;
	struct child child = child_start(work_and_end, &pages);
	struct process *process;

	child_wait_pause(&child);
	after_ns = clock_now_ns();
	process = acquire(fixture, child.pid);
	assert_true(process_get_identity(process)->start_ns + child_get_tolerance_ns() >=
		    before_ns);
	assert_true(process_get_identity(process)->start_ns <= after_ns);
	child_continue(&child);
	child_reap(&child, NULL);
	process_table_release(fixture->table, process);
}

static void *outlive_leader(void *argument)
{
	struct child *child = argument;

	prctl(PR_SET_NAME, "other thread");
	/* The leader is a zombie once /proc says so. */
	for (;;) {
		char text[512] = "";
		int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
		ssize_t length = read(fd, text, sizeof(text) - 1);

		close(fd);
		if (length > 0 && strstr(text, ") Z "))
			break;
		usleep(100);
	}
	touch_pages(1000);
	child_burn_ms(10);
	child_pause(child);
	_exit(0);
}

static void end_leader(struct child *child, void *argument)
{
	static struct child own;
	pthread_t thread;

	(void)argument;
	own = *child;
	prctl(PR_SET_NAME, "the leader");
	pthread_create(&thread, NULL, outlive_leader, &own);
	pthread_exit(NULL);
}

static void a17_leader_that_ended_before_its_threads(void **state)
{
	struct fixture *fixture = *state;
	struct child child = child_start(end_leader, NULL);
	const struct process_identity *identity;
	struct process_usage usage;
	struct process *process;
	char own[512] = "";

	child_wait_pause(&child);
	process = acquire(fixture, child.pid);
	assert_non_null(process);
	identity = process_get_identity(process);
	assert_string_equal(identity->name, "the leader");
	assert_true(identity->has_executable);
	assert_true(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
	assert_string_equal(identity->executable, own);
	usage = sample(fixture, process);
	assert_false(usage.is_final);
	assert_true(usage.cpu_ns >= 10 * NS_PER_MS);
	assert_true(usage.memory_bytes >= 1000 * (uint64_t)sysconf(_SC_PAGESIZE));
	child_continue(&child);
	child_reap(&child, NULL);
	usage = sample(fixture, process);
	assert_true(usage.is_final && usage.cpu_ns >= 10 * NS_PER_MS);
	process_table_release(fixture->table, process);
}

static void execute(struct child *child, void *argument)
{
	child_pause(child);
	execl(argument, argument, "50", NULL);
	_exit(1);
}

/* A19 and A20: a name longer than the kernel keeps, of a file that is gone meanwhile. */
static void a19_a20_long_name_and_deleted_file(void **state)
{
	struct fixture *fixture = *state;
	char *directory = temporary_make(), path[256], command[600];
	struct child child;
	const struct process_identity *identity;
	struct process *process;

	snprintf(path, sizeof(path), "%s/a-name-of-more-than-15-bytes", directory);
	snprintf(command, sizeof(command), "cp /bin/sleep %s", path);
	assert_int_equal(system(command), 0);
	child = child_start(execute, path);
	child_wait_pause(&child);
	process = acquire(fixture, child.pid);
	identity = process_get_identity(process);
	assert_string_equal(identity->name, "kernel_process");
	child_continue(&child);
	for (int i = 0; i < 5000 && strcmp(identity->name, "kernel_process") == 0; i++) {
		usleep(1000);
		sample(fixture, process);
	}
	assert_string_equal(identity->name, "a-name-of-more-than-15-bytes");
	assert_string_equal(identity->executable, path);
	assert_false(identity->executable_deleted);
	process_table_release(fixture->table, process);
	tear_down(state);
	assert_int_equal(set_up(state), 0);
	fixture = *state;
	assert_int_equal(unlink(path), 0);
	process = acquire(fixture, child.pid);
	identity = process_get_identity(process);
	assert_string_equal(identity->name, "a-name-of-more-than-15-bytes");
	assert_string_equal(identity->executable, path);
	assert_true(identity->executable_deleted);
	process_table_release(fixture->table, process);
	kill(child.pid, SIGKILL);
	child_reap(&child, NULL);
	temporary_remove(directory);
}

static void kernel_thread_has_no_executable(void **state)
{
	struct fixture *fixture = *state;
	struct process *process = acquire(fixture, 2);

	if (!process || strcmp(process_get_identity(process)->name, "kthreadd") != 0)
		skip(); /* not in the initial pid namespace */
	assert_false(process_get_identity(process)->has_executable);
	assert_false(process_get_identity(process)->has_parent);
	assert_false(sample(fixture, process).has_memory);
	process_table_release(fixture->table, process);
}

/* Descriptors run out: samples go on, and nothing is taken for another process. */
static void descriptors_run_out(void **state)
{
	enum { COUNT = 60 };
	struct fixture *fixture = *state;
	struct rlimit limit, few;
	struct child children[COUNT];
	struct process *processes[COUNT];
	size_t pages = 1;

	tear_down(state);
	for (int i = 0; i < COUNT; i++) {
		children[i] = child_start(work_and_end, &pages);
		child_wait_pause(&children[i]);
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	few = (struct rlimit){.rlim_cur = 2 * COUNT + 30, .rlim_max = limit.rlim_max};
	assert_int_equal(set_up(state), 0);
	fixture = *state;
	setrlimit(RLIMIT_NOFILE, &few);
	for (int i = 0; i < COUNT; i++) {
		processes[i] = acquire(fixture, children[i].pid);
		assert_non_null(processes[i]);
	}
	for (int i = 0; i < COUNT; i++)
		assert_false(sample(fixture, processes[i]).is_final);
	assert_true(process_table_get_counters(fixture->table)->descriptors_closed > 0);
	assert_int_equal(process_table_get_counters(fixture->table)->sample_errors, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < COUNT; i++) {
		child_continue(&children[i]);
		child_reap(&children[i], NULL);
		assert_true(sample(fixture, processes[i]).is_final);
		process_table_release(fixture->table, processes[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define with_table(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		with_table(cpu_and_faults_of_a_span),
		with_table(threads_that_ended_early_count),
		with_table(peak_memory_is_seen_after_it_shrank),
		with_table(end_comes_from_the_exit_record),
		with_table(zombie_tells_everything),
		with_table(sleeping_process_is_known_by_its_clock),
		with_table(k8_exit_record_names_who_was_never_seen),
		with_table(start_is_known_to_the_microsecond),
		with_table(a17_leader_that_ended_before_its_threads),
		with_table(a19_a20_long_name_and_deleted_file),
		with_table(kernel_thread_has_no_executable),
		with_table(descriptors_run_out),
	};
	struct fixture *fixture = NULL;
	void *state = NULL;
	bool has_taskstats;

	if (set_up(&state) < 0)
		return 1;
	fixture = state;
	has_taskstats = process_table_has_taskstats(fixture->table);
	tear_down(&state);
	if (!has_taskstats) {
		puts("skipped: needs taskstats, CAP_NET_ADMIN and the initial namespaces");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
