/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct ip_address ip_address_from_v4(uint32_t network_order)
{
	struct ip_address address = {{0}};

	memcpy(address.bytes, &network_order, sizeof(network_order));
	return address;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool ip_address_is_zero(const struct ip_address *address)
{
	static const struct ip_address zero;

	return ip_address_equal(address, &zero);
}

bool ip_address_unmap(const struct ip_address *v6, struct ip_address *ret_v4)
{
	struct ip_address v4 = {{0}};

	if (memcmp(v6->bytes, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return false;
	memcpy(v4.bytes, v6->bytes + sizeof(mapped_prefix), 4);
	*ret_v4 = v4;
	return true;
}

struct ip_address ip_address_map(const struct ip_address *v4)
{
	struct ip_address v6;

	memcpy(v6.bytes, mapped_prefix, sizeof(mapped_prefix));
	memcpy(v6.bytes + sizeof(mapped_prefix), v4->bytes, 4);
	return v6;
}

bool ip_address_has_prefix(const struct ip_address *address, const struct ip_address *prefix,
			   unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(address->bytes, prefix->bytes, whole) != 0)
		return false;
	return rest == 0 || (address->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest) == 0;
}

static size_t format_v4(const uint8_t bytes[4], char *text)
{
	char *at = text;

	for (int i = 0; i < 4; i++) {
		unsigned value = bytes[i];

		if (i > 0)
			*at++ = '.';
		if (value >= 100)
			*at++ = (char)('0' + value / 100);
		if (value >= 10)
			*at++ = (char)('0' + value / 10 % 10);
		*at++ = (char)('0' + value % 10);
	}
	*at = '\0';
	return (size_t)(at - text);
}

enum { GROUPS = 8 };

struct zeros {
	unsigned at, count;
};

/* RFC 5952 4.2: the longest run of groups that are 0, the first of equal ones, not a single one. */
static struct zeros find_zeros(const uint16_t groups[GROUPS])
{
	struct zeros best = {.at = GROUPS, .count = 1}, run = {0};

	for (unsigned i = 0; i < GROUPS; i++) {
		if (groups[i] != 0) {
			run.count = 0;
			continue;
		}
		if (run.count++ == 0)
			run.at = i;
		if (run.count > best.count)
			best = run;
	}
	return best;
}

static char *add_group(char *at, unsigned value)
{
	static const char digits[] = "0123456789abcdef";

	if (value >= 0x1000)
		*at++ = digits[value >> 12];
	if (value >= 0x100)
		*at++ = digits[value >> 8 & 15];
	if (value >= 0x10)
		*at++ = digits[value >> 4 & 15];
	*at++ = digits[value & 15];
	return at;
}

/* ::ffff:a.b.c.d and, as inet_ntop() has it, the old ::a.b.c.d. */
static bool has_v4_tail(const uint16_t groups[GROUPS], const struct zeros *zeros)
{
	if (zeros->at != 0)
		return false;
	return zeros->count == 6 || (zeros->count == 5 && groups[5] == 0xffff);
}

/* Not inet_ntop(): it prints each group with sprintf(), most of a microsecond an address. */
static size_t format_v6(const uint8_t bytes[16], char *text)
{
	uint16_t groups[GROUPS];
	struct zeros zeros;
	char *at = text;
	bool is_mixed;

	for (unsigned i = 0; i < GROUPS; i++)
		groups[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	zeros = find_zeros(groups);
	is_mixed = has_v4_tail(groups, &zeros);
	for (unsigned i = 0; i < GROUPS; i++) {
		if (i == zeros.at) {
			*at++ = ':';
			if (i + zeros.count == GROUPS)
				*at++ = ':';
			i += zeros.count - 1;
			continue;
		}
		if (i > 0)
			*at++ = ':';
		if (i == 6 && is_mixed)
			return (size_t)(at - text) + format_v4(bytes + 12, at);
		at = add_group(at, groups[i]);
	}
	*at = '\0';
	return (size_t)(at - text);
}

size_t ip_address_format(const struct ip_address *address, enum ip_family family,
			 char text[IP_ADDRESS_TEXT_SIZE])
{
	return family == IP_FAMILY_V4 ? format_v4(address->bytes, text)
				      : format_v6(address->bytes, text);
}

int ip_address_parse(const char *text, enum ip_family *ret_family, struct ip_address *ret_address)
{
	struct ip_address address = {{0}};

	if (inet_pton(AF_INET, text, address.bytes) == 1)
		*ret_family = IP_FAMILY_V4;
	else if (inet_pton(AF_INET6, text, address.bytes) == 1)
		*ret_family = IP_FAMILY_V6;
	else
		return -EINVAL;
	*ret_address = address;
	return 0;
}

static bool has_bits_behind(const struct ip_address *address, unsigned bits, unsigned width)
{
	for (unsigned i = bits; i < width; i++)
		if (address->bytes[i / 8] & (0x80 >> i % 8))
			return true;
	return false;
}

int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix)
{
	char host[IP_ADDRESS_TEXT_SIZE];
	const char *slash = strchrnul(text, '/');
	size_t length = (size_t)(slash - text);
	enum ip_family family;
	struct ip_address address;
	unsigned long bits, width;
	char *end;

	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (ip_address_parse(host, &family, &address) < 0)
		return -EINVAL;
	width = ip_address_length(family) * 8;
	bits = width;
	if (*slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > width)
			return -EINVAL;
	}
	if (has_bits_behind(&address, (unsigned)bits, (unsigned)width))
		return -EINVAL;
	*ret_prefix = (struct ip_prefix){
		.address = address, .family = (uint8_t)family, .bits = (uint8_t)bits};
	return 0;
}

bool ip_prefix_contains(const struct ip_prefix *prefix, enum ip_family family,
			const struct ip_address *address)
{
	return prefix->family == family &&
	       ip_address_has_prefix(address, &prefix->address, prefix->bits);
}
