/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Big-endian numbers at a place that is known to have room. Each returns the place behind. */

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t *bytes_add_u16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline uint8_t *bytes_add_u32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline uint8_t *bytes_add_u64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}
