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
 * Who owns it and what becomes of it: nft_table.h. */

#include "sources/nft_table.h"

/* Does by hand what this table does, for good (until the next boot or "nft flush ruleset"). */
#define TRACKING_TABLE_COMMAND                                                                     \
	"nft 'add table inet procflow; add chain inet procflow tracking; "                         \
	"add rule inet procflow tracking ct state new'"

/* As the functions of nft_table.h. It is removed by nft_table_free(); without the owner flag tracking ends a
 * moment later: the kernel frees a removed rule in the background (nf_tables_trans_destroy_work()). */
int tracking_table_new(struct nft_table **ret, struct buffer *reason);
int tracking_table_take_left(struct nft_table **ret);
int tracking_table_check(struct buffer *reason);
