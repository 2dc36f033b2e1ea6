/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Finds the local UDP ports that send most: an unconnected socket makes a record for each datagram,
 * so that one busy server could fill the rings; and the TCP ports at which is read most. Of all ports that share a place the one that sends
 * more than half is found for certain, with a count that is never too high (Boyer and Moore,
 * "MJRTY", 1981). A plain value. */

#include <stddef.h>
#include <stdint.h>

enum { TRACE_BUSY_PLACES = 256 };

struct trace_busy {
	struct {
		uint16_t port;
		uint32_t count;
	} places[TRACE_BUSY_PLACES];
};

enum trace_busy_kind {
	TRACE_BUSY_UDP,
	TRACE_BUSY_TCP,
	TRACE_BUSY_COUNT,
};

/* One datagram, or one reading. */
void trace_busy_count(struct trace_busy *busy, uint16_t port);

/* The ports that reached "threshold" since the last call, at most "max"; starts over. */
size_t trace_busy_take(struct trace_busy *busy, uint32_t threshold, uint16_t *ports, size_t max);
