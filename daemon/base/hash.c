/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Multiply and fold: each 64-bit word is multiplied into a 128-bit product with a fixed odd
 * constant, and the halves are folded together. Eight bytes a step, a handful of instructions. */

#include "base/hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define MULTIPLIER_A 0x9e3779b97f4a7c15ull
#define MULTIPLIER_B 0xd6e8feb86659fd93ull

static uint64_t fold(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t state = seed ^ MULTIPLIER_B ^ length;
	uint64_t word;

	for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		state = fold(state ^ word, MULTIPLIER_A);
	}
	word = 0;
	memcpy(&word, at, length);
	state = fold(state ^ word, MULTIPLIER_A);
	return fold(state, MULTIPLIER_B);
}

uint64_t hash_u64(uint64_t seed, uint64_t value)
{
	return fold(fold(seed ^ value ^ MULTIPLIER_B, MULTIPLIER_A), MULTIPLIER_B);
}

uint64_t hash_seed_new(void)
{
	uint64_t seed;
	struct timespec now;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
		return seed;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return hash_u64((uint64_t)now.tv_sec, (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)&now);
}
