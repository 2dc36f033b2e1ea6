/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the tracepoints tell about who sends, on this kernel: over real sockets of children that
 * send and exit, in a network namespace of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "procfs/text_file.h"
#include "sources/trace_files.h"
#include "sources/trace_ring.h"
#include "sources/trace_setup.h"
#include "support/network_namespace.h"
#include "support/trace_recorder.h"

enum { SKIPPED = 77 };

/* How a child speaks to the server, and which family the packets have. */
struct way {
	const char *name;
	int family, type;
	const char *server;
	bool connects; /* UDP: connect(2) before send(2) */
	bool is_bound; /* the child binds its source */
	uint8_t packets;
};

static const struct way ways[] = {
	{"UDP over IPv4, sendto", AF_INET, SOCK_DGRAM, "127.0.0.1", false, false, IP_FAMILY_V4},
	{"UDP over IPv4, connected", AF_INET, SOCK_DGRAM, "127.0.0.1", true, false, IP_FAMILY_V4},
	{"UDP over IPv4, bound", AF_INET, SOCK_DGRAM, "127.0.0.1", false, true, IP_FAMILY_V4},
	{"UDP over IPv6, sendto", AF_INET6, SOCK_DGRAM, "::1", false, false, IP_FAMILY_V6},
	{"UDP over IPv6, connected", AF_INET6, SOCK_DGRAM, "::1", true, false, IP_FAMILY_V6},
	{"UDP over IPv6, bound", AF_INET6, SOCK_DGRAM, "::1", false, true, IP_FAMILY_V6},
	{"UDP, mapped", AF_INET6, SOCK_DGRAM, "::ffff:127.0.0.1", false, false, IP_FAMILY_V4},
	{"TCP over IPv4", AF_INET, SOCK_STREAM, "127.0.0.1", true, false, IP_FAMILY_V4},
	{"TCP over IPv4, bound", AF_INET, SOCK_STREAM, "127.0.0.1", true, true, IP_FAMILY_V4},
	{"TCP over IPv6", AF_INET6, SOCK_STREAM, "::1", true, false, IP_FAMILY_V6},
	{"TCP over IPv6, bound", AF_INET6, SOCK_STREAM, "::1", true, true, IP_FAMILY_V6},
	{"TCP, mapped", AF_INET6, SOCK_STREAM, "::ffff:127.0.0.1", true, false, IP_FAMILY_V4},
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t make_address(int family, const char *text, uint16_t port, union address *out)
{
	*out = (union address){.any.sa_family = (sa_family_t)family};
	if (family == AF_INET) {
		out->v4.sin_port = htons(port);
		assert_int_equal(inet_pton(family, text, &out->v4.sin_addr), 1);
		return sizeof(out->v4);
	}
	out->v6.sin6_port = htons(port);
	assert_int_equal(inet_pton(family, text, &out->v6.sin6_addr), 1);
	return sizeof(out->v6);
}

static uint16_t get_port(int fd)
{
	union address address;
	socklen_t length = sizeof(address);

	assert_int_equal(getsockname(fd, &address.any, &length), 0);
	return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

static int open_bound(const struct way *way, const char *text)
{
	int fd = socket(way->family, way->type | SOCK_CLOEXEC, 0);
	union address address;
	socklen_t length = make_address(way->family, text, 0, &address);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &address.any, length), 0);
	return fd;
}

/* Runs in the child. The port that it sent from, or 0. */
static uint16_t speak(const struct way *way, uint16_t server_port)
{
	int fd = way->is_bound ? open_bound(way, way->server) : socket(way->family, way->type, 0);
	union address address;
	socklen_t length = make_address(way->family, way->server, server_port, &address);
	ssize_t sent;

	if (way->connects && connect(fd, &address.any, length) < 0)
		return 0;
	sent = way->connects ? send(fd, "x", 1, 0) : sendto(fd, "x", 1, 0, &address.any, length);
	return sent == 1 ? get_port(fd) : 0;
}

struct sent {
	pid_t pid;
	uint16_t client_port, server_port;
};

/* A child that sends one byte and exits; it is gone when this returns. */
static struct sent send_from_child(const struct way *way)
{
	cleanup_close int server = open_bound(way, way->server);
	struct sent sent = {.server_port = get_port(server)};
	int status, pipe_fds[2];

	if (way->type == SOCK_STREAM)
		assert_int_equal(listen(server, 5), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	sent.pid = fork();
	if (sent.pid == 0) {
		uint16_t port = speak(way, sent.server_port);

		_exit(write(pipe_fds[1], &port, sizeof(port)) != sizeof(port));
	}
	assert_int_equal(waitpid(sent.pid, &status, 0), sent.pid);
	assert_int_equal(read(pipe_fds[0], &sent.client_port, sizeof(sent.client_port)),
			 sizeof(sent.client_port));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_not_equal(sent.client_port, 0);
	return sent;
}

struct wanted {
	const struct way *way;
	struct sent sent;
};

static bool is_proof_of(const struct trace_told *told, const void *userdata)
{
	const struct socket_tuple *socket = &told->socket.socket;
	const struct wanted *wanted = userdata;

	return told->type == TRACE_TOLD_SOCKET && told->socket.is_proof &&
	       socket->protocol == (wanted->way->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP) &&
	       socket->family == wanted->way->packets &&
	       socket->local_port == wanted->sent.client_port &&
	       socket->remote_port == wanted->sent.server_port;
}

static bool is_close_of(const struct trace_told *told, const void *userdata)
{
	const struct wanted *wanted = userdata;

	return told->type == TRACE_TOLD_SOCKET && told->socket.tcp_state == TCP_CLOSE &&
	       !told->socket.is_proof && told->socket.socket.local_port == wanted->sent.client_port;
}

static void check_addresses(const struct way *way, const struct socket_tuple *socket)
{
	struct ip_address loopback;
	enum ip_family family;

	assert_int_equal(ip_address_parse(way->packets == IP_FAMILY_V4 ? "127.0.0.1" : "::1",
					  &family, &loopback),
			 0);
	assert_true(ip_address_equal(&socket->remote, &loopback));
	if (!ip_address_is_zero(&socket->local) || way->type == SOCK_STREAM || way->is_bound)
		assert_true(ip_address_equal(&socket->local, &loopback));
}

/* The id of the cgroup v2 that this process, and so its children, are in; 0: not known, or not told by
 * perf. */
static uint64_t find_own_cgroup_id(void)
{
	cleanup_file FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096], point[1024], path[8192], cgroups[4096];
	const char *own;
	struct stat found;

	if (!mounts ||
	    procfs_read_text(AT_FDCWD, "/proc/self/cgroup", cgroups, sizeof(cgroups)) <= 0 ||
	    !trace_setup_has_cgroups(cgroups))
		return 0;
	own = strncmp(cgroups, "0::", 3) == 0 ? cgroups : strstr(cgroups, "\n0::");
	if (!own)
		return 0;
	own += strcspn(own, "/");
	while (fgets(line, sizeof(line), mounts)) {
		if (!strstr(line, " - cgroup2 ") ||
		    sscanf(line, "%*s %*s %*s / %1023s", point) != 1)
			continue;
		snprintf(path, sizeof(path), "%s%.*s", point, (int)strcspn(own, "\n"), own);
		return stat(path, &found) == 0 ? found.st_ino : 0;
	}
	return 0;
}

static void test_record_names_sender(void **state)
{
	struct trace_recorder *recorder = *state;
	uint64_t cgroup_id = find_own_cgroup_id();

	for (size_t i = 0; i < array_length(ways); i++) {
		struct wanted wanted = {.way = &ways[i], .sent = send_from_child(&ways[i])};
		ssize_t index = trace_recorder_wait(recorder, is_proof_of, &wanted);
		const struct trace_told *told;

		print_message("%s\n", ways[i].name);
		assert_true(index >= 0);
		told = trace_recorder_get(recorder, (size_t)index);
		assert_int_equal(told->socket.pid, wanted.sent.pid);
		if (cgroup_id)
			assert_int_equal(told->socket.cgroup_id, cgroup_id);
		check_addresses(&ways[i], &told->socket.socket);
		if (ways[i].type != SOCK_STREAM)
			continue;
		assert_true(told->socket.socket_address != 0);
		assert_true(trace_recorder_wait(recorder, is_close_of, &wanted) >= 0);
	}
}

/* The accepting side runs in softirq, interrupting anybody: nothing of it may count as proof. */
struct closing {
	pid_t pid;
	uint16_t local_port, remote_port;
};

static bool is_closing(const struct trace_told *told, const void *userdata)
{
	const struct closing *wanted = userdata;

	return told->type == TRACE_TOLD_SOCKET && told->socket.is_proof &&
	       told->socket.pid == wanted->pid &&
	       told->socket.socket.local_port == wanted->local_port &&
	       told->socket.socket.remote_port == wanted->remote_port &&
	       (told->socket.tcp_state == TCP_FIN_WAIT1 || told->socket.tcp_state == TCP_LAST_ACK ||
		told->socket.tcp_state == TCP_CLOSE);
}

/* In the parent's place the socket is closed without a record: the child's is the last hold of it. */
static void test_a_hang_up_names_who_does_it(void **state)
{
	static const struct way *const over[] = {&ways[7], &ways[9], &ways[11]};
	struct trace_recorder *recorder = *state;

	for (size_t i = 0; i < array_length(over); i++) {
		cleanup_close int listener = open_bound(over[i], over[i]->server);
		cleanup_close int client = socket(over[i]->family, SOCK_STREAM, 0);
		struct closing wanted = {.local_port = get_port(listener)};
		union address address;
		socklen_t length =
			make_address(over[i]->family, over[i]->server, wanted.local_port, &address);
		int accepted;

		assert_int_equal(listen(listener, 1), 0);
		assert_int_equal(connect(client, &address.any, length), 0);
		wanted.remote_port = get_port(client);
		accepted = accept(listener, NULL, NULL);
		assert_true(accepted >= 0);
		wanted.pid = fork();
		assert_true(wanted.pid >= 0);
		if (wanted.pid == 0) {
			char byte;

			/* Until the parent has closed its own. */
			_exit(read(accepted, &byte, 1) == 1 ? 0 : 1);
		}
		close(accepted);
		assert_int_equal(write(client, "x", 1), 1);
		assert_int_equal(waitpid(wanted.pid, NULL, 0), wanted.pid);
		assert_true(trace_recorder_wait(recorder, is_closing, &wanted) >= 0);
	}
}

static bool is_reading(const struct trace_told *told, const void *userdata)
{
	const struct closing *wanted = userdata;

	return told->type == TRACE_TOLD_SOCKET && told->socket.is_proof &&
	       told->socket.tcp_state == TCP_ESTABLISHED && told->socket.pid == wanted->pid &&
	       told->socket.socket.local_port == wanted->local_port &&
	       told->socket.socket.remote_port == wanted->remote_port;
}

/* Runs in a child that has the connection by a fork; peeking counts, too. */
static int read_one(int accepted, int flags)
{
	char byte;

	return recv(accepted, &byte, 1, flags) == 1 ? 0 : 1;
}

/* Whoever reads from an accepted connection is named; what the client's end does is not recorded: its
 * port is one that the kernel gave out. */
static void test_a_reading_names_who_does_it(void **state)
{
	static const struct way *const over[] = {&ways[7], &ways[9], &ways[11]};
	struct trace_recorder *recorder = *state;

	for (size_t i = 0; i < array_length(over) * 2; i++) {
		const struct way *way = over[i / 2];
		cleanup_close int listener = socket(way->family, SOCK_STREAM, 0);
		cleanup_close int client = socket(way->family, SOCK_STREAM, 0);
		cleanup_close int accepted = -1;
		struct closing wanted = {.local_port = (uint16_t)(20000 + i)};
		struct closing unwanted;
		union address address;
		socklen_t length =
			make_address(way->family, way->server, wanted.local_port, &address);

		assert_int_equal(bind(listener, &address.any, length), 0);
		assert_int_equal(listen(listener, 1), 0);
		assert_int_equal(connect(client, &address.any, length), 0);
		wanted.remote_port = get_port(client);
		accepted = accept(listener, NULL, NULL);
		assert_true(accepted >= 0);
		assert_int_equal(write(client, "x", 1), 1);
		wanted.pid = fork();
		assert_true(wanted.pid >= 0);
		if (wanted.pid == 0)
			_exit(read_one(accepted, i % 2 ? MSG_PEEK : 0));
		assert_int_equal(waitpid(wanted.pid, NULL, 0), wanted.pid);
		assert_int_equal(write(accepted, "x", 1), 1);
		assert_int_equal(read_one(client, 0), 0);
		assert_true(trace_recorder_wait(recorder, is_reading, &wanted) >= 0);
		unwanted = (struct closing){.pid = getpid(),
					    .local_port = wanted.remote_port,
					    .remote_port = wanted.local_port};
		for (size_t j = 0; j < trace_recorder_read(recorder); j++)
			assert_false(is_reading(trace_recorder_get(recorder, j), &unwanted));
	}
}

/* What nobody accepted is reset when its listener is closed; that this is no act of the process'
 * own is told since Linux 5.19 only (TRACE_FLAG_BH_OFF). */
static bool is_reset(const struct socket_event *event)
{
	return event->pid == getpid() && event->tcp_state == TCP_CLOSE;
}

static void test_accepting_side_is_no_proof(void **state)
{
	struct trace_recorder *recorder = *state;

	for (size_t i = 0; i < array_length(ways); i++) {
		struct wanted wanted = {.way = &ways[i]};
		size_t count;

		if (ways[i].type != SOCK_STREAM)
			continue;
		wanted.sent = send_from_child(&ways[i]);
		assert_true(trace_recorder_wait(recorder, is_proof_of, &wanted) >= 0);
		count = trace_recorder_read(recorder);
		for (size_t j = 0; j < count; j++) {
			const struct trace_told *told = trace_recorder_get(recorder, j);

			if (told->type == TRACE_TOLD_SOCKET && told->socket.is_proof &&
			    !is_reset(&told->socket))
				assert_int_not_equal(told->socket.socket.local_port,
						     wanted.sent.server_port);
		}
	}
}

static bool is_exit_of(const struct trace_told *told, const void *userdata)
{
	return told->type == TRACE_TOLD_PROCESS && told->process.type == PROCESS_EVENT_EXIT &&
	       told->process.pid == *(const pid_t *)userdata;
}

/* FORK, COMM, the tracepoints and EXIT stand in one stream in the order in which they happened. */
static void test_life_of_process_is_in_order(void **state)
{
	static const struct way way = {.family = AF_INET, .type = SOCK_DGRAM};
	cleanup_close int server = open_bound(&way, "127.0.0.1");
	struct trace_recorder *recorder = *state;
	enum { FORK, EXEC, EXECUTABLE, SOCKET, EXIT, STEPS } next = FORK;
	size_t count;
	char command[128];
	pid_t pid;

	snprintf(command, sizeof(command), "echo x >/dev/udp/127.0.0.1/%u", get_port(server));
	pid = fork();
	if (pid == 0) {
		execl("/bin/bash", "bash", "-c", command, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(trace_recorder_wait(recorder, is_exit_of, &pid) >= 0);
	count = trace_recorder_read(recorder);
	for (size_t i = 0; i < count; i++) {
		const struct trace_told *told = trace_recorder_get(recorder, i);
		const struct process_event *process = &told->process;
		bool is_process = told->type == TRACE_TOLD_PROCESS && process->pid == pid;

		if (told->type == TRACE_TOLD_SOCKET && told->socket.pid == pid && next == SOCKET)
			next++;
		else if (is_process && process->type == PROCESS_EVENT_FORK && next == FORK)
			next += process->parent == getpid();
		else if (is_process && process->type == PROCESS_EVENT_EXEC && next == EXEC)
			next += strcmp(process->name, "bash") == 0;
		else if (is_process && process->type == PROCESS_EVENT_EXECUTABLE &&
			 next == EXECUTABLE)
			next += strcmp(told->executable, "/bin/bash") == 0;
		else if (is_process && process->type == PROCESS_EVENT_EXIT && next == EXIT)
			next++;
	}
	if (next != STEPS)
		trace_recorder_print(recorder);
	assert_int_equal(next, STEPS);
}

static void test_excluded_port_is_silent(void **state)
{
	struct trace_recorder *recorder = *state;
	struct trace *trace = trace_recorder_get_trace(recorder);
	cleanup_close int server = open_bound(&ways[2], "127.0.0.1");
	union address address;
	socklen_t length;
	struct wanted other = {.way = &ways[2]};
	size_t count;

	assert_int_equal(trace_exclude_port(trace, get_port(server)), 0);
	assert_int_equal(trace_exclude_port(trace, get_port(server)), -EEXIST);
	assert_int_equal(trace_get_counters(trace)->ports_excluded, 1);
	length = make_address(AF_INET, "127.0.0.1", 9, &address);
	assert_int_equal(sendto(server, "x", 1, 0, &address.any, length), 1);
	/* Sent later by somebody else: once that is told, the other would have been too. */
	other.sent = send_from_child(&ways[2]);
	assert_true(trace_recorder_wait(recorder, is_proof_of, &other) >= 0);
	count = trace_recorder_read(recorder);
	for (size_t i = 0; i < count; i++) {
		const struct trace_told *told = trace_recorder_get(recorder, i);

		if (told->type == TRACE_TOLD_SOCKET)
			assert_int_not_equal(told->socket.socket.local_port, get_port(server));
	}
}

struct busy {
	struct loop *loop;
	struct trace *trace;
	struct loop_source *timer;
	int sender;
	uint64_t deadline_ns;
	uint16_t excluded;
};

static void on_port_excluded(void *userdata, unused uint8_t protocol, uint16_t port)
{
	struct busy *busy = userdata;

	busy->excluded = port;
	loop_stop(busy->loop, 0);
}

/* Sends all the time, so that the port is busy whenever it is counted. */
static void on_busy_timer(void *userdata, uint64_t now_ns)
{
	struct busy *busy = userdata;
	union address address;
	socklen_t length = make_address(AF_INET, "127.0.0.1", 9, &address);

	for (int i = 0; i < 1000; i++)
		sendto(busy->sender, "x", 1, 0, &address.any, length);
	loop_source_set_time(busy->timer, now_ns + 10 * NS_PER_MS);
	if (now_ns > busy->deadline_ns)
		loop_stop(busy->loop, 0);
}

static void test_busy_port_is_excluded(unused void **state)
{
	cleanup_close int sender = open_bound(&ways[2], "127.0.0.1");
	struct busy busy = {.sender = sender, .deadline_ns = clock_now_ns() + 10 * NS_PER_SEC};
	const struct trace_options options = {
		.handlers = {.on_port_excluded = on_port_excluded, .userdata = &busy},
		.busy_port_rate = 1000};
	char reason[TRACE_REASON_SIZE];

	assert_int_equal(loop_new(&busy.loop), 0);
	assert_int_equal(trace_new(busy.loop, &options, reason, &busy.trace), 0);
	assert_int_equal(loop_add_timer(busy.loop, 0, on_busy_timer, &busy, &busy.timer), 0);
	assert_int_equal(loop_run(busy.loop), 0);
	assert_int_equal(busy.excluded, get_port(sender));
	assert_int_equal(trace_get_counters(busy.trace)->ports_excluded_ever, 1);
	loop_source_free(busy.timer);
	trace_free(busy.trace);
	loop_free(busy.loop);
}

static void read_format(enum trace_tracepoint tracepoint, struct trace_format *ret)
{
	cleanup_close int tracefs = -1;
	cleanup_free char *text = NULL;
	const char *missing = NULL;
	char path[128];
	size_t length;

	snprintf(path, sizeof(path), "events/%s/%s/format", trace_format_get_system(tracepoint),
		 trace_format_get_name(tracepoint));
	assert_int_equal(trace_files_open(&tracefs), 0);
	assert_int_equal(trace_files_read(tracefs, path, &text, &length), 0);
	assert_int_equal(trace_format_parse(tracepoint, text, length, ret, &missing), 0);
}

/* Why trace opens a second event for another filter. */
static void test_filter_cannot_be_changed(unused void **state)
{
	struct trace_format format;
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attributes), .sample_period = 1};
	cleanup_close int fd = -1;

	read_format(TRACE_LOOKUP_V4, &format);
	attributes.config = format.id;
	fd = (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, PERF_EVENT_IOC_SET_FILTER, "sport != 1"), 0);
	assert_int_equal(ioctl(fd, PERF_EVENT_IOC_SET_FILTER, "sport != 2"), -1);
	assert_int_equal(errno, EEXIST);
}

enum { CPUS = 64 };

struct softirq_rings {
	struct trace_ring *rings[CPUS];
	uint8_t bounce[TRACE_READER_BOUNCE];
};

/* Whether a state change to ESTABLISHED of the accepting socket was seen in softirq. */
static bool find_softirq(struct softirq_rings *rings, const struct trace_format *format,
			 uint16_t server_port)
{
	bool found = false;

	for (size_t i = 0; i < CPUS && rings->rings[i]; i++) {
		struct trace_reader *reader = trace_ring_begin(rings->rings[i]);
		struct trace_record record;

		for (; trace_reader_peek(reader, &record) == 0; trace_reader_take(reader)) {
			struct trace_state state;

			if (record.type == TRACE_RECORD_SAMPLE &&
			    trace_format_read_state(format, record.raw, record.raw_length,
						    &state) &&
			    state.socket.local_port == server_port &&
			    state.new_state == TCP_ESTABLISHED)
				found |= state.context & TRACE_CONTEXT_SOFTIRQ;
		}
		trace_ring_release(rings->rings[i]);
	}
	return found;
}

static void test_softirq_is_marked(unused void **state)
{
	static struct softirq_rings rings;
	struct trace_format format;
	struct sent sent;

	read_format(TRACE_STATE, &format);
	for (int cpu = 0; cpu < CPUS && cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		assert_int_equal(trace_ring_open(cpu, 1 << 20, rings.bounce, &rings.rings[cpu]), 0);
		assert_int_equal(
			trace_ring_set_tracepoint(rings.rings[cpu], TRACE_STATE, format.id, NULL),
			0);
	}
	sent = send_from_child(&ways[7]);
	assert_true(find_softirq(&rings, &format, sent.server_port));
	for (size_t i = 0; i < CPUS; i++)
		trace_ring_close(rings.rings[i]);
}

/* A ring that is never read drops records and says so. */
static void test_loss_is_told(unused void **state)
{
	struct trace_recorder *recorder = trace_recorder_open(1);
	struct way way = ways[2];
	struct wanted wanted = {.way = &way};
	cleanup_close int sender = open_bound(&way, "127.0.0.1");
	size_t count, lost_spans = 0;
	union address address;
	socklen_t length = make_address(AF_INET, "127.0.0.1", 9, &address);
	uint64_t from_ns = 0;

	assert_non_null(recorder);
	/* 64 KiB hold some 630 of these. */
	for (int i = 0; i < 5000; i++)
		sendto(sender, "x", 1, 0, &address.any, length);
	trace_recorder_read(recorder);
	wanted.sent = send_from_child(&way);
	assert_true(trace_recorder_wait(recorder, is_proof_of, &wanted) >= 0);
	count = trace_recorder_read(recorder);
	for (size_t i = 0; i < count; i++) {
		const struct trace_told *told = trace_recorder_get(recorder, i);

		if (told->type != TRACE_TOLD_LOST)
			continue;
		lost_spans++;
		assert_true(told->lost_from_ns <= told->lost_until_ns);
		from_ns = told->lost_from_ns;
	}
	assert_true(lost_spans > 0);
	assert_true(from_ns > 0);
	assert_true(trace_get_counters(trace_recorder_get_trace(recorder))->lost > 0);
	trace_recorder_close(recorder);
}

static int set_up(void **state)
{
	*state = trace_recorder_open(0);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	struct trace_recorder *recorder = *state;
	const struct trace_counters *counters =
		trace_get_counters(trace_recorder_get_trace(recorder));

	assert_int_equal(counters->malformed, 0);
	trace_recorder_close(recorder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_record_names_sender, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_hang_up_names_who_does_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_reading_names_who_does_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_accepting_side_is_no_proof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_life_of_process_is_in_order, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_excluded_port_is_silent, set_up, tear_down),
		cmocka_unit_test(test_busy_port_is_excluded),
		cmocka_unit_test(test_filter_cannot_be_changed),
		cmocka_unit_test(test_softirq_is_marked),
		cmocka_unit_test(test_loss_is_told),
	};
	struct trace_recorder *probe = trace_recorder_open(0);

	if (!probe) {
		printf("SKIP tracepoints: trace is not to be had here\n");
		return SKIPPED;
	}
	trace_recorder_close(probe);
	if (network_namespace_enter() < 0) {
		printf("SKIP tracepoints: no network namespace of its own (CAP_SYS_ADMIN)\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
