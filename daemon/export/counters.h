/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What became of an exporter's records:
 *
 *   accepted = sent + waiting + all that begin with dropped_
 *
 * With "biflow: split" the two records of a flow are two here. */

#include <stddef.h>
#include <stdint.h>

struct exporter_counters {
	uint64_t accepted_records;
	/* Sent: as far as the collector's side tells (export/delivery.h). */
	uint64_t sent_records, sent_messages, sent_bytes;
	uint64_t waiting_records;
	uint64_t dropped_queue_full;  /* oldest first */
	uint64_t dropped_unreachable; /* the send failed, and nobody can send it again */
	uint64_t dropped_too_large;   /* did not fit a message */
	uint64_t dropped_refused;     /* the collector answered that it will never take it */
	uint64_t dropped_no_memory;
	uint64_t refused_messages; /* datagrams that nobody took (ICMP); they count as sent */
	uint64_t templates_sent;
	/* Sent with fewer fields, because there are too many combinations of known fields. */
	uint64_t simplified_records;
	uint64_t connections;	     /* made: with a collector that stays, one */
	uint64_t failed_connections; /* attempts that came to nothing */
	uint64_t retried_records;    /* given once already, and then again */
};

/* What people and programs see of them, in the order of the struct: each under its member's name,
 * with what it means in a few words. */
struct exporter_counter {
	const char *name, *meaning;
	size_t offset; /* of a uint64_t */
};
extern const struct exporter_counter exporter_counter_table[];
extern const size_t exporter_counter_count;

/* Whatever has no fate yet waits: to be called when another counter has changed. */
void exporter_counters_update_waiting(struct exporter_counters *counters);
/* The sum of all that begin with dropped_. */
uint64_t exporter_counters_sum_dropped(const struct exporter_counters *counters);
