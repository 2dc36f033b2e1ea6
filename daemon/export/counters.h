/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What became of an exporter's records (daemon/counters.c has a row for each):
 *
 *   accepted = sent + waiting + all that begin with dropped_
 *
 * With "biflow: split" the two records of a flow are two here. */

#include <stdint.h>

struct exporter_counters {
	uint64_t accepted_records;
	/* Sent: as far as the collector's side tells (export/delivery.h). */
	uint64_t sent_records, sent_messages, sent_bytes;
	/* In memory or in the spool, counted there: not worked out from the others. */
	uint64_t waiting_records;
	uint64_t spooled_records;     /* of these, in the spool on disk */
	uint64_t recovered_records;   /* accepted: found in the spool at the start */
	uint64_t dropped_queue_full;  /* oldest first */
	uint64_t dropped_unreachable; /* the send failed, and nobody can send it again */
	uint64_t dropped_too_large;   /* did not fit a message */
	uint64_t dropped_refused;     /* the collector answered that it will never take it */
	uint64_t dropped_no_memory;
	uint64_t dropped_spool;	   /* the spool was full, damaged, or of another language */
	uint64_t refused_messages; /* datagrams that nobody took (ICMP); they count as sent */
	uint64_t templates_sent;
	/* Sent with fewer fields, because there are too many combinations of known fields. */
	uint64_t simplified_records;
	uint64_t connections;	     /* made: with a collector that stays, one */
	uint64_t failed_connections; /* attempts that came to nothing */
	uint64_t retried_records;    /* given once already, and then again */
};

/* Packets and octets that were seen since the start and that the filters of the section flows left
 * out: of flows that began and ended meanwhile, as far as the kernel counted them and told their end. */
struct ignored_counters {
	uint64_t packets, octets;
};

/* Adds all of them, where one exporter goes on for another. */
void exporter_counters_add(struct exporter_counters *counters,
			   const struct exporter_counters *more);
/* The sum of all that begin with dropped_. */
uint64_t exporter_counters_sum_dropped(const struct exporter_counters *counters);
