/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An IPv4 or IPv6 address in network order. IPv4 stands in the first four bytes, the others are 0,
 * so that two addresses of one family compare with memcmp(). The family is kept beside it. */
struct ip_address {
	uint8_t bytes[16];
};

enum ip_family {
	IP_FAMILY_NONE = 0,
	IP_FAMILY_V4 = 4,
	IP_FAMILY_V6 = 6,
};

/* Longest text of an address, with its NUL: INET6_ADDRSTRLEN. */
enum { IP_ADDRESS_TEXT_SIZE = 46 };

struct ip_address ip_address_from_v4(uint32_t network_order);

static inline size_t ip_address_length(enum ip_family family)
{
	return family == IP_FAMILY_V4 ? 4 : 16;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);
bool ip_address_is_zero(const struct ip_address *address);
/* ::ffff:a.b.c.d: turns it into the IPv4 address it stands for and returns true; else false. */
bool ip_address_unmap(const struct ip_address *v6, struct ip_address *ret_v4);
/* The IPv4 address as ::ffff:a.b.c.d. */
struct ip_address ip_address_map(const struct ip_address *v4);

/* Whether the first "bits" bits agree. */
bool ip_address_has_prefix(const struct ip_address *address, const struct ip_address *prefix,
			   unsigned bits);

/* Writes the text with its NUL, and returns its length without the NUL. RFC 5952 for IPv6. */
size_t ip_address_format(const struct ip_address *address, enum ip_family family,
			 char text[IP_ADDRESS_TEXT_SIZE]);

/* Parses a.b.c.d or an IPv6 address. 0, or -EINVAL. */
int ip_address_parse(const char *text, enum ip_family *ret_family, struct ip_address *ret_address);

/* A network: address, family and prefix length; "10.0.0.0/8", or an address alone for one host. */
struct ip_prefix {
	struct ip_address address;
	uint8_t family; /* enum ip_family */
	uint8_t bits;
};

/* 0, or -EINVAL: not an address, a length out of range, or bits set behind the prefix. */
int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix);
bool ip_prefix_contains(const struct ip_prefix *prefix, enum ip_family family,
			const struct ip_address *address);
