/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Records as a table for people who watch it live:
 *
 *   TIME     PROTO SOURCE           ADDRESS         DESTINATION    ADDRESS            SENT  RECV
 * ... 12:19:35 tcp   curl[4890] alice 10.0.0.5:50684                 192.0.2.9:443      450B  979B
 * ...
 *
 * One line a flow where it fits the width; else the destination stands on a line of its own, so
 * that no address is ever cut. "~" behind a process: it listens, or shares the socket with others.
 * "-(exited)": nobody was found, and why; nothing at all: that end is not on this host. "+" behind
 * the duration: the flow goes on. CPU is the load of the processes while the flow lasted, source/
 * destination where both are here. What is not known is "-". */

#include <stdbool.h>

#include "base/buffer.h"
#include "flow/flow_record.h"

enum { TEXT_TABLE_WIDTH = 120, TEXT_TABLE_NARROWEST = 60, TEXT_TABLE_HEADER_EVERY = 40 };

struct text_table {
	unsigned width; /* columns */
	bool colours;
	unsigned lines_left; /* until the header comes again; 0 at the start */
};

/* Adds the record, with the header in front where it is due. Times are local (TZ). On -ENOMEM "out"
 * has failed. */
int text_table_encode_record(struct text_table *table, struct buffer *out,
			     const struct flow_record *record);
