/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A process that has the flows of cells made. What is measured must not fork itself: after each
 * fork(2) it pays for all its pages a second time, which a daemon never does. */

#include "truth.h"

struct truth_maker {
	const char *sender; /* truth_sender, borrowed; NULL: no cell is_exec */
	size_t count;	    /* flows of a cell */
	struct truth_flow *flows;
	int flows_fd, orders; /* orders: to it, and its answer */
};

/* Forks it, before anything large is there; it ends with its parent. Of "maker", sender and count
 * are set by the caller. Calls that fail end the program by abort(), here and below. */
void truth_maker_start(struct truth_maker *maker);

/* It begins with the flows of the cell: all by one process, or each by one of its own, of which
 * "parallel" live at a time. Addresses of cells are constants. */
void truth_maker_begin(struct truth_maker *maker, const struct truth_cell *cell, size_t parallel,
		       bool is_one);

/* Whether all were made, and who made and served them is gone. Does not wait. True once. */
bool truth_maker_has_ended(struct truth_maker *maker);

/* Flows that were made until now. */
size_t truth_maker_count(const struct truth_maker *maker);
