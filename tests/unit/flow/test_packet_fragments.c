/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/packet_fragments.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

static struct packet make(uint32_t id, bool is_first)
{
	struct packet packet = {.fragment_id = id, .is_fragment = true, .has_ports = is_first};

	packet.key.family = IP_FAMILY_V4;
	packet.key.protocol = IPPROTO_UDP;
	packet.key.tuple.src = ip_address_from_v4(htonl(1));
	packet.key.tuple.dst = ip_address_from_v4(htonl(2));
	if (is_first) {
		packet.key.tuple.src_port = 1000;
		packet.key.tuple.dst_port = 53;
	}
	return packet;
}

static void test_later_fragments_get_their_ports(unused void **state)
{
	struct packet_fragments fragments;
	struct packet first = make(7, true), later = make(7, false), other = make(8, false);

	packet_fragments_init(&fragments);
	assert_false(packet_fragments_complete(&fragments, &later, NS_PER_SEC));
	assert_true(packet_fragments_complete(&fragments, &first, NS_PER_SEC));
	assert_true(packet_fragments_complete(&fragments, &later, 2 * NS_PER_SEC));
	assert_int_equal(later.key.tuple.dst_port, 53);
	assert_false(packet_fragments_complete(&fragments, &other, NS_PER_SEC));
	later = make(7, false);
	later.key.tuple.src = ip_address_from_v4(htonl(3));
	assert_false(packet_fragments_complete(&fragments, &later, NS_PER_SEC));
}

static void test_numbers_are_used_again(unused void **state)
{
	struct packet_fragments fragments;
	struct packet first = make(7, true), later = make(7, false);

	packet_fragments_init(&fragments);
	assert_true(packet_fragments_complete(&fragments, &first, NS_PER_SEC));
	assert_false(packet_fragments_complete(&fragments, &later, 32 * NS_PER_SEC));
}

static void test_whole_packets_are_left_alone(unused void **state)
{
	struct packet_fragments fragments;
	struct packet whole = {.has_ports = true}, error = {.is_icmp_error = true};

	packet_fragments_init(&fragments);
	assert_true(packet_fragments_complete(&fragments, &whole, NS_PER_SEC));
	assert_false(packet_fragments_complete(&fragments, &error, NS_PER_SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_fragments_get_their_ports),
		cmocka_unit_test(test_numbers_are_used_again),
		cmocka_unit_test(test_whole_packets_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
