/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A 64-bit hash of "length" bytes under "seed". Not cryptographic: the seed is drawn at start (see
 * hash_seed_new()) so that a sender of packets cannot choose colliding flows in advance. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length);

/* One 64-bit value, mixed. */
uint64_t hash_u64(uint64_t seed, uint64_t value);

/* A seed from getrandom(2); falls back to the clock and addresses where that is not to be had. */
uint64_t hash_seed_new(void);
