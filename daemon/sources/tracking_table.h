/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The nft table "inet procflow", which makes the kernel track every connection of this network
 * namespace, sent, received and forwarded, IPv4 and IPv6, while it is there.
 *
 * It holds one "ct state" rule in a chain that hangs on no hook. The rule needs not be reached:
 * what starts tracking is that it exists (nft_ct_get_init() calls nf_ct_netns_get(), which
 * registers all four of conntrack's own hooks for the table's family). So no packet ever passes
 * through the table, it costs nothing, and it can neither let through nor stop anything.
 *
 * The table has "flags owner" (kernel 5.12): the kernel removes it with the socket that made it,
 * however the process ends, and others can neither change nor flush it. A kernel that refuses the
 * flag gets the table without it: then tracking_table_free() removes it, and what a killed daemon
 * left is known by its rule's comment and taken over by the next one. */

#include "base/buffer.h"

/* Does by hand what this table does, for good (until the next boot or "nft flush ruleset"). */
#define TRACKING_TABLE_COMMAND                                                                     \
	"nft 'add table inet procflow; add chain inet procflow tracking; "                         \
	"add rule inet procflow tracking ct state new'"

struct tracking_table;

/* Named outcome: there is a table of that name already. */
enum { TRACKING_TABLE_TAKEN = 1 };

/* Makes the table, or takes over one that a killed daemon left. 0; TRACKING_TABLE_TAKEN;
 * -EOPNOTSUPP where the program was built without libnftables; -ENOMEM; -EIO where the kernel or libnftables refused, with libnftables' own words
 * added to "reason" (no line feed). */
int tracking_table_new(struct tracking_table **ret, struct buffer *reason);
/* Takes over the table that a killed daemon left, and makes none: 0, or -ENOENT where there is no
 * such table; else as tracking_table_new(). */
int tracking_table_take_left(struct tracking_table **ret);
/* What tracking_table_new() would return, by the kernel's own judgement, without making it (as "nft
 * --check" does). */
int tracking_table_check(struct buffer *reason);
/* Removes it. Accepts NULL. Without the owner flag tracking ends a moment later: the kernel frees a
 * removed rule in the background (nf_tables_trans_destroy_work()). */
void tracking_table_free(struct tracking_table *table);
