/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "base/hash.h"
#include "base/macros.h"

static struct ip_address parse(const char *text, enum ip_family expected)
{
	struct ip_address address;
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, &address), 0);
	assert_int_equal(family, expected);
	return address;
}

static void test_v4_stands_in_front(unused void **state)
{
	static const uint8_t expected[16] = {192, 0, 2, 1};
	struct ip_address parsed = parse("192.0.2.1", IP_FAMILY_V4);
	struct ip_address from_v4 = ip_address_from_v4(htonl(0xc0000201));

	assert_memory_equal(parsed.bytes, expected, 16);
	assert_true(ip_address_equal(&parsed, &from_v4));
	assert_int_equal(ip_address_length(IP_FAMILY_V4), 4);
	assert_int_equal(ip_address_length(IP_FAMILY_V6), 16);
}

static void test_zero(unused void **state)
{
	struct ip_address v4 = parse("0.0.0.0", IP_FAMILY_V4), v6 = parse("::", IP_FAMILY_V6);
	struct ip_address loopback = parse("::1", IP_FAMILY_V6);

	assert_true(ip_address_is_zero(&v4));
	assert_true(ip_address_is_zero(&v6));
	assert_false(ip_address_is_zero(&loopback));
}

static void test_mapped(unused void **state)
{
	struct ip_address v4 = parse("10.1.2.3", IP_FAMILY_V4);
	struct ip_address v6 = parse("::ffff:10.1.2.3", IP_FAMILY_V6);
	struct ip_address compatible = parse("::10.1.2.3", IP_FAMILY_V6);
	struct ip_address mapped = ip_address_map(&v4), unmapped, untouched = v4;

	assert_true(ip_address_equal(&mapped, &v6));
	assert_true(ip_address_unmap(&v6, &unmapped));
	assert_true(ip_address_equal(&unmapped, &v4));
	assert_false(ip_address_unmap(&compatible, &untouched));
	assert_true(ip_address_equal(&untouched, &v4));
}

static void test_texts_come_back(unused void **state)
{
	static const char *const v4[] = {"0.0.0.0", "1.2.3.4", "10.0.200.99", "255.255.255.255",
					 "100.10.1.0"};
	static const char *const v6[] = {"::",
					 "::1",
					 "2001:db8::1",
					 "fe80::1:0:0:1",
					 "::ffff:10.1.2.3",
					 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
					 "2001:db8:0:1:1:1:1:1"};
	char text[IP_ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < array_length(v4); i++) {
		struct ip_address address = parse(v4[i], IP_FAMILY_V4);

		assert_int_equal(ip_address_format(&address, IP_FAMILY_V4, text), strlen(v4[i]));
		assert_string_equal(text, v4[i]);
	}
	for (size_t i = 0; i < array_length(v6); i++) {
		struct ip_address address = parse(v6[i], IP_FAMILY_V6);

		assert_int_equal(ip_address_format(&address, IP_FAMILY_V6, text), strlen(v6[i]));
		assert_string_equal(text, v6[i]);
	}
}

/* Our own writer of IPv4 against the C library's. */
static void test_every_octet_is_written_right(unused void **state)
{
	for (unsigned octet = 0; octet < 256; octet++) {
		struct ip_address address = ip_address_from_v4(htonl(octet << 24 | octet << 8));
		char text[IP_ADDRESS_TEXT_SIZE], expected[IP_ADDRESS_TEXT_SIZE];

		assert_non_null(inet_ntop(AF_INET, address.bytes, expected, sizeof(expected)));
		assert_int_equal(ip_address_format(&address, IP_FAMILY_V4, text), strlen(expected));
		assert_string_equal(text, expected);
	}
}

static void compare_v6(const struct ip_address *address)
{
	char text[IP_ADDRESS_TEXT_SIZE], expected[IP_ADDRESS_TEXT_SIZE];

	assert_non_null(inet_ntop(AF_INET6, address->bytes, expected, sizeof(expected)));
	assert_int_equal(ip_address_format(address, IP_FAMILY_V6, text), strlen(expected));
	assert_string_equal(text, expected);
}

/* Our own writer of IPv6 against the C library's. Each pattern says which groups are 0: all places
 * and lengths of runs; the others are of all lengths. */
static void test_every_run_of_zeros_is_written_right(unused void **state)
{
	static const uint16_t fillers[] = {0x1, 0x10, 0x123, 0x1000, 0xabcd, 0xffff};

	for (unsigned pattern = 0; pattern < 256; pattern++)
		for (unsigned filler = 0; filler < array_length(fillers); filler++) {
			struct ip_address address = {{0}};

			for (unsigned group = 0; group < 8; group++) {
				if (pattern & 1u << group)
					continue;
				address.bytes[2 * group] = (uint8_t)(fillers[filler] >> 8);
				address.bytes[2 * group + 1] = (uint8_t)fillers[filler];
			}
			compare_v6(&address);
		}
}

static void test_special_v6_are_written_right(unused void **state)
{
	static const char *const texts[] = {"::",
					    "::1",
					    "::ffff:0.0.0.0",
					    "::ffff:255.255.255.255",
					    "::ffff:10.1.2.3",
					    "::10.1.2.3",
					    "::0.1.0.0",
					    "::1.0.0.0",
					    "::fffe:10.1.2.3",
					    "::ffff:0:10.1.2.3",
					    "64:ff9b::10.1.2.3",
					    "1::ffff:10.1.2.3",
					    "1::",
					    "fe80::",
					    "0:1::",
					    "1:0:0:1::1",
					    "1:0:1:0:1:0:1:0",
					    "ff02::1:ff00:0"};

	for (size_t i = 0; i < array_length(texts); i++) {
		struct ip_address address = parse(texts[i], IP_FAMILY_V6);

		compare_v6(&address);
	}
}

static void test_random_v6_are_written_right(unused void **state)
{
	uint64_t seed = 20261124;

	for (unsigned round = 0; round < 100000; round++) {
		struct ip_address address;
		uint64_t words[2];

		for (unsigned i = 0; i < 2; i++)
			words[i] = seed = hash_u64(seed, round);
		memcpy(address.bytes, words, sizeof(words));
		/* Zeros are rare in random bytes, and what matters. */
		for (unsigned group = 0; group < 8; group++)
			if (words[0] >> (8 * group) & 3)
				memset(address.bytes + 2 * group, 0, 1 + (words[1] >> group & 1));
		compare_v6(&address);
	}
}

static void test_wrong_texts(unused void **state)
{
	static const char *const texts[] = {
		"",	      "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ",	     " 1.2.3.4",
		"01.2.3.400", ":::",   "1::2::3",   "g::",	 "2001:db8::1%eth0", "[::1]",
		"::1/128",    "host"};

	for (size_t i = 0; i < array_length(texts); i++) {
		struct ip_address address;
		enum ip_family family;

		if (ip_address_parse(texts[i], &family, &address) != -EINVAL)
			fail_msg("\"%s\" is taken for an address", texts[i]);
	}
}

static void test_prefixes(unused void **state)
{
	static const struct {
		const char *text;
		uint8_t family, bits;
	} cases[] = {{"10.0.0.0/8", IP_FAMILY_V4, 8},	{"0.0.0.0/0", IP_FAMILY_V4, 0},
		     {"10.1.2.3", IP_FAMILY_V4, 32},	{"10.1.2.3/32", IP_FAMILY_V4, 32},
		     {"10.128.0.0/9", IP_FAMILY_V4, 9}, {"2001:db8::/32", IP_FAMILY_V6, 32},
		     {"::/0", IP_FAMILY_V6, 0},		{"::1", IP_FAMILY_V6, 128},
		     {"fe80::/10", IP_FAMILY_V6, 10}};
	static const char *const wrong[] = {"10.0.0.1/8",
					    "10.64.0.0/9",
					    "10.0.0.0/33",
					    "10.0.0.0/",
					    "10.0.0.0/-1",
					    "10.0.0.0/+8",
					    "10.0.0.0/ 8",
					    "10.0.0.0/8x",
					    "/8",
					    "",
					    "::/129",
					    "2001:db8::1/32",
					    "10.0.0.0/8/8",
					    "10.0.0.0/99999999999999999999",
					    "2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000/32"};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct ip_prefix prefix;

		assert_int_equal(ip_prefix_parse(cases[i].text, &prefix), 0);
		assert_int_equal(prefix.family, cases[i].family);
		assert_int_equal(prefix.bits, cases[i].bits);
	}
	for (size_t i = 0; i < array_length(wrong); i++) {
		struct ip_prefix prefix;

		if (ip_prefix_parse(wrong[i], &prefix) != -EINVAL)
			fail_msg("\"%s\" is taken for a network", wrong[i]);
	}
}

static void test_prefix_contains(unused void **state)
{
	struct ip_address inside = parse("10.255.0.1", IP_FAMILY_V4);
	struct ip_address outside = parse("11.0.0.1", IP_FAMILY_V4);
	struct ip_address v6 = parse("a00::", IP_FAMILY_V6);
	struct ip_prefix ten, all;

	assert_int_equal(ip_prefix_parse("10.0.0.0/8", &ten), 0);
	assert_int_equal(ip_prefix_parse("0.0.0.0/0", &all), 0);
	assert_true(ip_prefix_contains(&ten, IP_FAMILY_V4, &inside));
	assert_false(ip_prefix_contains(&ten, IP_FAMILY_V4, &outside));
	assert_true(ip_prefix_contains(&all, IP_FAMILY_V4, &outside));
	/* The bytes agree, the families do not. */
	assert_false(ip_prefix_contains(&ten, IP_FAMILY_V6, &v6));
	assert_false(ip_prefix_contains(&all, IP_FAMILY_V6, &v6));
}

static bool agree_bit_by_bit(const struct ip_address *a, const struct ip_address *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if ((a->bytes[i / 8] ^ b->bytes[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

static void test_has_prefix_against_single_bits(unused void **state)
{
	for (uint64_t turn = 0; turn < 2000; turn++) {
		struct ip_address a, b;
		unsigned differs = (unsigned)(hash_u64(1, turn) % 128);

		for (unsigned i = 0; i < 16; i++)
			a.bytes[i] = (uint8_t)hash_u64(2 + i, turn);
		b = a;
		b.bytes[differs / 8] ^= (uint8_t)(0x80 >> differs % 8);
		for (unsigned bits = 0; bits <= 128; bits++)
			assert_int_equal(ip_address_has_prefix(&a, &b, bits),
					 agree_bit_by_bit(&a, &b, bits));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4_stands_in_front),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_texts_come_back),
		cmocka_unit_test(test_every_octet_is_written_right),
		cmocka_unit_test(test_every_run_of_zeros_is_written_right),
		cmocka_unit_test(test_special_v6_are_written_right),
		cmocka_unit_test(test_random_v6_are_written_right),
		cmocka_unit_test(test_wrong_texts),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_prefix_contains),
		cmocka_unit_test(test_has_prefix_against_single_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
