/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/packet.h"

#include <linux/if_ether.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"
#include "support/packet_builder.h"

enum { MORE_FRAGMENTS = 0x2000 };

/* The parser gets a copy of exactly that length, so that a sanitiser sees a read behind it. */
static enum packet_fault parse_copy(uint16_t protocol, const uint8_t *bytes, size_t length,
				    struct packet *ret)
{
	uint8_t *copy = malloc(length ? length : 1);
	enum packet_fault fault;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	fault = packet_parse(protocol, copy, length, ret);
	free(copy);
	return fault;
}

static uint16_t protocol_of(const struct packet_builder *builder)
{
	return builder->bytes[builder->ip_at] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6;
}

static struct packet parse(struct packet_builder *builder)
{
	struct packet packet = {0};

	packet_builder_finish(builder);
	assert_int_equal(parse_copy(protocol_of(builder), builder->bytes, builder->length, &packet),
			 PACKET_FINE);
	return packet;
}

static enum packet_fault parse_fault(const struct packet_builder *builder)
{
	struct packet packet;

	return parse_copy(protocol_of(builder), builder->bytes, builder->length, &packet);
}

static void assert_ports(const struct packet *packet)
{
	assert_true(packet->has_ports);
	assert_int_equal(packet->key.tuple.src_port, 1000);
	assert_int_equal(packet->key.tuple.dst_port, 2000);
}

static void test_tcp(unused void **state)
{
	for (unsigned options = 0; options <= 10; options++) {
		struct packet_builder builder = {0};
		struct packet packet;

		packet_builder_add_ipv4(&builder, IPPROTO_TCP, 0, options);
		packet_builder_add_tcp(&builder, 0x12, 100);
		packet = parse(&builder);
		assert_ports(&packet);
		assert_int_equal(packet.key.family, IP_FAMILY_V4);
		assert_int_equal(packet.key.protocol, IPPROTO_TCP);
		assert_memory_equal(packet.key.tuple.src.bytes, "\12\0\0\1\0\0", 6);
		assert_memory_equal(packet.key.tuple.dst.bytes, "\12\0\0\2\0\0", 6);
		assert_int_equal(packet.bytes, 20 + 4 * options + 20 + 100);
		assert_int_equal(packet.payload_bytes, 100);
		assert_int_equal(packet.tcp_flags, 0x12);
		assert_int_equal(packet.tos, 0x28);
		assert_int_equal(packet.ttl, 61);
		assert_false(packet.is_fragment);
	}
}

/* The kernel leaves the length out of what is longer than it can say. */
static void test_unsized(unused void **state)
{
	struct packet_builder builder = {0};
	struct packet packet;

	packet_builder_add_ipv4(&builder, IPPROTO_TCP, 0, 1);
	packet_builder_add_tcp(&builder, 0x10, 90);
	builder.bytes[2] = builder.bytes[3] = 0;
	assert_int_equal(parse_copy(ETH_P_IP, builder.bytes, builder.length, &packet), PACKET_FINE);
	assert_ports(&packet);
	assert_true(packet.is_unsized);
	assert_int_equal(packet.bytes, 44);
	assert_int_equal(packet.payload_bytes, 0);
	builder.bytes[9] = IPPROTO_UDP;
	assert_int_equal(parse_fault(&builder), PACKET_WRONG_LENGTH);
}

static void test_lengths_are_the_packets_not_the_copys(unused void **state)
{
	struct packet_builder builder = {0};
	struct packet packet;

	packet_builder_add_ipv4(&builder, IPPROTO_UDP, 0, 0);
	packet_builder_add_udp(&builder, 900);
	packet_builder_finish(&builder);
	builder.length = 60;
	assert_int_equal(parse_copy(ETH_P_IP, builder.bytes, builder.length, &packet), PACKET_FINE);
	assert_int_equal(packet.bytes, 928);
	assert_int_equal(packet.payload_bytes, 900);
	/* Ethernet pads short frames. */
	builder = (struct packet_builder){0};
	packet_builder_add_ipv4(&builder, IPPROTO_UDP, 0, 0);
	packet_builder_add_udp(&builder, 1);
	packet_builder_finish(&builder);
	builder.length = 46;
	assert_int_equal(parse_copy(ETH_P_IP, builder.bytes, builder.length, &packet), PACKET_FINE);
	assert_int_equal(packet.bytes, 29);
}

static void test_fragments_of_ipv4(unused void **state)
{
	struct packet_builder first = {0}, later = {0};
	struct packet packet;

	packet_builder_add_ipv4(&first, IPPROTO_UDP, MORE_FRAGMENTS, 0);
	packet_builder_add_udp(&first, 1400);
	first.length = 28 + 64;
	packet = parse(&first);
	assert_ports(&packet);
	assert_true(packet.is_fragment);
	assert_int_equal(packet.fragment_id, 0x1234);
	packet_builder_add_ipv4(&later, IPPROTO_UDP, 9, 0);
	later.length += 3; /* too short for ports, and none are there */
	packet = parse(&later);
	assert_true(packet.is_fragment);
	assert_false(packet.has_ports);
	assert_int_equal(packet.key.tuple.src_port, 0);
	assert_int_equal(packet.bytes, 23);
	/* "Don't fragment" is no fragment. */
	first = (struct packet_builder){0};
	packet_builder_add_ipv4(&first, IPPROTO_UDP, 0x4000, 0);
	packet_builder_add_udp(&first, 0);
	assert_false(parse(&first).is_fragment);
}

static void test_extension_headers(unused void **state)
{
	static const uint8_t chain[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					IPPROTO_AH,	 IPPROTO_DSTOPTS, IPPROTO_TCP};
	struct packet_builder builder = {0};
	struct packet packet;

	packet_builder_add_ipv6(&builder, chain[0]);
	for (size_t i = 1; i < array_length(chain); i++)
		packet_builder_add_extension(&builder, chain[i]);
	packet_builder_add_tcp(&builder, 2, 7);
	packet = parse(&builder);
	assert_ports(&packet);
	assert_int_equal(packet.key.family, IP_FAMILY_V6);
	assert_int_equal(packet.key.protocol, IPPROTO_TCP);
	assert_int_equal(packet.key.tuple.dst.bytes[15], 2);
	assert_int_equal(packet.bytes, 40 + 5 * 8 + 20 + 7);
	assert_int_equal(packet.payload_bytes, 7);
	assert_int_equal(packet.tos, 0x28);
	assert_int_equal(packet.ttl, 61);
}

static void test_extension_headers_are_bounded(unused void **state)
{
	for (unsigned count = 8; count <= 9; count++) {
		struct packet_builder builder = {0};

		packet_builder_add_ipv6(&builder, IPPROTO_DSTOPTS);
		for (unsigned i = 0; i < count; i++)
			packet_builder_add_extension(&builder,
						     i + 1 < count ? IPPROTO_DSTOPTS : IPPROTO_UDP);
		packet_builder_add_udp(&builder, 5);
		packet_builder_finish(&builder);
		assert_int_equal(parse_fault(&builder), count == 8 ? PACKET_FINE : PACKET_TOO_DEEP);
	}
}

static void test_fragments_of_ipv6(unused void **state)
{
	static const uint8_t first[] = {IPPROTO_UDP, 0, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd},
			     later[] = {IPPROTO_UDP, 0, 0x05, 0x78, 0xaa, 0xbb, 0xcc, 0xdd};
	struct packet_builder builder = {0};
	struct packet packet;

	packet_builder_add_ipv6(&builder, IPPROTO_FRAGMENT);
	packet_builder_add(&builder, first, sizeof(first));
	packet_builder_add_udp(&builder, 64);
	packet = parse(&builder);
	assert_ports(&packet);
	assert_true(packet.is_fragment);
	assert_int_equal(packet.fragment_id, 0xaabbccdd);
	builder = (struct packet_builder){0};
	packet_builder_add_ipv6(&builder, IPPROTO_FRAGMENT);
	packet_builder_add(&builder, later, sizeof(later));
	packet_builder_add(&builder, "rest", 4);
	packet = parse(&builder);
	assert_false(packet.has_ports);
	assert_int_equal(packet.key.protocol, IPPROTO_UDP);
	assert_int_equal(packet.payload_bytes, 4);
}

static void test_jumbogram(unused void **state)
{
	static const uint8_t hop[] = {IPPROTO_UDP, 0, 0xc2, 4, 0, 1, 0, 0x10};
	struct packet_builder builder = {0};
	struct packet packet;

	packet_builder_add_ipv6(&builder, IPPROTO_HOPOPTS);
	packet_builder_add(&builder, hop, sizeof(hop));
	packet_builder_add_udp(&builder, 0);
	builder.bytes[40 + 8 + 4] = builder.bytes[40 + 8 + 5] = 0;
	assert_int_equal(parse_copy(ETH_P_IPV6, builder.bytes, builder.length, &packet),
			 PACKET_FINE);
	assert_int_equal(packet.bytes, 0x10010 + 40);
	assert_int_equal(packet.payload_bytes, 0x10010 - 8 - 8);
	builder.bytes[42] = 1; /* the option is gone, and with it the length */
	assert_int_equal(parse_fault(&builder), PACKET_WRONG_LENGTH);
}

static void test_icmp(unused void **state)
{
	struct packet_builder builder = {0};
	struct packet packet;

	packet_builder_add_ipv4(&builder, IPPROTO_ICMP, 0, 0);
	packet_builder_add_icmp(&builder, 8, 0, 0x4321);
	packet = parse(&builder);
	assert_int_equal(packet.key.tuple.src_port, 0);
	assert_int_equal(packet.key.tuple.dst_port, 8 << 8);
	assert_int_equal(packet.key.icmp_id, 0x4321);
	assert_false(packet.is_icmp_error);
}

static void test_icmp_error_is_about_the_packet_inside(unused void **state)
{
	for (int version = 4; version <= 6; version += 2) {
		struct packet_builder builder = {0};
		struct packet packet;

		if (version == 4) {
			packet_builder_add_ipv4(&builder, IPPROTO_ICMP, 0, 0);
			packet_builder_add_icmp(&builder, 3, 3, 0);
			packet_builder_add_ipv4(&builder, IPPROTO_TCP, 0, 3);
		} else {
			packet_builder_add_ipv6(&builder, IPPROTO_ICMPV6);
			packet_builder_add_icmp(&builder, 1, 4, 0);
			packet_builder_add_ipv6(&builder, IPPROTO_DSTOPTS);
			packet_builder_add_extension(&builder, IPPROTO_TCP);
		}
		packet_builder_add_tcp(&builder, 2, 500);
		packet_builder_finish(&builder); /* the inner one: it was 500 bytes longer */
		builder.length -= 500 + 12;	 /* eight bytes of TCP are left */
		builder.ip_at = 0;
		packet = parse(&builder);
		assert_true(packet.is_icmp_error);
		assert_ports(&packet);
		assert_int_equal(packet.key.protocol, IPPROTO_TCP);
		assert_int_equal(packet.bytes, builder.length);
		assert_int_equal(packet.tcp_flags, 0);
		/* Without the ports inside nobody can say what it is about. */
		builder.length -= 6;
		packet_builder_finish(&builder);
		assert_int_equal(parse_fault(&builder), PACKET_CUT);
	}
}

static void test_an_error_within_an_error_is_the_end(unused void **state)
{
	struct packet_builder builder = {0};
	struct packet packet;

	for (int i = 0; i < 12; i++) {
		packet_builder_add_ipv4(&builder, IPPROTO_ICMP, 0, 0);
		packet_builder_add_icmp(&builder, 3, 1, 0);
		packet_builder_finish(&builder);
	}
	builder.ip_at = 0;
	packet = parse(&builder);
	assert_true(packet.is_icmp_error);
	assert_int_equal(packet.key.protocol, IPPROTO_ICMP);
	assert_int_equal(packet.key.tuple.dst_port, 3 << 8 | 1);
}

static void test_other_protocols(unused void **state)
{
	static const struct {
		uint8_t protocol;
		bool has_ports;
	} cases[] = {{132, true}, {136, true}, {33, true}, {47, false}, {50, false}, {253, false}};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct packet_builder builder = {0};
		struct packet packet;

		packet_builder_add_ipv4(&builder, cases[i].protocol, 0, 0);
		packet_builder_add_tcp(&builder, 0, 0);
		packet = parse(&builder);
		assert_true(packet.has_ports);
		assert_int_equal(packet.key.tuple.src_port, cases[i].has_ports ? 1000 : 0);
		assert_int_equal(packet.payload_bytes, 20);
	}
}

static void test_link_and_tags(unused void **state)
{
	struct packet_builder builder = {0};
	struct packet_link link;
	struct packet packet;

	packet_builder_add_ethernet(&builder, ETH_P_8021AD);
	packet_builder_add_u16(&builder, 0xe064); /* id 100 */
	packet_builder_add_u16(&builder, ETH_P_8021Q);
	packet_builder_add_u16(&builder, 0x0007);
	packet_builder_add_u16(&builder, ETH_P_IP);
	packet_builder_add_ipv4(&builder, IPPROTO_UDP, 0, 0);
	packet_builder_add_udp(&builder, 3);
	packet_builder_finish(&builder);
	assert_int_equal(packet_parse_link(builder.bytes, builder.length, &link), PACKET_FINE);
	assert_memory_equal(link.destination, "\2\0\0\0\0\xb", 6);
	assert_memory_equal(link.source, "\2\0\0\0\0\xa", 6);
	assert_int_equal(link.vlan, 100);
	assert_int_equal(link.protocol, ETH_P_IP);
	assert_int_equal(link.header_bytes, 22);
	/* What NFLOG gives of a bridge: the outer tag beside, the rest before the packet. */
	assert_int_equal(parse_copy(ETH_P_8021Q, builder.bytes + 18, builder.length - 18, &packet),
			 PACKET_FINE);
	assert_int_equal(packet.vlan, 7);
	assert_int_equal(packet.bytes, 31);
	for (size_t length = 0; length < 22; length++)
		assert_int_equal(packet_parse_link(builder.bytes, length, &link), PACKET_CUT);
}

static void test_tags_are_bounded(unused void **state)
{
	struct packet_builder builder = {0};
	struct packet_link link;

	packet_builder_add_ethernet(&builder, ETH_P_8021Q);
	for (int i = 0; i < 40; i++) {
		packet_builder_add_u16(&builder, 1);
		packet_builder_add_u16(&builder, ETH_P_8021Q);
	}
	assert_int_equal(packet_parse_link(builder.bytes, builder.length, &link), PACKET_TOO_DEEP);
}

static void test_wrong_lengths(unused void **state)
{
	struct packet_builder tcp = {0}, udp = {0}, broken;

	packet_builder_add_ipv4(&tcp, IPPROTO_TCP, 0, 0);
	packet_builder_add_tcp(&tcp, 2, 10);
	packet_builder_finish(&tcp);
	packet_builder_add_ipv4(&udp, IPPROTO_UDP, 0, 0);
	packet_builder_add_udp(&udp, 10);
	packet_builder_finish(&udp);
	broken = tcp;
	broken.bytes[0] = 0x44; /* a header of 16 bytes */
	assert_int_equal(parse_fault(&broken), PACKET_WRONG_LENGTH);
	broken = tcp;
	broken.bytes[3] = 19; /* a packet shorter than its header */
	assert_int_equal(parse_fault(&broken), PACKET_WRONG_LENGTH);
	broken.bytes[3] = 39; /* no room for TCP */
	assert_int_equal(parse_fault(&broken), PACKET_WRONG_LENGTH);
	broken = tcp;
	broken.bytes[20 + 12] = 0x40; /* TCP's header of 16 bytes */
	assert_int_equal(parse_fault(&broken), PACKET_WRONG_LENGTH);
	broken.bytes[20 + 12] = 0x80; /* ... of 32, two more than there are */
	assert_int_equal(parse_fault(&broken), PACKET_WRONG_LENGTH);
	broken = udp;
	broken.bytes[25] = 7;
	assert_int_equal(parse_fault(&broken), PACKET_WRONG_LENGTH);
	broken.bytes[25] = 19;
	assert_int_equal(parse_fault(&broken), PACKET_WRONG_LENGTH);
	broken = tcp;
	broken.bytes[0] = 0x65;
	assert_int_equal(packet_parse(ETH_P_IP, broken.bytes, broken.length, &(struct packet){0}),
			 PACKET_WRONG_VERSION);
	assert_int_equal(packet_parse(ETH_P_ARP, broken.bytes, broken.length, &(struct packet){0}),
			 PACKET_NOT_IP);
}

/* Cut anywhere in its headers a packet is cut, behind them it is whole. */
static void test_every_cut(unused void **state)
{
	struct packet_builder builder = {0};
	struct packet packet;

	packet_builder_add_ipv6(&builder, IPPROTO_HOPOPTS);
	packet_builder_add_extension(&builder, IPPROTO_TCP);
	packet_builder_add_tcp(&builder, 2, 30);
	packet_builder_finish(&builder);
	for (size_t length = 0; length <= builder.length; length++)
		assert_int_equal(parse_copy(ETH_P_IPV6, builder.bytes, length, &packet),
				 length < 68 ? PACKET_CUT : PACKET_FINE);
}

/* xorshift64*: the same sequence everywhere. */
static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1dull;
}

/* Whatever comes: no read behind the bytes (the sanitisers watch), and what is found is consistent. */
static void test_mutations(unused void **state)
{
	uint64_t seed = 20261124;

	for (int i = 0; i < 50000; i++) {
		struct packet_builder builder = {0};
		struct packet packet = {0};
		unsigned changes = (unsigned)(draw(&seed) % 6);

		if (draw(&seed) % 2) {
			packet_builder_add_ipv4(&builder, IPPROTO_ICMP, 0, 0);
			packet_builder_add_icmp(&builder, 11, 0, 0);
			packet_builder_add_ipv4(&builder, IPPROTO_UDP, 0, 1);
			packet_builder_add_udp(&builder, 4);
		} else {
			packet_builder_add_ipv6(&builder, IPPROTO_HOPOPTS);
			packet_builder_add_extension(&builder, IPPROTO_FRAGMENT);
			packet_builder_add_extension(&builder, IPPROTO_TCP);
			packet_builder_add_tcp(&builder, 2, 4);
		}
		builder.ip_at = 0;
		packet_builder_finish(&builder);
		while (changes-- > 0)
			builder.bytes[draw(&seed) % builder.length] = (uint8_t)draw(&seed);
		if (parse_copy(draw(&seed) % 8 ? protocol_of(&builder) : ETH_P_8021Q, builder.bytes,
			       draw(&seed) % 4 ? builder.length : draw(&seed) % builder.length,
			       &packet) == PACKET_FINE)
			assert_true(packet.payload_bytes < packet.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_unsized),
		cmocka_unit_test(test_lengths_are_the_packets_not_the_copys),
		cmocka_unit_test(test_fragments_of_ipv4),
		cmocka_unit_test(test_extension_headers),
		cmocka_unit_test(test_extension_headers_are_bounded),
		cmocka_unit_test(test_fragments_of_ipv6),
		cmocka_unit_test(test_jumbogram),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_icmp_error_is_about_the_packet_inside),
		cmocka_unit_test(test_an_error_within_an_error_is_the_end),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_link_and_tags),
		cmocka_unit_test(test_tags_are_bounded),
		cmocka_unit_test(test_wrong_lengths),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
