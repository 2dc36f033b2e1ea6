/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/nft_table.h"

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

struct nft_table {
	struct nft_table_content content;
	struct nft_ctx *nft; /* its socket owns the table, where the kernel knows owners */
	bool has_no_owner;
};

/* Named outcomes of make_table(), beside NFT_TABLE_TAKEN. */
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

/* nft's own status, or -ENOMEM. */
static int run(const struct nft_table *table, const char *verb, const char *flags,
	       const char *rules)
{
	struct buffer commands;
	int r = -ENOMEM;

	buffer_init(&commands);
	buffer_add_format(&commands, "%s table %s %s\n%s", verb, table->content.name, flags, rules);
	buffer_add_byte(&commands, '\0');
	if (!commands.failed)
		r = nft_run_cmd_from_buffer(table->nft, (const char *)commands.bytes);
	buffer_fini(&commands);
	return r;
}

/* LEFT_BEHIND, NFT_TABLE_TAKEN, or -ENOENT. */
static int find_table(struct nft_table *table)
{
	const char *listed;

	if (run(table, "list", "", "") != 0)
		return -ENOENT;
	listed = nft_ctx_get_output_buffer(table->nft);
	return strstr(listed, table->content.comment) && !strstr(listed, "flags owner")
		       ? LEFT_BEHIND
		       : NFT_TABLE_TAKEN;
}

/* "create" refuses a table that is there, where "add" would join it. */
static int make_with(struct nft_table *table, const char *flags)
{
	return run(table, "create", flags, table->content.rules);
}

static int make_table(struct nft_table *table, struct buffer *reason)
{
	int r;

	if (make_with(table, "{ flags owner; }") == 0)
		return 0;
	add_reason(reason, nft_ctx_get_error_buffer(table->nft));
	r = find_table(table);
	if (r != -ENOENT)
		return r;
	return make_with(table, "") == 0 ? MADE_WITHOUT_OWNER : -EIO;
}

static int open_table(const struct nft_table_content *content, struct nft_table **ret)
{
	cleanup_free struct nft_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->content = *content;
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
static int finish_table(struct nft_table *table, int r, struct nft_table **ret)
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

int nft_table_new(const struct nft_table_content *content, struct nft_table **ret,
		  struct buffer *reason)
{
	struct nft_table *table;
	int r = open_table(content, &table);

	return r < 0 ? r : finish_table(table, make_table(table, reason), ret);
}

int nft_table_take_left(const struct nft_table_content *content, struct nft_table **ret)
{
	struct nft_table *table;
	int r = open_table(content, &table);

	return r < 0 ? r : finish_table(table, find_table(table), ret);
}

int nft_table_check(const struct nft_table_content *content, struct buffer *reason)
{
	struct nft_table *table;
	int r = open_table(content, &table);

	if (r < 0)
		return r;
	nft_ctx_set_dry_run(table->nft, true);
	r = make_table(table, reason);
	nft_ctx_free(table->nft);
	free(table);
	return r == MADE_WITHOUT_OWNER || r == LEFT_BEHIND ? 0 : r;
}

void nft_table_free(struct nft_table *table)
{
	if (!table)
		return;
	if (table->has_no_owner)
		run(table, "delete", "", "");
	nft_ctx_free(table->nft);
	free(table);
}

#else

int nft_table_new(unused const struct nft_table_content *content, unused struct nft_table **ret,
		  unused struct buffer *reason)
{
	return -EOPNOTSUPP;
}

int nft_table_take_left(unused const struct nft_table_content *content,
			unused struct nft_table **ret)
{
	return -EOPNOTSUPP;
}

int nft_table_check(unused const struct nft_table_content *content, unused struct buffer *reason)
{
	return -EOPNOTSUPP;
}

void nft_table_free(unused struct nft_table *table)
{
}

#endif
