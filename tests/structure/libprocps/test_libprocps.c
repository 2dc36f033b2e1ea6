/* SPDX-License-Identifier: GPL-2.0-or-later */

/* procps.c as it is built where there is no libproc2, over a double of libprocps: no distribution that
 * the other tests run on has it any more. */

#undef HAVE_LIBPROC2
#include "process/procps.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { OURS = 4711 };

static proc_t given = {.ppid = 12, .start_time = 1234567890123, .ruid = 1000, .cmd = "curl"};
static int open_tables, open_processes;
static pid_t asked_for;

PROCTAB *openproc(int flags, ...)
{
	va_list arguments;

	assert_int_equal(flags, PROC_FILLSTAT | PROC_FILLSTATUS | PROC_PID);
	va_start(arguments, flags);
	asked_for = *va_arg(arguments, const pid_t *);
	va_end(arguments);
	open_tables++;
	return (PROCTAB *)&given;
}

void closeproc(PROCTAB *table)
{
	assert_ptr_equal(table, &given);
	open_tables--;
}

proc_t *readproc(unused PROCTAB *table, proc_t *process)
{
	assert_null(process);
	if (asked_for != OURS)
		return NULL;
	open_processes++;
	return &given;
}

void freeproc(proc_t *process)
{
	assert_ptr_equal(process, &given);
	open_processes--;
}

static void what_is_taken_is_told(unused void **state)
{
	struct procps_identity found;
	struct procps *procps;

	assert_int_equal(procps_open(&procps), 0);
	assert_int_equal(procps_read(procps, OURS, &found), 0);
	assert_string_equal(found.name, "curl");
	assert_int_equal(found.parent, 12);
	assert_int_equal(found.uid, 1000);
	assert_int_equal(found.start_ticks, 1234567890123);
	assert_int_equal(procps_read(procps, OURS + 1, &found), -ESRCH);
	assert_int_equal(open_tables, 0);
	assert_int_equal(open_processes, 0);
	procps_close(procps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_taken_is_told)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
