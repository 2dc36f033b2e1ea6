/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <errno.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "export/exporter.h"
#include "runtime/log.h"

struct fixture {
	struct config_exporter config;
	struct exporter_context context;
	struct exporter *exporter;
	struct loop_source *deadline;
	char directory[64], path[128];
};

static int set_up(void **state)
{
	static char name[] = "test";
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->config =
		(struct config_exporter){.name = name, .type = CONFIG_EXPORTER_JSON, .queue = 1000};
	fixture->config.to.path = fixture->path;
	fixture->config.to.transport = CONFIG_TRANSPORT_FILE;
	fixture->context.boot_ns = RECORDS_BOOT_NS;
	assert_int_equal(loop_new(&fixture->context.loop), 0);
	strcpy(fixture->directory, "/tmp/procflow-exporter-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->path, sizeof(fixture->path), "%s/a/b/flows.json", fixture->directory);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	exporter_free(fixture->exporter);
	loop_source_free(fixture->deadline);
	loop_free(fixture->context.loop);
	snprintf(command, sizeof(command), "rm -r %s", fixture->directory);
	free(fixture);
	return system(command);
}

static void check_sum(const struct exporter *exporter)
{
	const struct exporter_counters *counters = exporter_get_counters(exporter);

	assert_int_equal(counters->accepted_records,
			 counters->sent_records + counters->waiting_records +
				 exporter_counters_sum_dropped(counters));
}

static void export_many(struct fixture *fixture, unsigned count)
{
	struct flow_record record = records_make(RECORD_CURL);

	for (unsigned i = 0; i < count; i++) {
		record.flow_id = i;
		exporter_export(fixture->exporter, &record);
	}
	check_sum(fixture->exporter);
}

static void on_deadline(void *userdata, unused uint64_t now_ns)
{
	struct fixture *fixture = userdata;

	loop_stop(fixture->context.loop, 1);
}

static void on_turn(void *userdata, uint64_t now_ns)
{
	struct fixture *fixture = userdata;

	(void)now_ns;
	if (exporter_get_counters(fixture->exporter)->waiting_records == 0)
		loop_stop(fixture->context.loop, 0);
}

/* Until nothing waits any more; fails after ten seconds. */
static void run_until_empty(struct fixture *fixture)
{
	struct loop_source *post;

	assert_int_equal(loop_add_timer(fixture->context.loop, clock_now_ns() + 10 * NS_PER_SEC,
					on_deadline, fixture, &fixture->deadline),
			 0);
	assert_int_equal(loop_add_post(fixture->context.loop, on_turn, fixture, &post), 0);
	assert_int_equal(loop_run(fixture->context.loop), 0);
	loop_source_free(post);
}

static unsigned count_lines(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned lines = 0;
	int byte;

	assert_non_null(file);
	while ((byte = fgetc(file)) != EOF)
		lines += byte == '\n';
	fclose(file);
	return lines;
}

static void test_file_is_made_with_its_directories(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;

	umask(0);
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	fixture->path[strlen(fixture->directory) + 2] = '\0';
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0750);
	assert_string_equal(exporter_get_name(fixture->exporter), "test");
}

static void test_records_reach_the_file_by_the_timer(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
	export_many(fixture, 3);
	assert_int_equal(exporter_get_counters(fixture->exporter)->waiting_records, 3);
	assert_int_equal(count_lines(fixture->path), 0);
	run_until_empty(fixture);
	assert_int_equal(count_lines(fixture->path), 3);
	assert_int_equal(exporter_get_counters(fixture->exporter)->sent_records, 3);
}

static void test_the_end_flushes_and_a_new_start_appends(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
		export_many(fixture, 500);
		exporter_free(fixture->exporter);
		fixture->exporter = NULL;
	}
	assert_int_equal(count_lines(fixture->path), 1000);
}

static void test_a_path_that_cannot_be(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.to.path = (char[]){"/proc/nowhere/flows.json"};
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter),
			 -ENOENT);
	assert_null(fixture->exporter);
	fixture->config.to.path = fixture->directory;
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter),
			 -EISDIR);
}

/* /dev/full answers every write with ENOSPC: nothing is lost until the queue is full, then the
 * oldest. */
static void test_full_disk(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;
	static char path[] = "/dev/full";

	fixture->config.to.path = path;
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
	counters = exporter_get_counters(fixture->exporter);
	export_many(fixture, 900);
	exporter_flush(fixture->exporter);
	assert_int_equal(counters->waiting_records, 900);
	assert_int_equal(counters->dropped_queue_full, 0);
	export_many(fixture, 900);
	exporter_flush(fixture->exporter);
	check_sum(fixture->exporter);
	assert_int_equal(counters->sent_records, 0);
	assert_true(counters->waiting_records <= 1000);
	assert_true(counters->dropped_queue_full >= 800);
}

/* Standard output is replaced by "fd" while the exporter opens it. */
static void open_on_stdout(struct fixture *fixture, int fd, int *ret_saved)
{
	fflush(stdout);
	*ret_saved = dup(STDOUT_FILENO);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	fixture->config.to.transport = CONFIG_TRANSPORT_STDOUT;
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
}

static void restore_stdout(int saved)
{
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
}

static void test_reader_of_a_pipe_that_goes_away(void **state)
{
	struct fixture *fixture = *state;
	int pipe_fds[2], saved;

	assert_int_equal(pipe(pipe_fds), 0);
	open_on_stdout(fixture, pipe_fds[1], &saved);
	close(pipe_fds[0]);
	export_many(fixture, 2000);
	exporter_flush(fixture->exporter);
	restore_stdout(saved);
	close(pipe_fds[1]);
	check_sum(fixture->exporter);
	assert_true(exporter_is_closed(fixture->exporter));
	assert_int_equal(exporter_get_counters(fixture->exporter)->dropped_unreachable, 2000);
}

struct pipe_reader {
	struct fixture *fixture;
	int fd;
	unsigned lines;
};

static void on_readable(void *userdata, unused uint32_t events)
{
	struct pipe_reader *reader = userdata;
	char bytes[4096];
	ssize_t length = read(reader->fd, bytes, sizeof(bytes));

	assert_true(length > 0);
	for (ssize_t i = 0; i < length; i++)
		reader->lines += bytes[i] == '\n';
	if (exporter_get_counters(reader->fixture->exporter)->waiting_records == 0 &&
	    length < (ssize_t)sizeof(bytes))
		loop_stop(reader->fixture->context.loop, 0);
}

/* A full pipe neither blocks nor loses, and its file description is not changed. */
static void test_slow_reader_of_a_pipe(void **state)
{
	struct fixture *fixture = *state;
	struct pipe_reader reader = {.fixture = fixture};
	struct loop_source *source;
	int pipe_fds[2], saved;

	assert_int_equal(pipe(pipe_fds), 0);
	reader.fd = pipe_fds[0];
	open_on_stdout(fixture, pipe_fds[1], &saved);
	restore_stdout(saved);
	export_many(fixture, 900);
	exporter_flush(fixture->exporter);
	assert_int_equal(fcntl(pipe_fds[1], F_GETFL) & O_NONBLOCK, 0);
	assert_true(exporter_get_counters(fixture->exporter)->waiting_records > 0);
	assert_int_equal(loop_add_io(fixture->context.loop, reader.fd, 1 /* EPOLLIN */, on_readable,
				     &reader, &source),
			 0);
	assert_int_equal(loop_add_timer(fixture->context.loop, clock_now_ns() + 10 * NS_PER_SEC,
					on_deadline, fixture, &fixture->deadline),
			 0);
	assert_int_equal(loop_run(fixture->context.loop), 0);
	loop_source_free(source);
	assert_int_equal(reader.lines, 900);
	assert_int_equal(exporter_get_counters(fixture->exporter)->sent_records, 900);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* One of each kind; the bits of "records" that are asked for decide. */
static void check_kinds(struct fixture *fixture, uint64_t expected)
{
	const struct exporter_counters *counters;
	struct flow_record flow = records_make(RECORD_CURL);
	struct flow_record process = records_make_process(RECORD_ENDED);

	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
	exporter_export(fixture->exporter, &flow);
	exporter_export(fixture->exporter, &process);
	exporter_flush(fixture->exporter);
	counters = exporter_get_counters(fixture->exporter);
	assert_int_equal(counters->accepted_records, expected);
	assert_int_equal(counters->sent_records, expected);
	exporter_free(fixture->exporter);
	fixture->exporter = NULL;
}

static void test_records_of_the_kinds_that_are_asked_for(void **state)
{
	struct fixture *fixture = *state;
	static char ntopng[] = "ntopng";

	fixture->config.records = CONFIG_RECORDS_FLOW | CONFIG_RECORDS_PROCESS;
	check_kinds(fixture, 2);
	fixture->config.records = CONFIG_RECORDS_PROCESS;
	check_kinds(fixture, 1);
	fixture->config.records = CONFIG_RECORDS_FLOW;
	check_kinds(fixture, 1);
	/* A template without fields for them. */
	fixture->config.records = CONFIG_RECORDS_FLOW | CONFIG_RECORDS_PROCESS;
	assert_true(config_exporter_takes_processes(&fixture->config));
	fixture->config.type = CONFIG_EXPORTER_IPFIX;
	assert_true(config_exporter_takes_processes(&fixture->config));
	fixture->config.template_name = ntopng;
	assert_false(config_exporter_takes_processes(&fixture->config));
	fixture->config.type = CONFIG_EXPORTER_TEXT;
	assert_false(config_exporter_takes_processes(&fixture->config));
}

static void test_text_goes_the_same_way(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.type = CONFIG_EXPORTER_TEXT;
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
	export_many(fixture, 5);
	exporter_flush(fixture->exporter);
	assert_int_equal(count_lines(fixture->path), 6);
}

/* A collector on ::1, at *port or, where that is 0, at a free one. */
static int open_collector(uint16_t *port)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_port = htons(*port), .sin6_addr = in6addr_loopback};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin6_port);
	return fd;
}

static void open_udp(struct fixture *fixture, enum config_exporter_type type, uint16_t port)
{
	static char host[] = "::1", template_name[] = "procflow";

	fixture->config.type = type;
	fixture->config.to.transport = CONFIG_TRANSPORT_UDP;
	fixture->config.to.host = host;
	fixture->config.to.port = port;
	fixture->config.template_name = template_name;
	fixture->config.template_interval_ns = 60 * NS_PER_SEC;
	fixture->config.template_packets = 1000;
	fixture->config.max_message_bytes = 1400;
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
}

static void test_udp_holds_a_message_back_until_its_time(void **state)
{
	struct fixture *fixture = *state;
	uint8_t bytes[2048];
	uint16_t port = 0;
	int fd = open_collector(&port);

	open_udp(fixture, CONFIG_EXPORTER_NETFLOW9, port);
	export_many(fixture, 1);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), -1);
	run_until_empty(fixture);
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 16);
	assert_int_equal(bytes[1], 9);
	assert_int_equal(exporter_get_counters(fixture->exporter)->sent_messages, 1);
	assert_int_equal(exporter_get_counters(fixture->exporter)->templates_sent, 1);
	close(fd);
}

static void test_udp_sends_a_full_message_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint8_t bytes[2048];
	uint16_t port = 0;
	int fd = open_collector(&port);

	open_udp(fixture, CONFIG_EXPORTER_NETFLOW9, port);
	export_many(fixture, 30);
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 1000);
	assert_int_equal(bytes[1], 9);
	close(fd);
}

/* A record each, as a line. */
static void test_json_over_udp(void **state)
{
	struct fixture *fixture = *state;
	char bytes[65536], wanted[64];
	uint16_t port = 0;
	int fd = open_collector(&port);

	open_udp(fixture, CONFIG_EXPORTER_JSON, port);
	export_many(fixture, 3);
	for (unsigned i = 0; i < 3; i++) {
		ssize_t length = recv(fd, bytes, sizeof(bytes) - 1, 0);

		assert_true(length > 2);
		bytes[length] = '\0';
		snprintf(wanted, sizeof(wanted), "\"FLOW_ID\":%u,", i);
		assert_int_equal(bytes[0], '{');
		assert_string_equal(bytes + length - 2, "}\n");
		assert_ptr_equal(strchr(bytes, '\n'), bytes + length - 1);
		assert_non_null(strstr(bytes, wanted));
	}
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), -1);
	assert_int_equal(exporter_get_counters(fixture->exporter)->sent_records, 3);
	assert_int_equal(exporter_get_counters(fixture->exporter)->sent_messages, 3);
	close(fd);
}

/* Nobody listens: all is survived and counted. A collector that comes gets the templates
 * within a second or so. */
static void test_udp_without_a_collector(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;
	uint64_t deadline_ns;
	uint8_t bytes[2048];
	uint16_t port = 0;
	int fd = open_collector(&port);

	close(fd);
	open_udp(fixture, CONFIG_EXPORTER_NETFLOW9, port);
	counters = exporter_get_counters(fixture->exporter);
	for (int i = 0; i < 10; i++) {
		export_many(fixture, 1);
		exporter_flush(fixture->exporter);
	}
	check_sum(fixture->exporter);
	assert_int_equal(counters->waiting_records, 0);
	assert_true(counters->refused_messages > 0);
	fd = open_collector(&port);
	deadline_ns = clock_now_ns() + 10 * NS_PER_SEC;
	do {
		assert_true(clock_now_ns() < deadline_ns);
		export_many(fixture, 1);
		exporter_flush(fixture->exporter);
	} while (recv(fd, bytes, sizeof(bytes), 0) < 24 ||
		 (bytes[20] << 8 | bytes[21]) > 1 /* a FlowSet of templates, options first */);
	close(fd);
}

/* A label of 64 letters fails in the resolver without a question to any server. */
static void test_udp_name_that_does_not_resolve(void **state)
{
	static char host[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	uint64_t deadline_ns = clock_now_ns() + 30 * NS_PER_SEC;
	struct fixture *fixture = *state;

	open_udp(fixture, CONFIG_EXPORTER_IPFIX, 4739);
	exporter_free(fixture->exporter);
	fixture->config.to.host = host;
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
	export_many(fixture, 100);
	while (exporter_get_counters(fixture->exporter)->dropped_unreachable < 100) {
		assert_true(clock_now_ns() < deadline_ns);
		exporter_flush(fixture->exporter);
		check_sum(fixture->exporter);
	}
	assert_int_equal(exporter_get_counters(fixture->exporter)->dropped_unreachable, 100);
}

static void test_unknown_template(void **state)
{
	static char template_name[] = "no such";
	struct fixture *fixture = *state;

	open_udp(fixture, CONFIG_EXPORTER_IPFIX, 4739);
	exporter_free(fixture->exporter);
	fixture->exporter = NULL;
	fixture->config.template_name = template_name;
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter),
			 -EINVAL);
}

static void open_json(struct fixture *fixture)
{
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
}

static off_t measure(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? status.st_size : -1;
}

/* Whole lines in every file, none larger than asked for, and none lost while all are kept. */
static void test_rotation_loses_nothing(void **state)
{
	struct fixture *fixture = *state;
	unsigned lines, files = 0;
	char path[160];

	fixture->config.queue = 80; /* ten records a message */
	fixture->config.rotate_size_bytes = 20000;
	fixture->config.rotate_keep = 1000;
	open_json(fixture);
	export_many(fixture, 300);
	exporter_flush(fixture->exporter);
	lines = count_lines(fixture->path);
	do {
		snprintf(path, sizeof(path), "%s.%u", fixture->path, ++files);
		if (measure(path) >= 0)
			lines += count_lines(path);
		assert_true(measure(path) <= 20000);
	} while (measure(path) >= 0);
	assert_true(files > 3);
	assert_int_equal(lines, 300);
	assert_int_equal(exporter_get_counters(fixture->exporter)->sent_records, 300);
	check_sum(fixture->exporter);
}

static void test_rotation_keeps_as_many_as_asked(void **state)
{
	struct fixture *fixture = *state;
	char path[160];

	fixture->config.queue = 80;
	fixture->config.rotate_size_bytes = 20000;
	fixture->config.rotate_keep = 2;
	open_json(fixture);
	export_many(fixture, 300);
	exporter_flush(fixture->exporter);
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(path, sizeof(path), "%s.%u", fixture->path, i);
		assert_int_equal(measure(path) > 0, i <= 2);
	}
}

/* What logrotate does: rename, then SIGUSR1. */
static void test_reopen(void **state)
{
	struct fixture *fixture = *state;
	char old[160];

	snprintf(old, sizeof(old), "%s.old", fixture->path);
	open_json(fixture);
	export_many(fixture, 5);
	exporter_flush(fixture->exporter);
	assert_int_equal(rename(fixture->path, old), 0);
	export_many(fixture, 5);
	exporter_reopen(fixture->exporter);
	assert_int_equal(count_lines(old), 10);
	assert_int_equal(count_lines(fixture->path), 0);
	export_many(fixture, 3);
	exporter_flush(fixture->exporter);
	assert_int_equal(count_lines(old), 10);
	assert_int_equal(count_lines(fixture->path), 3);
}

static void test_a_removed_file_comes_back(void **state)
{
	struct fixture *fixture = *state;
	uint64_t deadline_ns = clock_now_ns() + 30 * NS_PER_SEC;

	open_json(fixture);
	export_many(fixture, 5);
	exporter_flush(fixture->exporter);
	assert_int_equal(unlink(fixture->path), 0);
	while (measure(fixture->path) < 0) {
		assert_true(clock_now_ns() < deadline_ns);
		export_many(fixture, 1);
		exporter_flush(fixture->exporter);
		usleep(1000);
	}
	assert_int_equal(count_lines(fixture->path), 1);
	check_sum(fixture->exporter);
}

static int read_first_byte(const char *path)
{
	FILE *file = fopen(path, "r");
	int byte;

	assert_non_null(file);
	byte = fgetc(file);
	fclose(file);
	return byte;
}

/* A file system of 64 KiB: a line is torn where it is full. After the file was moved away, the line
 * stands whole in the new one. */
static void test_small_file_system(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;
	unsigned lines;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", fixture->directory, "tmpfs", 0, "size=64k") < 0) {
		print_message("no right to mount: skipped\n");
		skip();
	}
	open_json(fixture);
	counters = exporter_get_counters(fixture->exporter);
	export_many(fixture, 500);
	exporter_flush(fixture->exporter);
	check_sum(fixture->exporter);
	assert_true(counters->waiting_records > 0);
	assert_int_equal(counters->dropped_unreachable, 0);
	lines = count_lines(fixture->path);
	assert_true(lines > 0 && lines < 500);
	while (counters->waiting_records > 0) {
		assert_int_equal(unlink(fixture->path), 0);
		exporter_reopen(fixture->exporter);
		exporter_flush(fixture->exporter);
		check_sum(fixture->exporter);
		lines += count_lines(fixture->path);
		assert_int_equal(read_first_byte(fixture->path), '{');
	}
	assert_int_equal(counters->sent_records, 500);
	assert_int_equal(lines, 500);
	exporter_free(fixture->exporter);
	fixture->exporter = NULL;
	assert_int_equal(umount(fixture->directory), 0);
}

static void append_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "a");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void export_one(struct fixture *fixture)
{
	open_json(fixture);
	export_many(fixture, 1);
	exporter_free(fixture->exporter);
	fixture->exporter = NULL;
}

/* What a crash tore is cut off, what somebody else did not end is ended: no record is glued to it. */
static void test_a_torn_last_line(void **state)
{
	static const char *const torn[] = {"{\"RECORD_TYPE\":\"fl", "notes of somebody"};
	struct fixture *fixture = *state;
	off_t line;

	export_one(fixture);
	line = measure(fixture->path);
	append_text(fixture->path, torn[0]);
	export_one(fixture);
	assert_int_equal(measure(fixture->path), 2 * line);
	append_text(fixture->path, torn[1]);
	export_one(fixture);
	assert_int_equal(measure(fixture->path), 3 * line + (off_t)strlen(torn[1]) + 1);
	assert_int_equal(count_lines(fixture->path), 4);
}

/* A run that ends on a full disk, in the middle of a chunk, in order or not. */
static void run_on_full_disk(struct fixture *fixture, bool is_killed)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct flow_record record = records_make(RECORD_CURL);
		struct exporter *exporter;

		if (loop_new(&fixture->context.loop) < 0 ||
		    exporter_new(&fixture->config, &fixture->context, &exporter) < 0)
			_exit(1);
		for (record.flow_id = 1; record.flow_id <= 500; record.flow_id++)
			exporter_export(exporter, &record);
		exporter_flush(exporter);
		if (exporter_get_counters(exporter)->sent_records >= 500)
			_exit(2);
		if (!is_killed)
			exporter_free(exporter);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Every flow from 1 to "count" once and in order, in lines that are whole. */
static void check_flows(const char *path, unsigned count)
{
	FILE *file = fopen(path, "r");
	static char line[1 << 16];
	unsigned flow = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		const char *id = strstr(line, "\"FLOW_ID\":");

		assert_int_equal(line[0], '{');
		assert_int_equal(line[strlen(line) - 2], '}');
		assert_non_null(id);
		assert_int_equal(strtoul(id + strlen("\"FLOW_ID\":"), NULL, 10), ++flow);
	}
	fclose(file);
	assert_int_equal(flow, count);
}

/* The spool is on another disk. What the file has of the chunk is neither written twice nor torn. */
static void check_the_rest_of_a_chunk(struct fixture *fixture, bool is_killed)
{
	char spool[] = "/tmp/procflow-exporter-XXXXXX", command[128];
	const struct exporter_counters *counters;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", fixture->directory, "tmpfs", 0, "size=72k") < 0) {
		print_message("no right to mount: skipped\n");
		skip();
	}
	assert_non_null(mkdtemp(spool));
	fixture->config.spool = spool;
	fixture->config.spool_max_bytes = 1 << 24;
	run_on_full_disk(fixture, is_killed);
	assert_int_equal(mount("tmpfs", fixture->directory, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	open_json(fixture);
	counters = exporter_get_counters(fixture->exporter);
	assert_in_range(counters->recovered_records, 1, 499);
	run_until_empty(fixture);
	check_sum(fixture->exporter);
	check_flows(fixture->path, 500);
	exporter_free(fixture->exporter);
	fixture->exporter = NULL;
	assert_int_equal(umount(fixture->directory), 0);
	snprintf(command, sizeof(command), "rm -r %s", spool);
	assert_int_equal(system(command), 0);
}

static void test_the_rest_of_a_chunk_after_an_end_on_a_full_disk(void **state)
{
	check_the_rest_of_a_chunk(*state, false);
}

static void test_the_rest_of_a_chunk_after_a_kill_on_a_full_disk(void **state)
{
	check_the_rest_of_a_chunk(*state, true);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_file_is_made_with_its_directories),
		with_fixture(test_records_reach_the_file_by_the_timer),
		with_fixture(test_the_end_flushes_and_a_new_start_appends),
		with_fixture(test_a_path_that_cannot_be),
		with_fixture(test_full_disk),
		with_fixture(test_reader_of_a_pipe_that_goes_away),
		with_fixture(test_slow_reader_of_a_pipe),
		with_fixture(test_records_of_the_kinds_that_are_asked_for),
		with_fixture(test_text_goes_the_same_way),
		with_fixture(test_udp_holds_a_message_back_until_its_time),
		with_fixture(test_udp_sends_a_full_message_at_once),
		with_fixture(test_json_over_udp),
		with_fixture(test_udp_without_a_collector),
		with_fixture(test_udp_name_that_does_not_resolve),
		with_fixture(test_unknown_template),
		with_fixture(test_rotation_loses_nothing),
		with_fixture(test_rotation_keeps_as_many_as_asked),
		with_fixture(test_reopen),
		with_fixture(test_a_removed_file_comes_back),
		with_fixture(test_small_file_system),
		with_fixture(test_a_torn_last_line),
		with_fixture(test_the_rest_of_a_chunk_after_an_end_on_a_full_disk),
		with_fixture(test_the_rest_of_a_chunk_after_a_kill_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
