/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* An nft table of our own, through libnftables.
 *
 * It has "flags owner" (kernel 5.12): the kernel removes it with the socket that made it, however the
 * process ends, and others can neither change nor flush it. A kernel that refuses the flag gets the
 * table without it: then nft_table_free() removes it, and what a killed daemon left is known by the
 * comment of its rules. */

#include "base/buffer.h"

struct nft_table;

struct nft_table_content {
	const char *name;    /* "inet procflow" */
	const char *rules;   /* commands that fill it, one a line */
	const char *comment; /* of a rule of these, and of nobody else's */
};

/* Named outcome: there is a table of that name already. */
enum { NFT_TABLE_TAKEN = 1 };

/* Makes the table, in one transaction, or takes over one that a killed daemon left (with the rules that it
 * has). 0; NFT_TABLE_TAKEN; -EOPNOTSUPP where the program was built without libnftables; -ENOMEM; -EIO
 * where the kernel or libnftables refused, with libnftables' own words added to "reason" (no line feed).
 * The name and the comment must live as long as the table. */
int nft_table_new(const struct nft_table_content *content, struct nft_table **ret,
		  struct buffer *reason);
/* Takes over the table that a killed daemon left, and makes none: 0, or -ENOENT where there is no such
 * table; else as nft_table_new(). */
int nft_table_take_left(const struct nft_table_content *content, struct nft_table **ret);
/* What nft_table_new() would return, by the kernel's own judgement, without making it (as "nft --check"
 * does). */
int nft_table_check(const struct nft_table_content *content, struct buffer *reason);
/* Removes it. Accepts NULL. */
void nft_table_free(struct nft_table *table);
