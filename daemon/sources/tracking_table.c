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

/* One transaction. "create" refuses a table that is there, where "add" would join it. */
static const char make_commands[] =
	"create table inet procflow { flags owner; }\n"
	"add chain inet procflow tracking\n"
	"add rule inet procflow tracking ct state new "
	"comment \"procflowd: starts connection tracking; no packet comes here\"\n";

struct tracking_table {
	struct nft_ctx *nft; /* its socket owns the table */
};

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

static bool table_exists(struct nft_ctx *nft)
{
	return nft_run_cmd_from_buffer(nft, "list table inet procflow\n") == 0;
}

static int make_table(struct nft_ctx *nft, struct buffer *reason)
{
	if (nft_ctx_buffer_error(nft) != 0 || nft_ctx_buffer_output(nft) != 0)
		return -ENOMEM;
	if (nft_run_cmd_from_buffer(nft, make_commands) == 0)
		return 0;
	add_reason(reason, nft_ctx_get_error_buffer(nft));
	return table_exists(nft) ? TRACKING_TABLE_TAKEN : -EIO;
}

int tracking_table_new(struct tracking_table **ret, struct buffer *reason)
{
	cleanup_free struct tracking_table *table = calloc(1, sizeof(*table));
	int r;

	if (!table)
		return -ENOMEM;
	table->nft = open_nft();
	if (!table->nft)
		return -ENOMEM;
	r = make_table(table->nft, reason);
	if (r != 0) {
		nft_ctx_free(table->nft);
		return r;
	}
	*ret = steal_pointer(&table);
	return 0;
}

int tracking_table_check(struct buffer *reason)
{
	struct nft_ctx *nft = open_nft();
	int r;

	if (!nft)
		return -ENOMEM;
	nft_ctx_set_dry_run(nft, true);
	r = make_table(nft, reason);
	nft_ctx_free(nft);
	return r;
}

void tracking_table_free(struct tracking_table *table)
{
	if (!table)
		return;
	nft_ctx_free(table->nft);
	free(table);
}

#else

int tracking_table_new(unused struct tracking_table **ret, unused struct buffer *reason)
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
