/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

#include "attribution/ownership_ranges.h"
#include "base/macros.h"

enum { TOLERANCE = 10, MAX_RANGES = 100, MAX_AGE = 100000 };

static struct socket_event make_event(uint8_t protocol, uint8_t local, uint16_t port, pid_t pid,
				      uint64_t when_ns)
{
	return (struct socket_event){.socket = {.local.bytes = {local},
						.remote.bytes = {10, 0, 0, 1},
						.local_port = port,
						.remote_port = 53,
						.family = IP_FAMILY_V4,
						.protocol = protocol},
				     .when_ns = when_ns,
				     .pid = pid,
				     .tcp_state = protocol == IPPROTO_TCP ? TCP_SYN_SENT : 0,
				     .is_proof = true};
}

static void add(struct ownership_ranges *ranges, const struct socket_event *event)
{
	assert_int_equal(ownership_ranges_add(ranges, event), 0);
}

static void add_udp(struct ownership_ranges *ranges, uint8_t local, pid_t pid, uint64_t when_ns)
{
	struct socket_event event = make_event(IPPROTO_UDP, local, 1000, pid, when_ns);

	add(ranges, &event);
}

/* The pid that is named, 0 for none, -1 for lost. */
static pid_t ask(struct ownership_ranges *ranges, const struct socket_event *event,
		 uint64_t earliest_ns, uint64_t latest_ns)
{
	struct ownership_ranges_query query = {
		.socket = event->socket, .earliest_ns = earliest_ns, .latest_ns = latest_ns};
	struct ownership_range told = {0};
	int r = ownership_ranges_find(ranges, &query, &told);

	if (r == OWNERSHIP_RANGES_LOST)
		return -1;
	assert_true(r == 0 || r == -ENOENT);
	if (r == 0)
		assert_int_equal(told.ownership.method, OWNERSHIP_TRACE);
	return told.ownership.process.pid;
}

static pid_t ask_udp(struct ownership_ranges *ranges, uint8_t local, uint64_t earliest_ns,
		     uint64_t latest_ns)
{
	struct socket_event event = make_event(IPPROTO_UDP, local, 1000, 0, 0);

	return ask(ranges, &event, earliest_ns, latest_ns);
}

/* The same of ownership_ranges_find_alone(). */
static pid_t ask_alone(struct ownership_ranges *ranges, uint8_t protocol, uint64_t earliest_ns,
		       uint64_t latest_ns)
{
	struct socket_event event = make_event(protocol, 1, 1000, 0, 0);
	struct ownership_ranges_query query = {
		.socket = event.socket, .earliest_ns = earliest_ns, .latest_ns = latest_ns};
	struct ownership_range told = {0};
	int r = ownership_ranges_find_alone(ranges, &query, &told);

	if (r == OWNERSHIP_RANGES_LOST)
		return -1;
	assert_true(r == 0 || r == -ENOENT);
	return told.ownership.process.pid;
}

static int set_up(void **state)
{
	const struct ownership_ranges_options options = {
		.max_ranges = MAX_RANGES, .max_age_ns = MAX_AGE, .tolerance_ns = TOLERANCE};

	return ownership_ranges_new(&options, (struct ownership_ranges **)state);
}

static int tear_down(void **state)
{
	ownership_ranges_free(*state);
	return 0;
}

static void test_owners_follow_each_other(void **state)
{
	struct ownership_ranges *ranges = *state;

	add_udp(ranges, 1, 7, 100);
	add_udp(ranges, 1, 8, 200);
	add_udp(ranges, 1, 7, 300);
	assert_int_equal(ask_udp(ranges, 1, 89, 89), 0);
	assert_int_equal(ask_udp(ranges, 1, 95, 95), 7); /* within the tolerance */
	assert_int_equal(ask_udp(ranges, 1, 100, 100), 7);
	assert_int_equal(ask_udp(ranges, 1, 199, 199), 7); /* nearest before wins */
	assert_int_equal(ask_udp(ranges, 1, 200, 200), 8);
	assert_int_equal(ask_udp(ranges, 1, 299, 299), 8);
	assert_int_equal(ask_udp(ranges, 1, 1000, 1000), 7);
	/* When the beginning is known only to lie between, the first to act did it. */
	assert_int_equal(ask_udp(ranges, 1, 50, 1000), 7);
	assert_int_equal(ask_udp(ranges, 1, 150, 1000), 8);
	assert_int_equal(ask_udp(ranges, 1, 210, 290), 8);
	assert_int_equal(ask_udp(ranges, 1, 210, 300), 7);
	assert_int_equal(ownership_ranges_get_counters(ranges)->ranges, 3);
}

static void test_unbound_source_fits_any(void **state)
{
	struct ownership_ranges *ranges = *state;

	add_udp(ranges, 0, 7, 100);
	assert_int_equal(ask_udp(ranges, 1, 110, 110), 7);
	assert_int_equal(ask_udp(ranges, 2, 110, 110), 7);
	/* connect(2): the source is known with the second lookup. */
	add_udp(ranges, 1, 7, 101);
	assert_int_equal(ownership_ranges_get_counters(ranges)->ranges, 1);
	assert_int_equal(ask_udp(ranges, 1, 110, 110), 7);
	assert_int_equal(ask_udp(ranges, 2, 110, 110), 0);
	add_udp(ranges, 2, 8, 120);
	assert_int_equal(ask_udp(ranges, 1, 130, 130), 7);
	assert_int_equal(ask_udp(ranges, 2, 130, 130), 8);
}

static void test_what_proves_nothing_is_ignored(void **state)
{
	struct ownership_ranges *ranges = *state;
	struct socket_event event = make_event(IPPROTO_UDP, 1, 1000, 7, 100);

	event.is_proof = false;
	add(ranges, &event);
	event = make_event(IPPROTO_UDP, 1, 0, 7, 100);
	add(ranges, &event);
	event = make_event(IPPROTO_UDP, 1, 1000, 0, 100);
	add(ranges, &event);
	event = make_event(IPPROTO_TCP, 0, 1000, 7, 100);
	add(ranges, &event);
	event = make_event(IPPROTO_UDP, 1, 1000, 7, 100);
	event.socket.remote_port = 0;
	add(ranges, &event);
	event = make_event(IPPROTO_UDP, 1, 1000, 7, 100);
	event.socket.remote = (struct ip_address){0};
	add(ranges, &event);
	assert_int_equal(ownership_ranges_get_counters(ranges)->ignored, 6);
	assert_int_equal(ownership_ranges_get_counters(ranges)->ranges, 0);
	assert_int_equal(ask_udp(ranges, 1, 100, 100), 0);
}

static void test_closed_socket_owns_nothing_later(void **state)
{
	struct ownership_ranges *ranges = *state;
	struct socket_event opened = make_event(IPPROTO_TCP, 1, 1000, 7, 100);
	struct socket_event closed = make_event(IPPROTO_TCP, 1, 1000, 0, 200);
	struct ownership_ranges_query query = {
		.socket = opened.socket, .earliest_ns = 150, .latest_ns = 150};
	struct ownership_range told;

	opened.socket_address = 0x1234;
	add(ranges, &opened);
	closed.is_proof = false;
	closed.tcp_state = TCP_CLOSE;
	closed.socket_address = 0x9999; /* the same tuple in another namespace */
	add(ranges, &closed);
	assert_int_equal(ask(ranges, &opened, 300, 300), 7);
	closed.socket_address = 0x1234;
	add(ranges, &closed);
	assert_int_equal(ask(ranges, &opened, 150, 150), 7);
	assert_int_equal(ask(ranges, &opened, 200 + TOLERANCE, 300), 7);
	assert_int_equal(ask(ranges, &opened, 200 + TOLERANCE + 1, 300), 0);
	assert_int_equal(ownership_ranges_find(ranges, &query, &told), 0);
	assert_int_equal(told.from_ns, 100);
	assert_int_equal(told.until_ns, 200);
	/* The same address again: a new socket with a new owner. */
	opened.when_ns = 400;
	opened.pid = 8;
	add(ranges, &opened);
	assert_int_equal(ask(ranges, &opened, 400, 400), 8);
	assert_int_equal(ask(ranges, &opened, 150, 150), 7);
}

static void test_loss_makes_old_records_doubtful(void **state)
{
	struct ownership_ranges *ranges = *state;

	add_udp(ranges, 1, 7, 100);
	ownership_ranges_add_lost(ranges, 200, 300);
	assert_int_equal(ask_udp(ranges, 1, 150, 199), 7);
	assert_int_equal(ask_udp(ranges, 1, 150, 200), -1);
	assert_int_equal(ask_udp(ranges, 1, 400, 400), -1);
	assert_int_equal(ask_udp(ranges, 2, 250, 250), -1); /* never heard of, and no wonder */
	assert_int_equal(ask_udp(ranges, 2, 300 + TOLERANCE, 400), -1);
	assert_int_equal(ask_udp(ranges, 2, 300 + TOLERANCE + 1, 400), 0);
	/* A record of the beginning itself is as good as ever. */
	add_udp(ranges, 1, 8, 250);
	assert_int_equal(ask_udp(ranges, 1, 240, 260), 8);
	add_udp(ranges, 1, 8, 350);
	assert_int_equal(ask_udp(ranges, 1, 400, 400), 8);
}

static bool accept_only(void *userdata, const struct ownership_act *act)
{
	return act->pid == *(const pid_t *)userdata;
}

/* Two namespaces with the same tuple. */
static void test_query_may_refuse(void **state)
{
	struct ownership_ranges *ranges = *state;
	pid_t wanted = 7;
	struct ownership_ranges_query query = {
		.socket = make_event(IPPROTO_UDP, 1, 1000, 0, 0).socket,
		.earliest_ns = 250,
		.latest_ns = 250,
		.accept = accept_only,
		.userdata = &wanted};
	struct ownership_range told;

	add_udp(ranges, 1, 7, 100);
	add_udp(ranges, 1, 8, 200);
	assert_int_equal(ownership_ranges_find(ranges, &query, &told), 0);
	assert_int_equal(told.ownership.process.pid, 7);
	wanted = 9;
	assert_int_equal(ownership_ranges_find(ranges, &query, &told), -ENOENT);
}

static bool accept_opener(void *userdata, const struct ownership_act *act)
{
	(void)userdata;
	return act->has_begun;
}

/* Who closes a connection need not be who opened it, and is told apart; who did both is not. */
static void test_an_end_is_told_apart(void **state)
{
	struct ownership_ranges *ranges = *state;
	struct socket_event opened = make_event(IPPROTO_TCP, 1, 1000, 7, 100);
	struct socket_event closed = make_event(IPPROTO_TCP, 1, 1000, 8, 200);
	struct ownership_ranges_query query = {
		.socket = closed.socket, .earliest_ns = 150, .latest_ns = 300};
	struct ownership_range told;

	closed.tcp_state = TCP_LAST_ACK;
	add(ranges, &closed);
	assert_int_equal(ownership_ranges_find(ranges, &query, &told), 0);
	assert_int_equal(told.ownership.process.pid, 8);
	query.accept = accept_opener;
	assert_int_equal(ownership_ranges_find(ranges, &query, &told), -ENOENT);
	add(ranges, &opened);
	assert_int_equal(ownership_ranges_find(ranges, &query, &told), 0);
	assert_int_equal(told.ownership.process.pid, 7);
	opened.pid = 8;
	opened.when_ns = 160;
	add(ranges, &opened);
	assert_int_equal(ownership_ranges_find(ranges, &query, &told), 0);
	assert_int_equal(told.ownership.process.pid, 8);
	assert_int_equal(told.last_ns, 200);
}

enum { NOBODY = -1, FIRST_SOCKET = 1, SECOND_SOCKET = 2 };

struct server_act {
	pid_t pid;
	uint64_t when_ns;
	uint64_t socket_address;
	uint8_t state;
};

static void add_server_acts(struct ownership_ranges *ranges, const struct server_act *acts)
{
	for (; acts->pid; acts++) {
		struct socket_event event =
			make_event(IPPROTO_TCP, 1, 1000, acts->pid, acts->when_ns);

		event.tcp_state = acts->state;
		event.socket_address = acts->socket_address;
		event.is_proof = acts->pid != NOBODY;
		add(ranges, &event);
	}
}

/* Reader * 100 + closer; 0 for neither, -1 for lost. */
static int ask_server(struct ownership_ranges *ranges, uint64_t earliest_ns, uint64_t latest_ns)
{
	const struct socket_event event = make_event(IPPROTO_TCP, 1, 1000, 0, 0);
	const struct ownership_ranges_query query = {
		.socket = event.socket, .earliest_ns = earliest_ns, .latest_ns = latest_ns};
	struct ownership_server server = {0};
	int r = ownership_ranges_find_server(ranges, &query, &server);

	if (r == OWNERSHIP_RANGES_LOST)
		return -1;
	assert_int_equal(r, server.reader.pid || server.closer.pid ? 0 : -ENOENT);
	return server.reader.pid * 100 + server.closer.pid;
}

/* 7 accepts and hands over to 8; 9 reads a little before. */
static void test_who_alone_acted_on_a_tuple(void **state)
{
	struct socket_event connect = make_event(IPPROTO_TCP, 1, 1000, 9, 1000);

	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 1000, 1000), 0);
	add_udp(*state, 1, 7, 1000);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 900, 990), 7);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 1010, 1100), 7);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 900, 989), 0);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 1011, 1100), 0);
	add_udp(*state, 1, 7, 2000);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 1500, 1600), 7);
	ownership_ranges_add_lost(*state, 1950, 1960);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 1970, 2000), -1);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 1971, 2000), 7);
	/* Another one, perhaps of another namespace, at whatever time. */
	add_udp(*state, 1, 8, 5000);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 2000, 2000), 0);
	assert_int_equal(ask_alone(*state, IPPROTO_UDP, 5000, 5000), 0);
	/* What follows a connect on the same socket does not begin another connection. */
	add(*state, &connect);
	assert_int_equal(ask_alone(*state, IPPROTO_TCP, 1000, 1000), 9);
	connect.when_ns = 3000;
	connect.tcp_state = TCP_FIN_WAIT1;
	add(*state, &connect);
	assert_int_equal(ask_alone(*state, IPPROTO_TCP, 3000, 3000), 0);
}

static void test_who_read_last_and_who_closed(void **state)
{
	struct ownership_ranges *ranges = *state;
	static const struct server_act acts[] = {
		{9, 110, FIRST_SOCKET, TCP_ESTABLISHED}, {8, 120, FIRST_SOCKET, TCP_ESTABLISHED},
		{9, 130, FIRST_SOCKET, TCP_ESTABLISHED}, {8, 140, FIRST_SOCKET, TCP_ESTABLISHED},
		{7, 150, FIRST_SOCKET, TCP_FIN_WAIT1},	 {0}};

	assert_int_equal(ask_server(ranges, 100, 100), 0);
	add_server_acts(ranges, acts);
	assert_int_equal(ask_server(ranges, 100, 100), 807);
	assert_int_equal(ask_server(ranges, 135, 135), 807);
	assert_int_equal(ask_server(ranges, 145, 145), 7);
	assert_int_equal(ask_server(ranges, 155, 155), 0);
	/* By turns, and yet a range for each of the three. */
	assert_int_equal(ownership_ranges_get_counters(ranges)->ranges, 3);
	ownership_ranges_add_lost(ranges, 101, 102);
	assert_int_equal(ask_server(ranges, 100, 100), -1);
	assert_int_equal(ask_server(ranges, 103, 103), 807);
}

static void test_the_next_connection_of_a_tuple(void **state)
{
	struct ownership_ranges *ranges = *state;
	static const struct server_act acts[] = {
		{7, 110, FIRST_SOCKET, TCP_ESTABLISHED}, {7, 120, FIRST_SOCKET, TCP_LAST_ACK},
		{NOBODY, 130, FIRST_SOCKET, TCP_CLOSE},	 {8, 210, SECOND_SOCKET, TCP_ESTABLISHED},
		{8, 220, SECOND_SOCKET, TCP_FIN_WAIT1},	 {0},
	};

	add_server_acts(ranges, acts);
	assert_int_equal(ask_server(ranges, 100, 105), 707);
	assert_int_equal(ask_server(ranges, 200, 205), 808);
	/* It began after 105 and before 205: either may be meant. */
	assert_int_equal(ask_server(ranges, 105, 205), 0);
	/* Proof of both, whatever was lost. */
	ownership_ranges_add_lost(ranges, 215, 216);
	assert_int_equal(ask_server(ranges, 200, 205), 808);
}

/* The pid, 0 for none, -1 for lost, -2 for several. */
static pid_t ask_only(struct ownership_ranges *ranges, uint64_t earliest_ns, uint64_t latest_ns)
{
	const struct socket_event event = make_event(IPPROTO_ICMP, 1, 0, 0, 0);
	struct ownership_ranges_query query = {
		.socket = event.socket, .earliest_ns = earliest_ns, .latest_ns = latest_ns};
	struct ownership_range told = {0};
	int r;

	query.socket.remote_port = 0;
	r = ownership_ranges_find_only(ranges, &query, &told);
	if (r > 0)
		return r == OWNERSHIP_RANGES_LOST ? -1 : -2;
	assert_int_equal(r, told.ownership.process.pid ? 0 : -ENOENT);
	return told.ownership.process.pid;
}

static void add_ping(struct ownership_ranges *ranges, pid_t pid, uint64_t when_ns)
{
	struct socket_event event = make_event(IPPROTO_ICMP, 0, 0, pid, when_ns);

	event.socket.remote_port = 0;
	add(ranges, &event);
}

/* Two send to one address by turns. */
static void test_the_only_one_without_ports(void **state)
{
	struct ownership_ranges *ranges = *state;
	const uint64_t second = 1000000000;

	assert_int_equal(ask_only(ranges, second, second), 0);
	add_ping(ranges, 7, second);
	add_ping(ranges, 7, 2 * second);
	add_ping(ranges, 8, 3 * second);
	assert_int_equal(ask_only(ranges, second, second), 7);
	/* Nobody sent in between, though 7 did before and after. */
	assert_int_equal(ask_only(ranges, second + 500, second + 500), 0);
	assert_int_equal(ask_only(ranges, second, 2 * second), 7);
	assert_int_equal(ask_only(ranges, 2 * second, 3 * second), -2);
	assert_int_equal(ask_only(ranges, 3 * second + TOLERANCE, 4 * second), 8);
	ownership_ranges_add_lost(ranges, 2 * second, 2 * second + 5);
	assert_int_equal(ask_only(ranges, second, 2 * second), -1);
	assert_int_equal(ask_only(ranges, 3 * second, 3 * second), 8);
}

static void test_late_record_parts_another_range(void **state)
{
	struct ownership_ranges *ranges = *state;

	add_udp(ranges, 1, 7, 100);
	add_udp(ranges, 1, 7, 300);
	add_udp(ranges, 1, 8, 200);
	assert_int_equal(ask_udp(ranges, 1, 150, 150), 7);
	assert_int_equal(ask_udp(ranges, 1, 250, 250), 8);
	assert_int_equal(ask_udp(ranges, 1, 350, 350), 7);
	assert_int_equal(ownership_ranges_get_counters(ranges)->ranges, 3);
	add_udp(ranges, 1, 9, 50);
	assert_int_equal(ask_udp(ranges, 1, 60, 60), 9);
	add_udp(ranges, 1, 7, 90); /* joins the range that it precedes */
	assert_int_equal(ask_udp(ranges, 1, 95, 95), 7);
	assert_int_equal(ownership_ranges_get_counters(ranges)->ranges, 4);
}

static void test_oldest_goes_at_the_bound(void **state)
{
	struct ownership_ranges *ranges = *state;
	struct socket_event event;

	for (uint16_t i = 1; i <= MAX_RANGES + 20; i++) {
		event = make_event(IPPROTO_UDP, 1, i, i, i);
		add(ranges, &event);
		event = make_event(IPPROTO_UDP, 1, 1, 1, i); /* the first one stays in use */
		add(ranges, &event);
	}
	assert_int_equal(ownership_ranges_get_counters(ranges)->ranges, MAX_RANGES);
	assert_int_equal(ownership_ranges_get_counters(ranges)->evicted, 20);
	for (uint16_t i = 1; i <= MAX_RANGES + 20; i++) {
		event = make_event(IPPROTO_UDP, 1, i, 0, 0);
		assert_int_equal(ask(ranges, &event, 1000, 1000), i == 1 || i > 21 ? i : 0);
	}
}

static void test_expiry_and_forgotten_ports(void **state)
{
	struct ownership_ranges *ranges = *state;
	struct socket_event tcp = make_event(IPPROTO_TCP, 1, 1000, 9, 500);
	struct socket_event reading = make_event(IPPROTO_TCP, 1, 1000, 8, 600);

	add_udp(ranges, 1, 7, 100);
	add_udp(ranges, 1, 8, 200);
	add(ranges, &tcp);
	ownership_ranges_add_lost(ranges, 10, 20);
	ownership_ranges_expire(ranges, MAX_AGE + 150);
	assert_int_equal(ownership_ranges_get_counters(ranges)->expired, 1);
	assert_int_equal(ask_udp(ranges, 1, 150, 150), 0);
	assert_int_equal(ask_udp(ranges, 1, 15, 15), 0);
	assert_int_equal(ask_udp(ranges, 1, 250, 250), 8);
	ownership_ranges_forget_port(ranges, IPPROTO_UDP, 1000);
	assert_int_equal(ask_udp(ranges, 1, 250, 250), 0);
	reading.tcp_state = TCP_ESTABLISHED;
	add(ranges, &reading);
	assert_int_equal(ask_server(ranges, 550, 550), 800);
	ownership_ranges_forget_port(ranges, IPPROTO_TCP, 1000);
	assert_int_equal(ask_server(ranges, 550, 550), 0);
	assert_int_equal(ask(ranges, &tcp, 500, 500), 9);
	assert_int_equal(ownership_ranges_get_counters(ranges)->forgotten, 2);
}

/* Against a plain list of all acts, in the order of time. UDP comes from bound sockets of two
 * addresses; each TCP act is a socket of its own. */
enum { PORTS = 4, ACTS = 2000 };

struct model {
	struct {
		struct socket_event event;
		uint64_t closed_ns;
	} acts[ACTS];
	size_t count;
};

static bool is_same_tuple(const struct socket_tuple *a, const struct socket_tuple *b)
{
	return a->protocol == b->protocol && a->local_port == b->local_port &&
	       ip_address_equal(&a->local, &b->local);
}

static pid_t model_ask(const struct model *model, const struct socket_tuple *socket,
		       uint64_t earliest_ns, uint64_t latest_ns)
{
	pid_t before = 0, within = 0, after = 0;

	for (size_t i = 0; i < model->count; i++) {
		const struct socket_event *event = &model->acts[i].event;

		if (!is_same_tuple(&event->socket, socket))
			continue;
		if (event->when_ns <= earliest_ns)
			before = model->acts[i].closed_ns + TOLERANCE >= earliest_ns ||
						 model->acts[i].closed_ns == UINT64_MAX
					 ? event->pid
					 : 0;
		else if (event->when_ns <= latest_ns && !within)
			within = event->pid;
		else if (event->when_ns > latest_ns && event->when_ns <= latest_ns + TOLERANCE &&
			 !after)
			after = event->pid;
	}
	return within ? within : before ? before : after;
}

static void model_act(struct model *model, struct ownership_ranges *ranges, uint64_t now_ns)
{
	struct socket_event event =
		make_event(random() % 2 ? IPPROTO_UDP : IPPROTO_TCP, (uint8_t)(random() % 2 + 1),
			   (uint16_t)(random() % PORTS + 1), (pid_t)(random() % 3 + 1), now_ns);

	if (event.socket.protocol == IPPROTO_TCP)
		event.socket_address = now_ns;
	add(ranges, &event);
	model->acts[model->count].event = event;
	model->acts[model->count++].closed_ns = UINT64_MAX;
}

static void model_close(struct model *model, struct ownership_ranges *ranges, uint64_t now_ns)
{
	size_t at = (size_t)random() % model->count;
	struct socket_event event = model->acts[at].event;

	if (event.socket.protocol != IPPROTO_TCP || model->acts[at].closed_ns != UINT64_MAX)
		return;
	model->acts[at].closed_ns = now_ns;
	event.is_proof = false;
	event.pid = 0;
	event.tcp_state = TCP_CLOSE;
	event.when_ns = now_ns;
	add(ranges, &event);
}

static void test_random_against_model(unused void **state)
{
	static struct model model;
	const struct ownership_ranges_options options = {
		.max_ranges = ACTS, .max_age_ns = UINT64_MAX, .tolerance_ns = TOLERANCE};

	srandom(5);
	for (int round = 0; round < 20; round++) {
		struct ownership_ranges *ranges;
		uint64_t now_ns = 1;

		assert_int_equal(ownership_ranges_new(&options, &ranges), 0);
		model.count = 0;
		while (model.count < ACTS) {
			struct socket_event asked =
				make_event(random() % 2 ? IPPROTO_UDP : IPPROTO_TCP,
					   (uint8_t)(random() % 2 + 1),
					   (uint16_t)(random() % PORTS + 1), 0, 0);
			uint64_t earliest_ns, latest_ns;

			now_ns += (uint64_t)random() % 8 + 1;
			if (model.count == 0 || random() % 3)
				model_act(&model, ranges, now_ns);
			else
				model_close(&model, ranges, now_ns);
			earliest_ns = now_ns > 200 ? now_ns - (uint64_t)random() % 200 : now_ns;
			latest_ns = earliest_ns + (uint64_t)(random() % 2 ? random() % 50 : 0);
			assert_int_equal(ask(ranges, &asked, earliest_ns, latest_ns),
					 model_ask(&model, &asked.socket, earliest_ns, latest_ns));
		}
		ownership_ranges_free(ranges);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_owners_follow_each_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unbound_source_fits_any, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_proves_nothing_is_ignored, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_closed_socket_owns_nothing_later, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_loss_makes_old_records_doubtful, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_query_may_refuse, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_only_one_without_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_alone_acted_on_a_tuple, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_read_last_and_who_closed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_next_connection_of_a_tuple, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_end_is_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_record_parts_another_range, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_oldest_goes_at_the_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expiry_and_forgotten_ports, set_up, tear_down),
		cmocka_unit_test(test_random_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
