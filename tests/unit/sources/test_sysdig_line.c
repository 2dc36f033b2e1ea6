/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/sysdig_line.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"

/* Lines of sysdig 0.29.3 over the recordings of its own tests. */
#define CONNECT_UDP                                                                                \
	"{\"evt.arg.tuple\":\"2600:1f18:262c:6542:9aa6:df7a:9a47:d29e:40251->"                     \
	"2001:4860:4860::8888:53\",\"evt.dir\":\"<\",\"evt.latency\":12333,\"evt.rawres\":0,"      \
	"\"evt.rawtime\":1534527348519206167,\"evt.type\":\"connect\",\"fd.l4proto\":\"udp\","     \
	"\"proc.name\":\"curl\",\"proc.pid\":17497,\"proc.ppid\":3200,\"thread.tid\":17498}"
#define ACCEPT                                                                                     \
	"{\"evt.arg.tuple\":\"2001:db8::4:54405->2001:db8::3:1234\",\"evt.dir\":\"<\","            \
	"\"evt.latency\":3117403965,\"evt.rawres\":4,\"evt.rawtime\":1533943856118352985,"         \
	"\"evt.type\":\"accept\",\"fd.l4proto\":\"tcp\",\"proc.name\":\"<NA>\","                   \
	"\"proc.pid\":25886,\"proc.ppid\":-1,\"thread.tid\":25886}"
#define CLONE_PARENT                                                                               \
	"{\"evt.arg.tuple\":null,\"evt.dir\":\"<\",\"evt.latency\":7472,\"evt.rawres\":17498,"     \
	"\"evt.rawtime\":1534527348518881735,\"evt.type\":\"clone\",\"fd.l4proto\":null,"          \
	"\"proc.name\":\"curl\",\"proc.pid\":17497,\"proc.ppid\":3200,\"thread.tid\":17497}"
#define EXIT                                                                                       \
	"{\"evt.arg.tuple\":null,\"evt.dir\":\">\",\"evt.latency\":0,\"evt.rawres\":null,"         \
	"\"evt.rawtime\":1534527348588309095,\"evt.type\":\"procexit\",\"fd.l4proto\":null,"       \
	"\"proc.name\":\"curl\",\"proc.pid\":17497,\"proc.ppid\":3200,\"thread.tid\":17497}"

static int parse(const char *line, struct sysdig_event *event)
{
	return sysdig_line_parse(line, strlen(line), event);
}

static void assert_address(const struct ip_address *address, enum ip_family family,
			   const char *expected)
{
	char text[IP_ADDRESS_TEXT_SIZE];

	ip_address_format(address, family, text);
	assert_string_equal(text, expected);
}

/* A line with this call, result, protocol and tuple. */
static int parse_call(const char *type, const char *direction, const char *result,
		      const char *protocol, const char *tuple, struct sysdig_event *event)
{
	char line[1024];

	snprintf(line, sizeof(line),
		 "{\"evt.rawtime\":1000,\"evt.latency\":10,\"evt.dir\":\"%s\",\"evt.type\":\"%s\","
		 "\"evt.rawres\":%s,\"proc.pid\":5,\"thread.tid\":6,\"proc.ppid\":1,"
		 "\"proc.name\":\"x\",\"fd.l4proto\":\"%s\",\"evt.arg.tuple\":\"%s\"}",
		 direction, type, result, protocol, tuple);
	return parse(line, event);
}

static void who_connects_is_the_first_of_the_tuple(unused void **state)
{
	struct sysdig_event event;

	assert_int_equal(parse(CONNECT_UDP, &event), SYSDIG_LINE_SOCKET);
	assert_int_equal(event.socket.pid, 17497);
	assert_int_equal(event.socket.socket.protocol, IPPROTO_UDP);
	assert_int_equal(event.socket.socket.family, IP_FAMILY_V6);
	assert_address(&event.socket.socket.local, IP_FAMILY_V6,
		       "2600:1f18:262c:6542:9aa6:df7a:9a47:d29e");
	assert_address(&event.socket.socket.remote, IP_FAMILY_V6, "2001:4860:4860::8888");
	assert_int_equal(event.socket.socket.local_port, 40251);
	assert_int_equal(event.socket.socket.remote_port, 53);
	assert_true(event.socket.is_proof);
	/* The call's begin: before the first packet. */
	assert_int_equal(event.socket.when_ns, 1534527348519206167 - 12333);
	assert_string_equal(event.name, "curl");
	assert_string_equal(event.call, "connect");
}

static void who_accepts_is_the_second(unused void **state)
{
	struct sysdig_event event;

	assert_int_equal(parse(ACCEPT, &event), SYSDIG_LINE_SOCKET);
	assert_int_equal(event.socket.pid, 25886);
	assert_address(&event.socket.socket.local, IP_FAMILY_V6, "2001:db8::3");
	assert_int_equal(event.socket.socket.local_port, 1234);
	assert_int_equal(event.socket.socket.remote_port, 54405);
	assert_int_equal(event.socket.tcp_state, TCP_ESTABLISHED);
	assert_int_equal(event.socket.when_ns, 1533943856118352985); /* it had waited */
	assert_string_equal(event.name, "");
}

static void processes_come_and_go(unused void **state)
{
	struct sysdig_event event;

	assert_int_equal(parse(CLONE_PARENT, &event), SYSDIG_LINE_E_USELESS);
	assert_int_equal(parse_call("clone", "<", "0", "", "", &event), SYSDIG_LINE_PROCESS);
	assert_int_equal(event.process.type, PROCESS_EVENT_FORK);
	assert_int_equal(event.process.pid, 5);
	assert_int_equal(event.process.thread, 6);
	assert_int_equal(event.process.parent, 1);
	assert_int_equal(parse_call("execve", "<", "0", "", "", &event), SYSDIG_LINE_PROCESS);
	assert_int_equal(event.process.type, PROCESS_EVENT_EXEC);
	assert_string_equal(event.process.name, "x");
	assert_int_equal(parse_call("execve", "<", "-2", "", "", &event), SYSDIG_LINE_E_USELESS);
	assert_int_equal(parse(EXIT, &event), SYSDIG_LINE_PROCESS);
	assert_int_equal(event.process.type, PROCESS_EVENT_EXIT);
}

static void what_proves_nothing_is_useless(unused void **state)
{
	static const char tuple[] = "10.0.0.1:40000->10.0.0.2:80";
	static const struct {
		const char *type, *direction, *result, *protocol, *tuple;
		int outcome;
	} cases[] = {
		{"connect", "<", "0", "tcp", tuple, SYSDIG_LINE_SOCKET},
		{"connect", "<", "-115", "tcp", tuple, SYSDIG_LINE_SOCKET}, /* on its way */
		{"connect", "<", "-111", "tcp", tuple, SYSDIG_LINE_E_USELESS},
		{"connect", "<", "null", "tcp", tuple, SYSDIG_LINE_E_USELESS},
		{"accept4", "<", "-11", "tcp", tuple, SYSDIG_LINE_E_USELESS},
		{"bind", "<", "0", "tcp", tuple, SYSDIG_LINE_E_USELESS},
		{"sendto", ">", "null", "udp", tuple, SYSDIG_LINE_SOCKET},
		{"sendmsg", ">", "null", "udp", "0.0.0.0:53->10.0.0.2:80", SYSDIG_LINE_SOCKET},
		{"sendto", ">", "null", "tcp", tuple, SYSDIG_LINE_E_USELESS},
		{"sendto", ">", "null", "udp", "NULL", SYSDIG_LINE_E_USELESS},
		{"sendto", ">", "null", "udp", ":::0->::1:2345", SYSDIG_LINE_E_USELESS},
		{"sendto", ">", "null", "<NA>", tuple, SYSDIG_LINE_E_USELESS},
		{"connect", "<", "0", "tcp", "0->ffff88003c420800 /run/x", SYSDIG_LINE_E_USELESS},
		{"connect", ">", "0", "tcp", tuple, SYSDIG_LINE_E_UNKNOWN},
		{"sendto", "<", "0", "udp", tuple, SYSDIG_LINE_E_UNKNOWN},
		{"open", "<", "0", "udp", tuple, SYSDIG_LINE_E_UNKNOWN},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct sysdig_event event;

		if (parse_call(cases[i].type, cases[i].direction, cases[i].result,
			       cases[i].protocol, cases[i].tuple, &event) != cases[i].outcome)
			fail_msg("case %zu, %s %s", i, cases[i].type, cases[i].tuple);
	}
}

static void tuples(unused void **state)
{
	static const char *const wrong[] = {
		"",
		"->",
		"10.0.0.1:1",
		"10.0.0.1:1->",
		"10.0.0.1:1->10.0.0.2",
		"10.0.0.1:1->10.0.0.2:",
		"10.0.0.1:1->10.0.0.2:65536",
		"10.0.0.1:1->10.0.0.2:-1",
		"10.0.0.1:1->10.0.0.2:+1",
		"10.0.0.1:1->10.0.0.2:1 ",
		"10.0.0.1:1->::1:1",
		"10.0.0.256:1->10.0.0.2:1",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1->::1:1",
	};
	struct sysdig_tuple tuple;

	for (size_t i = 0; i < array_length(wrong); i++)
		if (sysdig_line_parse_tuple(wrong[i], &tuple) != -EINVAL)
			fail_msg("%s", wrong[i]);
	assert_int_equal(sysdig_line_parse_tuple("::ffff:10.0.0.1:1->::ffff:10.0.0.2:2", &tuple),
			 0);
	assert_int_equal(tuple.family, IP_FAMILY_V4);
	assert_address(&tuple.from, IP_FAMILY_V4, "10.0.0.1");
	assert_address(&tuple.to, IP_FAMILY_V4, "10.0.0.2");
	/* A dual-stack socket that is bound to no address. */
	assert_int_equal(sysdig_line_parse_tuple(":::9->::ffff:10.0.0.2:2", &tuple), 0);
	assert_int_equal(tuple.family, IP_FAMILY_V4);
	assert_address(&tuple.from, IP_FAMILY_V4, "0.0.0.0");
	assert_int_equal(tuple.from_port, 9);
}

/* A name or a path with a newline stays within its string; so nobody makes a line of his own. */
static void bad_lines_are_refused(unused void **state)
{
	static const char *const wrong[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"evt.rawtime\":1}",
		CONNECT_UDP "x",
		CONNECT_UDP CONNECT_UDP,
		"{\"evt.rawtime\":-1,\"proc.pid\":1,\"thread.tid\":1}",
		"{\"evt.rawtime\":1,\"proc.pid\":0,\"thread.tid\":1}",
		"{\"evt.rawtime\":1,\"proc.pid\":99999999999,\"thread.tid\":1}",
		"{\"evt.rawtime\":\"1\",\"proc.pid\":1,\"thread.tid\":1}",
	};
	struct sysdig_event event;
	char *enormous;

	for (size_t i = 0; i < array_length(wrong); i++)
		if (parse(wrong[i], &event) != -EBADMSG)
			fail_msg("%s", wrong[i]);
	for (size_t length = 0; length < strlen(CONNECT_UDP); length++)
		assert_int_equal(sysdig_line_parse(CONNECT_UDP, length, &event), -EBADMSG);
	enormous = malloc(SYSDIG_LINE_MAX + 1);
	memset(enormous, ' ', SYSDIG_LINE_MAX + 1);
	memcpy(enormous, ACCEPT, strlen(ACCEPT));
	assert_int_equal(sysdig_line_parse(enormous, SYSDIG_LINE_MAX, &event), SYSDIG_LINE_SOCKET);
	assert_int_equal(sysdig_line_parse(enormous, SYSDIG_LINE_MAX + 1, &event), -EBADMSG);
	free(enormous);
}

static void changed_bytes_are_survived(unused void **state)
{
	static const char *const lines[] = {CONNECT_UDP, ACCEPT, CLONE_PARENT, EXIT};
	unsigned seed = 3;

	for (unsigned round = 0; round < 40000; round++) {
		const char *line = lines[round % array_length(lines)];
		size_t length = strlen(line);
		char *copy = malloc(length);
		struct sysdig_event event;
		int r;

		memcpy(copy, line, length);
		for (int i = rand_r(&seed) % 4; i >= 0; i--)
			copy[(size_t)rand_r(&seed) % length] = (char)rand_r(&seed);
		r = sysdig_line_parse(copy, length, &event);
		assert_true(r == -EBADMSG || (r >= 0 && r <= SYSDIG_LINE_E_UNKNOWN));
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_connects_is_the_first_of_the_tuple),
		cmocka_unit_test(who_accepts_is_the_second),
		cmocka_unit_test(processes_come_and_go),
		cmocka_unit_test(what_proves_nothing_is_useless),
		cmocka_unit_test(tuples),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(changed_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
