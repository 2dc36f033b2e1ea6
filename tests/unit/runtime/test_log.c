/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"
#include "runtime/log.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

/* What goes to standard error meanwhile. */
struct capture {
	int kept, file;
};

static struct capture capture_begin(void)
{
	struct capture capture = {.kept = dup(STDERR_FILENO), .file = memfd_create("log", 0)};

	assert_true(capture.kept >= 0 && capture.file >= 0);
	assert_true(dup2(capture.file, STDERR_FILENO) >= 0);
	return capture;
}

static void capture_end(struct capture *capture, char *text, size_t size)
{
	ssize_t length;

	dup2(capture->kept, STDERR_FILENO);
	length = pread(capture->file, text, size - 1, 0);
	assert_true(length >= 0);
	text[length] = '\0';
	close(capture->kept);
	close(capture->file);
}

static void repeat(const char *name, int count)
{
	for (int i = 0; i < count; i++)
		log_warning("%s: cannot send: %d", name, i);
}

static void repeats_are_held_back_and_told(unused void **state)
{
	struct capture capture = capture_begin();
	uint64_t before = log_get_held_back();
	char text[8192];

	log_configure(LOG_LEVEL_NOTICE, LOG_TARGET_STDERR);
	repeat("collector", 25);
	log_info("%s: below the level", "collector");
	log_run(clock_now_ns());
	log_run(clock_now_ns() + 11 * NS_PER_SEC);
	log_run(clock_now_ns() + 22 * NS_PER_SEC);
	capture_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "procflowd: export: collector: cannot send: 0\n"));
	assert_non_null(strstr(text, "collector: cannot send: 9\n"
				     "procflowd: export: 15 more lines were held back, the last of "
				     "them \"collector: cannot send: 24\"\n"));
	assert_null(strstr(text, "cannot send: 10\n"));
	assert_null(strstr(text, "below the level"));
	assert_ptr_equal(strstr(strstr(text, "held back") + 1, "held back"), NULL);
	assert_int_equal(log_get_held_back() - before, 15);
}

/* A journal of our own, where the library looks for it. -1: that needs rights. */
static int open_journal(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX,
				      .sun_path = "/run/systemd/journal/socket"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(mkdir("/run/systemd", 0755), 0);
	assert_int_equal(mkdir("/run/systemd/journal", 0755), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void read_entry(int journal, char *text, size_t size)
{
	ssize_t length = recv(journal, text, size - 1, 0);

	assert_true(length > 0);
	text[length] = '\0';
}

static void journal_has_fields(unused void **state)
{
	int journal = open_journal();
	char text[4096];

	if (journal < 0)
		skip();
	log_configure(LOG_LEVEL_NOTICE, LOG_TARGET_JOURNAL);
	log_notice("%s: sending again", "collector");
	read_entry(journal, text, sizeof(text));
	assert_non_null(strstr(text, "MESSAGE=export: collector: sending again\n"));
	assert_non_null(strstr(text, "PRIORITY=5\n"));
	assert_non_null(strstr(text, "MODULE=export\n"));
	assert_non_null(strstr(text, "EXPORTER=collector\n"));
	for (int i = 0; i < 30; i++)
		log_warning("%s: is slow: %d", "collector", i);
	for (int i = 0; i < 10; i++)
		read_entry(journal, text, sizeof(text));
	log_flush();
	read_entry(journal, text, sizeof(text));
	assert_non_null(strstr(text, "20 more lines were held back"));
	assert_non_null(strstr(text, "EXPORTER=collector\n"));
	for (int i = 0; i < 12; i++)
		log_warning("%s: is late", i % 2 ? "one" : "another");
	for (int i = 0; i < 10; i++)
		read_entry(journal, text, sizeof(text));
	log_flush();
	read_entry(journal, text, sizeof(text));
	assert_non_null(strstr(text, "2 more lines were held back"));
	assert_null(strstr(text, "EXPORTER="));
	log_write(LOG_LEVEL_ERROR, "conntrack", "%s: events were lost", "no exporter");
	read_entry(journal, text, sizeof(text));
	assert_non_null(strstr(text, "PRIORITY=3\n"));
	assert_non_null(strstr(text, "MODULE=conntrack\n"));
	assert_null(strstr(text, "EXPORTER="));
	log_configure(LOG_LEVEL_NOTICE, LOG_TARGET_STDERR);
	close(journal);
}

static void told_to(int journal, const char *stream, const char *line)
{
	char text[4096];
	ssize_t length;

	assert_int_equal(stream ? setenv("JOURNAL_STREAM", stream, 1) : unsetenv("JOURNAL_STREAM"),
			 0);
	log_configure(LOG_LEVEL_NOTICE, LOG_TARGET_AUTO);
	log_notice("which way");
	length = recv(journal, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[length < 0 ? 0 : length] = '\0';
	assert_string_equal(strstr(text, "MESSAGE=") ? "journal" : "stderr", line);
}

/* The variable alone is also in a shell that a service started. */
static void journal_is_asked_where_stderr_is_its(unused void **state)
{
	int journal = open_journal();
	struct capture capture = capture_begin();
	char stream[64], text[4096];
	struct stat status;

	if (journal < 0) {
		capture_end(&capture, text, sizeof(text));
		skip();
	}
	assert_int_equal(fstat(STDERR_FILENO, &status), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
		 (uintmax_t)status.st_ino);
	told_to(journal, stream, "journal");
	told_to(journal, "1:2", "stderr");
	told_to(journal, "nonsense", "stderr");
	told_to(journal, NULL, "stderr");
	log_configure(LOG_LEVEL_NOTICE, LOG_TARGET_STDERR);
	capture_end(&capture, text, sizeof(text));
	close(journal);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeats_are_held_back_and_told),
		cmocka_unit_test(journal_has_fields),
		cmocka_unit_test(journal_is_asked_where_stderr_is_its),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
