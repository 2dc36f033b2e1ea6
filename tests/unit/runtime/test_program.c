/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/program.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/macros.h"

struct seen {
	struct loop *loop;
	char output[4096], complaints[4096];
	size_t output_length, complaints_length, total;
	int status;
	bool has_ended;
};

static void append(char to[4096], size_t *length, const char *bytes, size_t count)
{
	if (count > 4095 - *length)
		count = 4095 - *length;
	memcpy(to + *length, bytes, count);
	*length += count;
}

static void on_output(void *userdata, const char *bytes, size_t length)
{
	struct seen *seen = userdata;

	append(seen->output, &seen->output_length, bytes, length);
	seen->total += length;
}

static void on_complaint(void *userdata, const char *bytes, size_t length)
{
	struct seen *seen = userdata;

	append(seen->complaints, &seen->complaints_length, bytes, length);
}

static void on_end(void *userdata, int status)
{
	struct seen *seen = userdata;

	seen->status = status;
	seen->has_ended = true;
	loop_stop(seen->loop, 0);
}

static void on_late(void *userdata, unused uint64_t now_ns)
{
	struct seen *seen = userdata;

	loop_stop(seen->loop, 0);
}

static int start(struct seen *seen, const char *const *arguments, struct program **ret)
{
	struct program_handlers handlers = {.on_output = on_output,
					    .on_complaint = on_complaint,
					    .on_end = on_end,
					    .userdata = seen};

	*seen = (struct seen){0};
	assert_int_equal(loop_new(&seen->loop), 0);
	return program_start(seen->loop, (char *const *)arguments, &handlers, ret);
}

static void run_to_end(struct seen *seen)
{
	struct loop_source *limit;

	assert_int_equal(
		loop_add_timer(seen->loop, clock_now_ns() + 20 * NS_PER_SEC, on_late, seen, &limit),
		0);
	assert_int_equal(loop_run(seen->loop), 0);
	loop_source_free(limit);
	assert_true(seen->has_ended);
}

static void all_that_it_writes_is_told(unused void **state)
{
	const char *const arguments[] = {"sh", "-c",
					 "cat; echo out; echo err >&2; exec kill -TERM $$", NULL};
	struct program *program;
	struct seen seen;

	assert_int_equal(start(&seen, arguments, &program), 0);
	run_to_end(&seen);
	assert_string_equal(seen.output, "out\n"); /* its standard input is empty */
	assert_string_equal(seen.complaints, "err\n");
	assert_true(WIFSIGNALED(seen.status) && WTERMSIG(seen.status) == SIGTERM);
	program_free(program);
	loop_free(seen.loop);
}

static void much_is_told_whole(unused void **state)
{
	const char *const arguments[] = {"head", "-c", "3000000", "/dev/zero", NULL};
	struct program *program;
	struct seen seen;

	assert_int_equal(start(&seen, arguments, &program), 0);
	run_to_end(&seen);
	assert_int_equal(seen.total, 3000000);
	assert_true(WIFEXITED(seen.status) && WEXITSTATUS(seen.status) == 0);
	program_free(program);
	loop_free(seen.loop);
}

static void what_cannot_be_run_is_told(unused void **state)
{
	const char *const missing[] = {"/no/such/program", NULL};
	const char *const no_program[] = {"/dev/null", NULL};
	struct program *program = NULL;
	struct seen seen;

	assert_int_equal(start(&seen, missing, &program), -ENOENT);
	loop_free(seen.loop);
	assert_int_equal(start(&seen, no_program, &program), -EACCES);
	loop_free(seen.loop);
	assert_null(program);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

static void assert_prints(const char *const *arguments, const char *expected)
{
	struct program *program;
	struct seen seen;

	assert_int_equal(start(&seen, arguments, &program), 0);
	run_to_end(&seen);
	assert_string_equal(seen.output, expected);
	program_free(program);
	loop_free(seen.loop);
}

/* Blocked and ignored signals of ours are not inherited, nor descriptors of careless libraries. */
static void it_begins_afresh(unused void **state)
{
	const char *const signals[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
	const char *const descriptors[] = {"ls", "/proc/self/fd", NULL};
	static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGQUIT};
	sigset_t blocked;
	int careless = dup(0);

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	for (size_t i = 0; i < array_length(ignored); i++)
		signal(ignored[i], SIG_IGN);
	assert_prints(signals, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	assert_prints(descriptors, "0\n1\n2\n3\n"); /* 3 is the directory itself */
	for (size_t i = 0; i < array_length(ignored); i++)
		signal(ignored[i], SIG_DFL);
	close(careless);
}

/* Its children go with it. */
static void its_group_is_killed(unused void **state)
{
	const char *const arguments[] = {"sh", "-c", "sleep 1000 & echo $!; wait", NULL};
	struct program *program;
	struct seen seen;
	uint64_t deadline_ns = clock_now_ns() + 20 * NS_PER_SEC;
	pid_t child;

	assert_int_equal(start(&seen, arguments, &program), 0);
	while (!strchr(seen.output, '\n') && clock_now_ns() < deadline_ns)
		assert_int_equal(loop_run_once(seen.loop, 10 * NS_PER_MS), 0);
	child = atoi(seen.output);
	assert_true(child > 1);
	program_free(program);
	assert_false(seen.has_ended);
	/* Whoever inherits it reaps it. */
	for (;;) {
		char path[64], line[256] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
		file = fopen(path, "r");
		if (!file)
			break;
		if (!fgets(line, sizeof(line), file))
			line[0] = '\0';
		fclose(file);
		if (line[0] == '\0' || strstr(line, ") Z "))
			break;
		assert_true(clock_now_ns() < deadline_ns);
		usleep(1000);
	}
	loop_free(seen.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_it_writes_is_told), cmocka_unit_test(much_is_told_whole),
		cmocka_unit_test(what_cannot_be_run_is_told), cmocka_unit_test(it_begins_afresh),
		cmocka_unit_test(its_group_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
