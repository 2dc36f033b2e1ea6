/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/network_use.h"

#include "base/clock.h"
#include "process/process.h"

#define SLOT_NS (5 * NS_PER_SEC)

/* Empties what was written a round ago. */
static void advance(struct network_use *use, uint64_t now_ns)
{
	uint64_t number = now_ns / SLOT_NS;
	uint64_t first = use->newest + 1;

	if (number <= use->newest)
		return;
	if (number - use->newest > NETWORK_USE_SLOTS)
		first = number - NETWORK_USE_SLOTS + 1;
	for (uint64_t i = first; i <= number; i++)
		use->slots[i % NETWORK_USE_SLOTS] = (struct network_counters){0};
	use->newest = number;
}

static void add(struct network_counters *sum, const struct network_counters *more)
{
	sum->sent_bytes += more->sent_bytes;
	sum->received_bytes += more->received_bytes;
	sum->flows += more->flows;
}

static void take(uint64_t *from, uint64_t *amount)
{
	uint64_t taken = *amount < *from ? *amount : *from;

	*from -= taken;
	*amount -= taken;
}

static void subtract(struct network_counters *from, struct network_counters *rest)
{
	take(&from->sent_bytes, &rest->sent_bytes);
	take(&from->received_bytes, &rest->received_bytes);
	take(&from->flows, &rest->flows);
}

void network_use_add(struct network_use *use, const struct network_counters *more, uint64_t now_ns)
{
	advance(use, now_ns);
	add(&use->total, more);
	add(&use->slots[use->newest % NETWORK_USE_SLOTS], more);
}

void network_use_take_back(struct network_use *use, const struct network_counters *wrong,
			   uint64_t now_ns)
{
	struct network_counters rest = *wrong;

	advance(use, now_ns);
	subtract(&use->total, &rest);
	rest = *wrong;
	for (uint64_t i = 0; i < NETWORK_USE_SLOTS && i <= use->newest; i++)
		subtract(&use->slots[(use->newest - i) % NETWORK_USE_SLOTS], &rest);
}

static uint64_t scale(uint64_t value, uint64_t part, uint64_t whole)
{
	return (uint64_t)((__uint128_t)value * part / whole);
}

struct network_counters network_use_find_minute(const struct network_use *use, uint64_t now_ns)
{
	struct network_counters sum = {0}, oldest;
	uint64_t now = now_ns / SLOT_NS, left_ns = SLOT_NS - now_ns % SLOT_NS;

	for (uint64_t age = 0; age < NETWORK_USE_SLOTS && age <= now; age++) {
		const struct network_counters *slot = &use->slots[(now - age) % NETWORK_USE_SLOTS];

		/* Slots that were not reached yet still hold what they held a round ago. */
		if (now - age > use->newest || now - age + NETWORK_USE_SLOTS <= use->newest)
			continue;
		if (age + 1 < NETWORK_USE_SLOTS) {
			add(&sum, slot);
			continue;
		}
		oldest = (struct network_counters){
			.sent_bytes = scale(slot->sent_bytes, left_ns, SLOT_NS),
			.received_bytes = scale(slot->received_bytes, left_ns, SLOT_NS),
			.flows = scale(slot->flows, left_ns, SLOT_NS),
		};
		add(&sum, &oldest);
	}
	return sum;
}

void process_add_network(struct process *process, const struct network_counters *more,
			 uint64_t now_ns)
{
	network_use_add(&process->network, more, now_ns);
}

void process_take_back_network(struct process *process, const struct network_counters *wrong,
			       uint64_t now_ns)
{
	network_use_take_back(&process->network, wrong, now_ns);
}

const struct network_use *process_get_network(const struct process *process)
{
	return &process->network;
}
