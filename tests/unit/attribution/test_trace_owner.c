/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What records are worth, by times that the test gives and processes that it makes up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attribution/trace_owner.h"
#include "base/clock.h"
#include "base/macros.h"
#include "support/fake_process.h"
#include "support/temporary.h"

#define AT(seconds) ((uint64_t)((seconds)*1e9))
enum { OWN_NETNS = 1, OTHER_NETNS = 5, SHELL = 10, PORT = 4000, REMOTE_PORT = 53 };

struct fixture {
	char *proc;
	int proc_fd;
	struct trace_owner *owner;
};

static void set_netns(const struct fixture *fixture, const char *process, int netns)
{
	char path[PATH_MAX], target[32];

	snprintf(path, sizeof(path), "%s/%s", fixture->proc, process);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/ns", fixture->proc, process);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/ns/net", fixture->proc, process);
	snprintf(target, sizeof(target), "net:[%d]", netns);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.proc = temporary_make()};
	fixture.proc_fd = open(fixture.proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	set_netns(&fixture, "thread-self", OWN_NETNS);
	fake_process_write(fixture.proc, &(struct fake_process){.pid = 2, .comm = "kthreadd"});
	fake_process_write(fixture.proc, &(struct fake_process){.pid = SHELL,
								.parent = 1,
								.comm = "shell",
								.executable = "/bin/sh (deleted)"});
	set_netns(&fixture, "10", OWN_NETNS);
	*state = &fixture;
	return trace_owner_new(fixture.proc_fd, &fixture.owner) < 0 ||
	       trace_owner_learn(fixture.owner, AT(1)) < 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	trace_owner_free(fixture->owner);
	close(fixture->proc_fd);
	temporary_remove(fixture->proc);
	return 0;
}

static struct ip_address address(uint8_t last)
{
	return (struct ip_address){{10, 0, 0, last}};
}

static struct socket_tuple tuple(uint8_t protocol)
{
	return (struct socket_tuple){.local = address(1),
				     .remote = address(2),
				     .local_port = PORT,
				     .remote_port = REMOTE_PORT,
				     .family = IP_FAMILY_V4,
				     .protocol = protocol};
}

static void act(struct fixture *fixture, pid_t pid, uint8_t protocol, uint8_t tcp_state,
		uint64_t when_ns)
{
	const struct socket_event event = {.socket = tuple(protocol),
					   .when_ns = when_ns,
					   .pid = pid,
					   .tcp_state = tcp_state,
					   .is_proof = true};

	trace_owner_add_socket(fixture->owner, &event);
}

static void live(struct fixture *fixture, enum process_event_type type, pid_t pid, pid_t parent,
		 uint64_t when_ns)
{
	const struct process_event event = {.type = type,
					    .when_ns = when_ns,
					    .pid = pid,
					    .thread = pid,
					    .parent = parent,
					    .name = "brief"};

	trace_owner_add_process(fixture->owner, &event);
}

struct question {
	uint8_t protocol;
	bool answers; /* the end that answers */
	ino_t netns;
	bool is_unplaced;
	uint64_t when_ns, now_ns; /* now_ns 0: the same */
};

static int ask(struct fixture *fixture, const struct question *question, struct ownership *ret)
{
	const struct ownership_query flow = {.socket = tuple(question->protocol),
					     .when_ns = question->when_ns,
					     .initiator = !question->answers,
					     .has_ended = question->answers};
	const struct trace_owner_query query = {.query = &flow,
						.now_ns = question->now_ns ? question->now_ns
									   : question->when_ns,
						.netns = question->netns,
						.is_unplaced = question->is_unplaced};

	*ret = (struct ownership){0};
	return trace_owner_find(fixture->owner, &query, ret);
}

static void a_sender_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct ownership owner;

	act(fixture, SHELL, IPPROTO_UDP, 0, AT(10));
	assert_int_equal(ask(fixture,
			     &(struct question){.protocol = IPPROTO_UDP, .when_ns = AT(10)},
			     &owner),
			 TRACE_OWNER_FOUND);
	assert_int_equal(owner.process.pid, SHELL);
}

static void a_kernel_thread_proves_nothing(void **state)
{
	struct fixture *fixture = *state;
	const struct question question = {.protocol = IPPROTO_UDP, .when_ns = AT(10)};
	struct ownership owner;

	live(fixture, PROCESS_EVENT_FORK, 50, 2, AT(5));
	act(fixture, 50, IPPROTO_UDP, 0, AT(10));
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_NOBODY);
	act(fixture, 2, IPPROTO_UDP, 0, AT(10));
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_NOBODY);
	/* What the kernel starts in user space executes something. */
	live(fixture, PROCESS_EVENT_FORK, 51, 2, AT(5));
	live(fixture, PROCESS_EVENT_EXEC, 51, 0, AT(6));
	act(fixture, 51, IPPROTO_UDP, 0, AT(10));
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_FOUND);
	assert_int_equal(owner.process.pid, 51);
}

static void a_process_of_another_namespace_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct question question = {.protocol = IPPROTO_UDP, .when_ns = AT(10)};
	struct ownership owner;

	set_netns(fixture, "60", OTHER_NETNS);
	live(fixture, PROCESS_EVENT_FORK, 60, SHELL, AT(5));
	act(fixture, 60, IPPROTO_UDP, 0, AT(10));
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_NOBODY);
	question.netns = OTHER_NETNS;
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_FOUND);
	assert_int_equal(owner.process.pid, 60);
	/* Where no namespace is known to have the address the tuple decides. */
	question =
		(struct question){.protocol = IPPROTO_UDP, .when_ns = AT(10), .is_unplaced = true};
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_FOUND);
	assert_int_equal(owner.process.pid, 60);
}

static void an_act_without_an_address_does_not_place(void **state)
{
	struct fixture *fixture = *state;
	struct socket_event event = {
		.socket = tuple(IPPROTO_UDP), .when_ns = AT(10), .pid = SHELL, .is_proof = true};
	struct question question = {.protocol = IPPROTO_UDP, .when_ns = AT(10)};
	struct ownership owner;

	event.socket.local = (struct ip_address){{0}};
	trace_owner_add_socket(fixture->owner, &event);
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_FOUND);
	question.is_unplaced = true;
	assert_int_equal(ask(fixture, &question, &owner), TRACE_OWNER_NOBODY);
}

static void a_loss_leaves_the_answer_to_others(void **state)
{
	struct fixture *fixture = *state;
	struct ownership owner;

	act(fixture, SHELL, IPPROTO_TCP, TCP_SYN_SENT, AT(10));
	trace_owner_add_lost(fixture->owner, AT(11), AT(12));
	assert_int_equal(ask(fixture,
			     &(struct question){.protocol = IPPROTO_TCP, .when_ns = AT(10)},
			     &owner),
			 TRACE_OWNER_FOUND);
	assert_int_equal(ask(fixture,
			     &(struct question){.protocol = IPPROTO_TCP, .when_ns = AT(13)},
			     &owner),
			 TRACE_OWNER_LOST);
}

static void a_port_that_is_left_out_is_forgotten(void **state)
{
	struct fixture *fixture = *state;
	struct ownership owner;

	act(fixture, SHELL, IPPROTO_UDP, 0, AT(10));
	trace_owner_forget_port(fixture->owner, IPPROTO_UDP, PORT);
	assert_int_equal(ask(fixture,
			     &(struct question){.protocol = IPPROTO_UDP, .when_ns = AT(10)},
			     &owner),
			 TRACE_OWNER_NOBODY);
}

static void a_sender_of_long_ago_is_doubtful(void **state)
{
	struct fixture *fixture = *state;
	struct ownership owner;

	act(fixture, SHELL, IPPROTO_UDP, 0, AT(10));
	assert_int_equal(ask(fixture,
			     &(struct question){.protocol = IPPROTO_UDP, .when_ns = AT(12)},
			     &owner),
			 TRACE_OWNER_DOUBTFUL);
	assert_int_equal(owner.process.pid, SHELL);
}

/* report_tcp_end: destroy asks when conntrack lets go of the connection. */
static void a_worker_is_known_when_time_wait_has_passed(void **state)
{
	struct fixture *fixture = *state;
	struct process_trace life;
	struct ownership owner;

	live(fixture, PROCESS_EVENT_FORK, 70, SHELL, AT(10));
	act(fixture, 70, IPPROTO_TCP, TCP_ESTABLISHED, AT(11));
	act(fixture, 70, IPPROTO_TCP, TCP_LAST_ACK, AT(12));
	live(fixture, PROCESS_EVENT_EXIT, 70, 0, AT(13));
	for (int second = 13; second <= 12 + 120 + 30; second++)
		trace_owner_expire(fixture->owner, AT(second));
	assert_int_equal(ask(fixture,
			     &(struct question){.protocol = IPPROTO_TCP,
						.answers = true,
						.when_ns = AT(10.5),
						.now_ns = AT(162)},
			     &owner),
			 TRACE_OWNER_FOUND);
	assert_int_equal(owner.process.pid, 70);
	assert_true(trace_owner_find_process(fixture->owner, 70, owner.acted_ns, &life));
	assert_int_equal(life.parent, SHELL);
	trace_owner_expire(fixture->owner, AT(200));
	assert_false(trace_owner_find_process(fixture->owner, 70, owner.acted_ns, &life));
}

static void a_child_has_the_executable_that_its_parent_was_found_with(void **state)
{
	struct fixture *fixture = *state;
	struct process_trace life;

	live(fixture, PROCESS_EVENT_FORK, 80, SHELL, AT(10));
	live(fixture, PROCESS_EVENT_EXIT, 80, 0, AT(11));
	assert_true(trace_owner_find_process(fixture->owner, 80, AT(10.5), &life));
	assert_string_equal(life.name, "shell");
	assert_string_equal(life.executable, "/bin/sh");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_sender_is_found),
		TEST(a_kernel_thread_proves_nothing),
		TEST(a_process_of_another_namespace_is_refused),
		TEST(an_act_without_an_address_does_not_place),
		TEST(a_loss_leaves_the_answer_to_others),
		TEST(a_port_that_is_left_out_is_forgotten),
		TEST(a_sender_of_long_ago_is_doubtful),
		TEST(a_worker_is_known_when_time_wait_has_passed),
		TEST(a_child_has_the_executable_that_its_parent_was_found_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
