/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The inventory of listening ports with the programs behind them, every ten seconds, for exporters
 * that want one; where none does nothing is looked for. */

#include "attribution/attribution.h"
#include "export/exporter_set.h"
#include "process/process_table.h"
#include "runtime/loop.h"

struct listening;

struct listening_options {
	struct loop *loop; /* all borrowed */
	struct attribution *attribution;
	struct process_table *processes;
	const struct exporter_set *exporters;
};

/* 0, or a negative errno. */
int listening_new(const struct listening_options *options, struct listening **ret);
/* Before what it borrows. Accepts NULL. */
void listening_free(struct listening *listening);

/* Puts them in order (TCP first, IPv4 first, by port and program) and leaves out what is there twice;
 * returns how many there are then. Pure. */
size_t listening_sort(struct listening_port *ports, size_t count);
