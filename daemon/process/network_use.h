/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a process sent and received, and in how many flows: since it was first seen, and in the last
 * minute. Bytes count for the time when they were read from the kernel, which is every few seconds
 * while a flow lasts. */

#include <stdint.h>

struct process;

struct network_counters {
	uint64_t sent_bytes, received_bytes;
	uint64_t flows; /* that it had an end of */
};

/* A minute is twelve slots; the thirteenth is the one that is being left behind. */
enum { NETWORK_USE_SLOTS = 13 };

struct network_use {
	struct network_counters total;
	struct network_counters slots[NETWORK_USE_SLOTS];
	uint64_t newest; /* number of the slot that is being filled: time / its length */
};

void network_use_add(struct network_use *use, const struct network_counters *more, uint64_t now_ns);
/* It was somebody else's. Of the last minute only what the newest slots hold of it is taken back. */
void network_use_take_back(struct network_use *use, const struct network_counters *wrong,
			   uint64_t now_ns);
/* Of the slot that the minute began in, the part that lies in it, as if it had come evenly. */
struct network_counters network_use_find_minute(const struct network_use *use, uint64_t now_ns);

/* The same of a process of the table. */
void process_add_network(struct process *process, const struct network_counters *more,
			 uint64_t now_ns);
void process_take_back_network(struct process *process, const struct network_counters *wrong,
			       uint64_t now_ns);
const struct network_use *process_get_network(const struct process *process);
