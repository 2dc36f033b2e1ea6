/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Packets for tests, header by header. Lengths are filled in by packet_builder_finish(), checksums are
 * left 0. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct packet_builder {
	uint8_t bytes[2048];
	size_t length, ip_at;
};

static inline void packet_builder_add(struct packet_builder *builder, const void *bytes,
				      size_t length)
{
	memcpy(builder->bytes + builder->length, bytes, length);
	builder->length += length;
}

static inline void packet_builder_add_u16(struct packet_builder *builder, uint16_t value)
{
	uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

	packet_builder_add(builder, bytes, sizeof(bytes));
}

/* Whether the length field of the IP header is right from here on. */
static inline void packet_builder_finish(struct packet_builder *builder)
{
	uint8_t *ip = builder->bytes + builder->ip_at;
	size_t total = builder->length - builder->ip_at;
	bool is_v4 = ip[0] >> 4 == 4;
	uint16_t length = htons((uint16_t)(is_v4 ? total : total - 40));

	memcpy(ip + (is_v4 ? 2 : 4), &length, sizeof(length));
}

/* 10.0.0.1 to 10.0.0.2, TOS 0x28, TTL 61; "options" words of no operation. */
static inline void packet_builder_add_ipv4(struct packet_builder *builder, uint8_t protocol,
					   uint16_t fragment, unsigned options)
{
	uint8_t header[20] = {(uint8_t)(0x45 + options),
			      0x28,
			      0,
			      0,
			      0x12,
			      0x34,
			      (uint8_t)(fragment >> 8),
			      (uint8_t)fragment,
			      61,
			      protocol,
			      0,
			      0,
			      10,
			      0,
			      0,
			      1,
			      10,
			      0,
			      0,
			      2};

	builder->ip_at = builder->length;
	packet_builder_add(builder, header, sizeof(header));
	while (options-- > 0)
		packet_builder_add(builder, "\1\1\1\1", 4);
}

/* fd00::1 to fd00::2, traffic class 0x28, hop limit 61. */
static inline void packet_builder_add_ipv6(struct packet_builder *builder, uint8_t next)
{
	uint8_t header[40] = {0x62, 0x80, 0,	0,	  0,	       0,
			      next, 61,	  0xfd, [23] = 1, [24] = 0xfd, [39] = 2};

	builder->ip_at = builder->length;
	packet_builder_add(builder, header, sizeof(header));
}

/* An extension header of eight bytes. */
static inline void packet_builder_add_extension(struct packet_builder *builder, uint8_t next)
{
	uint8_t header[8] = {next, 0, 1, 4};

	packet_builder_add(builder, header, sizeof(header));
}

/* Port 1000 to 2000. */
static inline void packet_builder_add_tcp(struct packet_builder *builder, uint8_t flags,
					  size_t payload)
{
	uint8_t header[20] = {1000 >> 8,  1000 & 255,  2000 >> 8,
			      2000 & 255, [12] = 0x50, [13] = flags};

	packet_builder_add(builder, header, sizeof(header));
	memset(builder->bytes + builder->length, 'x', payload);
	builder->length += payload;
}

static inline void packet_builder_add_udp(struct packet_builder *builder, size_t payload)
{
	packet_builder_add_u16(builder, 1000);
	packet_builder_add_u16(builder, 2000);
	packet_builder_add_u16(builder, (uint16_t)(8 + payload));
	packet_builder_add_u16(builder, 0);
	memset(builder->bytes + builder->length, 'x', payload);
	builder->length += payload;
}

static inline void packet_builder_add_icmp(struct packet_builder *builder, uint8_t type,
					   uint8_t code, uint16_t id)
{
	uint8_t header[8] = {type, code, [4] = (uint8_t)(id >> 8), [5] = (uint8_t)id};

	packet_builder_add(builder, header, sizeof(header));
}

static inline void packet_builder_add_ethernet(struct packet_builder *builder, uint16_t protocol)
{
	packet_builder_add(builder, "\2\0\0\0\0\xb\2\0\0\0\0\xa", 12);
	packet_builder_add_u16(builder, protocol);
}
