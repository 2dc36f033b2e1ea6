/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/tracking_table.h"

#define COMMENT "procflowd: starts connection tracking; no packet comes here"

static const struct nft_table_content content = {
	.name = "inet procflow",
	.rules = "add chain inet procflow tracking\n"
		 "add rule inet procflow tracking ct state new comment \"" COMMENT "\"\n",
	.comment = "\"" COMMENT "\"",
};

int tracking_table_new(struct nft_table **ret, struct buffer *reason)
{
	return nft_table_new(&content, ret, reason);
}

int tracking_table_take_left(struct nft_table **ret)
{
	return nft_table_take_left(&content, ret);
}

int tracking_table_check(struct buffer *reason)
{
	return nft_table_check(&content, reason);
}
