/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/tracking_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macros.h"

#ifdef HAVE_LIBNFTABLES

#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#define COMMENT "procflowd: starts connection tracking; no packet comes here"

/* One transaction. "create" refuses a table that is there, where "add" would join it. */
#define MAKE_COMMANDS(flags)                                                                       \
	"create table inet procflow " flags "\n"                                                   \
	"add chain inet procflow tracking\n"                                                       \
	"add rule inet procflow tracking ct state new comment \"" COMMENT "\"\n"

struct tracking_table {
	struct nft_ctx *nft; /* its socket owns the table, where the kernel knows owners */
	bool has_no_owner;
};

/* Named outcomes of make_table(), beside TRACKING_TABLE_TAKEN. */
enum { MADE_WITHOUT_OWNER = 2, LEFT_BEHIND };

/* libnftables (1.0.6) opens its socket without SOCK_CLOEXEC and does not tell its number. A child
 * that inherits it would keep the table alive after us. The daemon has one thread, so the socket
 * gets the number that was the lowest free one before. */
static struct nft_ctx *open_nft(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);
	struct nft_ctx *nft;
	int protocol;
	socklen_t length = sizeof(protocol);

	if (fd >= 0)
		close(fd);
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (nft && fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
	    protocol == NETLINK_NETFILTER)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return nft;
}

/* "Error: Could not process rule: File exists", without the command and the carets that follow. */
static void add_reason(struct buffer *reason, const char *text)
{
	static const char prefix[] = "Error: ";

	if (strncmp(text, prefix, strlen(prefix)) == 0)
		text += strlen(prefix);
	buffer_add(reason, text, strcspn(text, "\n"));
}

/* LEFT_BEHIND, TRACKING_TABLE_TAKEN, or -ENOENT. */
static int find_table(struct nft_ctx *nft)
{
	const char *listed;

	if (nft_run_cmd_from_buffer(nft, "list table inet procflow\n") != 0)
		return -ENOENT;
	listed = nft_ctx_get_output_buffer(nft);
	return strstr(listed, "\"" COMMENT "\"") && !strstr(listed, "flags owner")
		       ? LEFT_BEHIND
		       : TRACKING_TABLE_TAKEN;
}

static int make_table(struct nft_ctx *nft, struct buffer *reason)
{
	int r;

	if (nft_run_cmd_from_buffer(nft, MAKE_COMMANDS("{ flags owner; }")) == 0)
		return 0;
	add_reason(reason, nft_ctx_get_error_buffer(nft));
	r = find_table(nft);
	if (r != -ENOENT)
		return r;
	return nft_run_cmd_from_buffer(nft, MAKE_COMMANDS("")) == 0 ? MADE_WITHOUT_OWNER : -EIO;
}

static int open_table(struct tracking_table **ret)
{
	cleanup_free struct tracking_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->nft = open_nft();
	if (!table->nft)
		return -ENOMEM;
	if (nft_ctx_buffer_error(table->nft) != 0 || nft_ctx_buffer_output(table->nft) != 0) {
		nft_ctx_free(table->nft);
		return -ENOMEM;
	}
	*ret = steal_pointer(&table);
	return 0;
}

/* Hands "table" out where "r" says that it is ours now, and else closes it. */
static int finish_table(struct tracking_table *table, int r, struct tracking_table **ret)
{
	if (r != 0 && r != MADE_WITHOUT_OWNER && r != LEFT_BEHIND) {
		nft_ctx_free(table->nft);
		free(table);
		return r;
	}
	table->has_no_owner = r != 0;
	*ret = table;
	return 0;
}

int tracking_table_new(struct tracking_table **ret, struct buffer *reason)
{
	struct tracking_table *table;
	int r = open_table(&table);

	return r < 0 ? r : finish_table(table, make_table(table->nft, reason), ret);
}

int tracking_table_take_left(struct tracking_table **ret)
{
	struct tracking_table *table;
	int r = open_table(&table);

	return r < 0 ? r : finish_table(table, find_table(table->nft), ret);
}

int tracking_table_check(struct buffer *reason)
{
	struct tracking_table *table;
	int r = open_table(&table);

	if (r < 0)
		return r;
	nft_ctx_set_dry_run(table->nft, true);
	r = make_table(table->nft, reason);
	nft_ctx_free(table->nft);
	free(table);
	return r == MADE_WITHOUT_OWNER || r == LEFT_BEHIND ? 0 : r;
}

void tracking_table_free(struct tracking_table *table)
{
	if (!table)
		return;
	if (table->has_no_owner)
		nft_run_cmd_from_buffer(table->nft, "delete table inet procflow\n");
	nft_ctx_free(table->nft);
	free(table);
}

#else

int tracking_table_new(unused struct tracking_table **ret, unused struct buffer *reason)
{
	return -EOPNOTSUPP;
}

int tracking_table_take_left(unused struct tracking_table **ret)
{
	return -EOPNOTSUPP;
}

int tracking_table_check(unused struct buffer *reason)
{
	return -EOPNOTSUPP;
}

void tracking_table_free(unused struct tracking_table *table)
{
}

#endif
