/* SPDX-License-Identifier: GPL-2.0-or-later */

/* truth_sender KIND FAMILY PORT CONNECTS FD PLACE [ADDRESS]: sends one flow and writes it down, as a program
 * of its own, small so that execve(2) is quick. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "truth.h"

int main(int argc, char **argv)
{
	struct truth_cell cell = {.is_exec = true};
	struct truth_flow flow;
	off_t place;

	if (argc != 7 && argc != 8) {
		fprintf(stderr, "truth_sender is started by trace_truth and truth_flows\n");
		return 2;
	}
	cell.kind = (enum truth_kind)atoi(argv[1]);
	cell.family = atoi(argv[2]);
	cell.address = argv[7];
	place = (off_t)(strtoul(argv[6], NULL, 10) * sizeof(flow));
	if (!truth_send(&cell, (uint16_t)atoi(argv[3]), atoi(argv[4]), &flow))
		return 1;
	return pwrite(atoi(argv[5]), &flow, sizeof(flow), place) != sizeof(flow);
}
