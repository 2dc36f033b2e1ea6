/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/packet_details.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
#define CLIENT PACKET_SIDE_HIGH
#define SERVER PACKET_SIDE_LOW

/* Where the host stands that sees the packets. */
enum place { BETWEEN, AT_CLIENT, AT_SERVER };

struct step {
	enum packet_side side;
	uint8_t flags;
	unsigned at_ms, payload;
};

static struct packet_event make(const struct step *step, enum place place)
{
	bool is_ours = (place == AT_CLIENT && step->side == CLIENT) ||
		       (place == AT_SERVER && step->side == SERVER);
	struct packet_event event = {
		.packet = {.bytes = 40 + step->payload,
			   .payload_bytes = step->payload,
			   .tcp_flags = step->flags,
			   .has_ports = true,
			   .ttl = 64},
		.when_ns = (1000 + step->at_ms) * NS_PER_MS,
		.clock = is_ours ? PACKET_CLOCK_PROMPT : PACKET_CLOCK_STAMPED,
		.is_sent_here = is_ours,
		.is_received_here = place != BETWEEN && !is_ours,
	};

	event.packet.key.protocol = IPPROTO_TCP;
	return event;
}

static struct packet_details run(const struct step *steps, size_t count, enum place place)
{
	struct packet_details details = {0};

	for (size_t i = 0; i < count; i++) {
		struct packet_event event = make(&steps[i], place);

		packet_details_add(&details, steps[i].side, &event);
	}
	return details;
}

static const struct step handshake[] = {
	{CLIENT, SYN, 0, 0},	       {SERVER, SYN | ACK, 40, 0},  {CLIENT, ACK, 60, 0},
	{CLIENT, PSH | ACK, 70, 100},  {CLIENT, PSH | ACK, 75, 10}, {SERVER, ACK, 115, 0},
	{SERVER, PSH | ACK, 130, 999},
};

static void assert_latency(const struct packet_latency *latency, unsigned us)
{
	assert_true(latency->is_known);
	assert_int_equal(latency->us, us);
}

static void test_latencies_in_between(unused void **state)
{
	struct packet_details details = run(handshake, array_length(handshake), BETWEEN);

	assert_latency(&details.server, 20000);
	assert_latency(&details.client, 10000);
	assert_latency(&details.application, 55000);
	assert_int_equal(details.initiator, CLIENT);
	packet_details_take_start(&details, 1);
	assert_latency(&details.server, 20000);
}

static void test_latencies_at_the_client(unused void **state)
{
	struct packet_details details = run(handshake, 3, AT_CLIENT);

	assert_latency(&details.client, 0);
	assert_false(details.server.is_known);
	/* conntrack knows that it left 2 ms before it was read. */
	packet_details_take_start(&details, 998 * NS_PER_MS);
	assert_latency(&details.server, 21000);
	details = run(handshake, 3, AT_CLIENT);
	packet_details_take_start(&details, 0);
	assert_latency(&details.server, 20000);
	/* A start that cannot be this connection's is not believed. */
	details = run(handshake, 3, AT_CLIENT);
	packet_details_take_start(&details, 5000 * NS_PER_MS);
	assert_latency(&details.server, 20000);
}

static void test_latencies_at_the_server(unused void **state)
{
	struct packet_details details = run(handshake, 3, AT_SERVER);

	assert_latency(&details.server, 0);
	assert_false(details.client.is_known);
	packet_details_take_start(&details, 1001 * NS_PER_MS);
	assert_latency(&details.client, 29500);
}

static void test_what_came_twice_tells_nothing(unused void **state)
{
	static const struct step syn_twice[] = {{CLIENT, SYN, 0, 0},
						{CLIENT, SYN, 1000, 0},
						{SERVER, SYN | ACK, 1040, 0},
						{CLIENT, ACK, 1060, 0}};
	static const struct step answer_twice[] = {{CLIENT, SYN, 0, 0},
						   {SERVER, SYN | ACK, 40, 0},
						   {SERVER, SYN | ACK, 1040, 0},
						   {CLIENT, ACK, 1060, 0}};
	struct packet_details details = run(syn_twice, array_length(syn_twice), BETWEEN);

	assert_false(details.server.is_known);
	assert_latency(&details.client, 10000);
	details = run(answer_twice, array_length(answer_twice), BETWEEN);
	assert_latency(&details.server, 20000);
	assert_false(details.client.is_known);
}

static void test_a_server_that_speaks_first(unused void **state)
{
	static const struct step steps[] = {
		{CLIENT, SYN, 0, 0},	     {SERVER, SYN | ACK, 1, 0},
		{CLIENT, ACK, 2, 0},	     {SERVER, PSH | ACK, 9, 20},
		{CLIENT, PSH | ACK, 50, 20}, {SERVER, PSH | ACK, 57, 20}};
	struct packet_details details = run(steps, array_length(steps), BETWEEN);

	assert_latency(&details.application, 7000);
}

static void check_states(const struct step *steps, const uint8_t *states, size_t count)
{
	struct packet_details details = {0};

	for (size_t i = 0; i < count; i++) {
		struct packet_event event = make(&steps[i], BETWEEN);

		packet_details_add(&details, steps[i].side, &event);
		assert_int_equal(details.tcp_state, states[i]);
	}
	assert_true(packet_details_is_closed(&details));
}

static void test_states(unused void **state)
{
	static const struct step closed[] = {{CLIENT, SYN, 0, 0},	{SERVER, SYN | ACK, 1, 0},
					     {CLIENT, ACK, 2, 0},	{CLIENT, FIN | ACK, 3, 0},
					     {SERVER, ACK, 4, 0},	{SERVER, ACK | PSH, 5, 9},
					     {SERVER, FIN | ACK, 6, 0}, {CLIENT, ACK, 7, 0}};
	static const uint8_t closed_states[] = {TCP_CONNTRACK_SYN_SENT,	   TCP_CONNTRACK_SYN_RECV,
						TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_FIN_WAIT,
						TCP_CONNTRACK_FIN_WAIT,	   TCP_CONNTRACK_FIN_WAIT,
						TCP_CONNTRACK_LAST_ACK,	   TCP_CONNTRACK_TIME_WAIT};
	static const struct step refused[] = {{CLIENT, SYN, 0, 0}, {SERVER, RST | ACK, 1, 0}};
	static const uint8_t refused_states[] = {TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_CLOSE};

	check_states(closed, closed_states, array_length(closed));
	check_states(refused, refused_states, array_length(refused));
}

static void test_ends(unused void **state)
{
	struct step step = {CLIENT, SYN, 0, 0};
	struct packet_details details = {0};
	struct packet_event event = make(&step, AT_CLIENT);
	struct flow_counters counters;

	event.has_uid = event.has_gid = true;
	event.uid = 1000;
	event.packet.tos = 0x20;
	event.packet.ttl = 70;
	packet_details_add(&details, CLIENT, &event);
	event.packet.tos = 0x08;
	event.packet.ttl = 60;
	event.packet.is_fragment = true;
	packet_details_add(&details, CLIENT, &event);
	step.side = SERVER;
	event = make(&step, AT_CLIENT);
	event.has_uid = true; /* early demux: who will receive it */
	event.uid = 2000;
	event.in_interface = 4;
	packet_details_add(&details, SERVER, &event);
	assert_int_equal(details.ends[CLIENT].tos, 0x28);
	assert_int_equal(details.ends[CLIENT].min_ttl, 60);
	assert_int_equal(details.ends[CLIENT].max_ttl, 70);
	assert_int_equal(details.ends[CLIENT].fragments, 1);
	assert_int_equal(details.ends[CLIENT].uid, 1000);
	assert_true(details.ends[CLIENT].is_here);
	assert_false(details.ends[SERVER].has_uid);
	assert_int_equal(details.ends[SERVER].in_interface, 4);
	counters = packet_details_get_counters(&details);
	assert_int_equal(counters.in_packets, 2);
	assert_int_equal(counters.in_bytes, 80);
	assert_int_equal(counters.out_packets, 1);
}

/* Who answers a SYN that was not seen did not begin. */
static void test_initiator(unused void **state)
{
	static const struct step answer[] = {{SERVER, SYN | ACK, 0, 0}};
	struct packet_details details = run(answer, 1, BETWEEN);

	assert_int_equal(details.initiator, CLIENT);
}

static void test_a_length_that_the_next_packet_tells(unused void **state)
{
	struct step step = {SERVER, ACK, 0, 0};
	struct packet_details details = {0};
	struct packet_event event = make(&step, BETWEEN);

	event.packet.bytes = 52;
	event.packet.is_unsized = true;
	event.packet.tcp_sequence = UINT32_MAX - 999; /* it wraps */
	assert_int_equal(packet_details_add(&details, SERVER, &event), 52);
	event.packet.tcp_sequence = 99000;
	event.packet.tcp_flags = FIN | ACK;
	assert_int_equal(packet_details_add(&details, SERVER, &event), 52 + 100000);
	event.packet.is_unsized = false;
	event.packet.tcp_sequence = 99000 + 70000 + 1;
	event.packet.tcp_flags = ACK;
	assert_int_equal(packet_details_add(&details, SERVER, &event), 52 + 70000);
	assert_int_equal(packet_details_add(&details, SERVER, &event), 52);
}

/* A connection that was silent: its server may be the first one to be heard again. */
static void test_who_began_it_outlives_a_pause(void **state)
{
	struct packet_details details = {.has_mark = true};
	struct packet_event event = {.packet = {.key.protocol = IPPROTO_TCP, .bytes = 52}};

	(void)state;
	event.when_ns = 1000;
	event.packet.tcp_flags = 16;
	packet_details_add(&details, PACKET_SIDE_HIGH, &event);
	assert_int_equal(details.initiator, PACKET_SIDE_HIGH);
	packet_details_start_over(&details);
	assert_int_equal(packet_details_get_counters(&details).in_packets, 0);
	assert_false(details.has_mark);
	packet_details_add(&details, PACKET_SIDE_LOW, &event);
	assert_int_equal(details.initiator, PACKET_SIDE_HIGH);
	assert_int_equal(packet_details_get_counters(&details).out_packets, 1);
	/* Another connection asks for itself. */
	packet_details_start_over(&details);
	event.packet.tcp_flags = 2;
	packet_details_add(&details, PACKET_SIDE_LOW, &event);
	assert_int_equal(details.initiator, PACKET_SIDE_LOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latencies_in_between),
		cmocka_unit_test(test_latencies_at_the_client),
		cmocka_unit_test(test_latencies_at_the_server),
		cmocka_unit_test(test_what_came_twice_tells_nothing),
		cmocka_unit_test(test_a_server_that_speaks_first),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_initiator),
		cmocka_unit_test(test_a_length_that_the_next_packet_tells),
		cmocka_unit_test(test_who_began_it_outlives_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
