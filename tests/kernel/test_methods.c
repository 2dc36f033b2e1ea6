/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Trace and sock_diag together: a real socket of this process, which sock_diag finds, and records that
 * name another process. Which of the two is believed? */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attribution/attribution.h"
#include "base/clock.h"
#include "config/config.h"
#include "support/actor.h"
#include "support/network_namespace.h"

enum { KTHREADD = 2, PORT = 20123 };

struct fixture {
	struct attribution *attribution;
	int proc_fd, udp, listener, client;
	struct socket_tuple tuple; /* of "udp" */
	struct socket_tuple tcp;   /* of "client" */
	struct actor other;
};

static int set_up_group(void **state)
{
	static struct fixture fixture;

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		exit(77);
	}
	fixture.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &fixture;
	return 0;
}

static int open_connected(int type, uint16_t port, struct socket_tuple *ret)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*ret = (struct socket_tuple){.local = {{127, 0, 0, 1}},
				     .remote = {{127, 0, 0, 1}},
				     .local_port = ntohs(address.sin_port),
				     .remote_port = port,
				     .family = IP_FAMILY_V4,
				     .protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP};
	return fd;
}

static int set_up(void **state)
{
	struct fixture *fixture = *state;
	const struct attribution_options options = {.methods = CONFIG_METHOD_TRACE |
							       CONFIG_METHOD_SOCK_DIAG,
						    .proc_fd = fixture->proc_fd};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fixture->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	assert_int_equal(bind(fixture->listener, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fixture->listener, 5), 0);
	fixture->other = actor_start(); /* before the sockets, which it would hold too */
	fixture->client = open_connected(SOCK_STREAM, PORT, &fixture->tcp);
	fixture->udp = open_connected(SOCK_DGRAM, PORT, &fixture->tuple);
	assert_int_equal(attribution_new(&options, &fixture->attribution), 0);
	attribution_begin_trace(fixture->attribution, clock_now_ns());
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	attribution_free(fixture->attribution);
	actor_stop(&fixture->other);
	close(fixture->client);
	close(fixture->udp);
	close(fixture->listener);
	return 0;
}

static void tell(struct fixture *fixture, const struct socket_tuple *tuple, pid_t pid,
		 uint64_t when_ns)
{
	const struct socket_event event = {
		.socket = *tuple,
		.when_ns = when_ns,
		.pid = pid,
		.tcp_state = tuple->protocol == IPPROTO_TCP ? TCP_SYN_SENT : 0,
		.is_proof = true};

	attribution_add_socket(fixture->attribution, &event);
}

static void assert_owner(struct fixture *fixture, const struct socket_tuple *tuple,
			 uint64_t when_ns, enum ownership_method method, pid_t pid)
{
	const struct ownership_query query = {
		.socket = *tuple, .when_ns = when_ns, .initiator = true};
	struct ownership answer;

	attribution_find_owner(fixture->attribution, &query, clock_now_ns(), &answer);
	assert_string_equal(ownership_method_name(answer.method), ownership_method_name(method));
	assert_int_equal(answer.process.pid, pid);
}

static void trace_is_believed_first(void **state)
{
	struct fixture *fixture = *state;
	uint64_t now_ns = clock_now_ns();

	assert_owner(fixture, &fixture->tcp, now_ns, OWNERSHIP_SOCK_DIAG, getpid());
	tell(fixture, &fixture->tcp, fixture->other.pid, now_ns);
	assert_owner(fixture, &fixture->tcp, now_ns, OWNERSHIP_TRACE, fixture->other.pid);
}

static void a_lost_span_is_answered_by_sock_diag(void **state)
{
	struct fixture *fixture = *state;
	uint64_t now_ns = clock_now_ns();

	tell(fixture, &fixture->tcp, fixture->other.pid, now_ns - 2 * NS_PER_SEC);
	attribution_add_lost(fixture->attribution, now_ns - NS_PER_SEC, now_ns - NS_PER_MS);
	assert_owner(fixture, &fixture->tcp, now_ns, OWNERSHIP_SOCK_DIAG, getpid());
	assert_int_equal(attribution_get_counters(fixture->attribution)->trace_lost, 1);
}

static void a_busy_port_is_answered_by_sock_diag(void **state)
{
	struct fixture *fixture = *state;
	uint64_t now_ns = clock_now_ns();

	tell(fixture, &fixture->tuple, fixture->other.pid, now_ns);
	assert_owner(fixture, &fixture->tuple, now_ns, OWNERSHIP_TRACE, fixture->other.pid);
	attribution_forget_port(fixture->attribution, IPPROTO_UDP, fixture->tuple.local_port);
	assert_owner(fixture, &fixture->tuple, now_ns, OWNERSHIP_SOCK_DIAG, getpid());
	assert_int_equal(attribution_get_counters(fixture->attribution)->ports_excluded, 1);
}

static void a_kernel_thread_is_not_believed(void **state)
{
	struct fixture *fixture = *state;
	uint64_t now_ns = clock_now_ns();
	char target[2];

	if (readlink("/proc/2/exe", target, sizeof(target)) >= 0 ||
	    access("/proc/2/stat", R_OK) < 0)
		skip(); /* a pid namespace of its own */
	tell(fixture, &fixture->tcp, KTHREADD, now_ns);
	assert_owner(fixture, &fixture->tcp, now_ns, OWNERSHIP_SOCK_DIAG, getpid());
}

static int64_t do_leave(int64_t argument)
{
	return argument + unshare(CLONE_NEWNET);
}

static void a_process_elsewhere_is_not_believed(void **state)
{
	struct fixture *fixture = *state;
	uint64_t now_ns;

	assert_int_equal(actor_tell(&fixture->other, do_leave, 0), 0);
	now_ns = clock_now_ns();
	/* Both acted on such a tuple: where each of them is tells. */
	tell(fixture, &fixture->tcp, fixture->other.pid, now_ns);
	tell(fixture, &fixture->tcp, getpid(), now_ns + 1);
	assert_owner(fixture, &fixture->tcp, now_ns, OWNERSHIP_TRACE, getpid());
}

/* It was seen to send long ago, and somebody else holds the socket now. */
static void who_holds_it_now_settles_a_doubt(void **state)
{
	struct fixture *fixture = *state;
	uint64_t now_ns = clock_now_ns();

	tell(fixture, &fixture->tuple, fixture->other.pid, now_ns - 2 * NS_PER_SEC);
	assert_owner(fixture, &fixture->tuple, now_ns, OWNERSHIP_SOCK_DIAG, getpid());
	tell(fixture, &fixture->tuple, getpid(), now_ns);
	assert_owner(fixture, &fixture->tuple, now_ns, OWNERSHIP_TRACE, getpid());
}

static void what_is_dropped_answers_no_more(void **state)
{
	struct fixture *fixture = *state;
	uint64_t now_ns = clock_now_ns();

	tell(fixture, &fixture->tcp, fixture->other.pid, now_ns);
	attribution_drop_trace(fixture->attribution);
	assert_owner(fixture, &fixture->tcp, now_ns, OWNERSHIP_SOCK_DIAG, getpid());
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(trace_is_believed_first),
		TEST(a_lost_span_is_answered_by_sock_diag),
		TEST(a_busy_port_is_answered_by_sock_diag),
		TEST(a_kernel_thread_is_not_believed),
		TEST(a_process_elsewhere_is_not_believed),
		TEST(who_holds_it_now_settles_a_doubt),
		TEST(what_is_dropped_answers_no_more),
	};

	return cmocka_run_group_tests(tests, set_up_group, NULL);
}
