/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/nflog_rules.h"

#include <errno.h>
#include <stdio.h>

#include "base/macros.h"
#include "sources/nflog_parse.h"

#define TABLE	"inet procflow_nflog"
#define COMMENT "procflowd: logs the heads of packets, drops none"

enum {
	/* Room for an IPv6 header with its extension headers and TCP with options. */
	HEADER_BYTES = 256,
	/* So many are handed over together, or what NFLOG_BATCH_NS brought. */
	BATCH = 64,
	/* Behind filters and NAT, before conntrack confirms what came through. */
	PRIORITY = 290,
};

struct writer {
	const struct nflog_rules_options *options;
	struct buffer *commands;
	const char *chain;
	bool is_output;
};

/* One rule: packets that match are logged; with "is_last" those do not go on to the next. */
static void add_rule(const struct writer *writer, const char *match, enum nflog_letter letter,
		     bool is_prompt, bool is_last)
{
	buffer_add_format(writer->commands,
			  "add rule " TABLE " %s %s log prefix \"" NFLOG_OWN_PREFIX "%c%s\" group "
			  "%u snaplen %d queue-threshold %d%s\n",
			  writer->chain, match, letter, is_prompt ? "!" : "",
			  (unsigned)writer->options->group, HEADER_BYTES, is_prompt ? 1 : BATCH,
			  is_last ? " return" : "");
}

/* Of both directions packet "from" to packet "to"; the entry counts the packet before it comes here. */
static void add_first_packets(const struct writer *writer, uint32_t from, uint32_t to,
			      bool is_prompt)
{
	static const char *const directions[] = {"original", "reply"};
	char match[128];

	for (size_t i = 0; i < array_length(directions); i++) {
		snprintf(match, sizeof(match), "ct direction %s ct %s packets %u-%u", directions[i],
			 directions[i], from, to);
		add_rule(writer, match, NFLOG_LETTER_TRACKED, is_prompt, true);
	}
}

/* Handshakes and the ends of what was written at once are what latencies are made of; the times of the
 * others are those of begin and end. */
static const char prompt_tcp[] = "tcp flags & (syn | psh | fin | rst) != 0";

static void add_tracked(const struct writer *writer)
{
	uint32_t packets = writer->options->packets, prompt = 0;

	if (writer->is_output) {
		prompt = packets && packets < NFLOG_RULES_PROMPT_PACKETS
				 ? packets
				 : NFLOG_RULES_PROMPT_PACKETS;
		add_first_packets(writer, 1, prompt, true);
	}
	if (packets == 0) {
		add_rule(writer, "", NFLOG_LETTER_TRACKED, false, true);
		return;
	}
	if (packets > prompt)
		add_first_packets(writer, prompt + 1, packets, false);
	/* How it ended, for the flags of each side. */
	add_rule(writer, "ct state new,established,related tcp flags & (fin | rst) != 0",
		 NFLOG_LETTER_TRACKED, false, true);
}

static void add_untracked(const struct writer *writer)
{
	char match[128];

	if (writer->is_output) {
		snprintf(match, sizeof(match), "ct state untracked %s", prompt_tcp);
		add_rule(writer, match, NFLOG_LETTER_UNTRACKED, true, true);
	}
	add_rule(writer, "ct state untracked", NFLOG_LETTER_UNTRACKED, false, true);
}

static void add_chain(const struct writer *writer)
{
	buffer_add_format(writer->commands,
			  "add chain " TABLE
			  " %s { type filter hook %s priority %d; policy accept; }\n",
			  writer->chain, writer->chain, PRIORITY);
	if (!writer->is_output)
		buffer_add_format(writer->commands,
				  "add rule " TABLE " %s iifname \"lo\" return comment \"" COMMENT
				  "\"\n",
				  writer->chain);
	if (writer->options->uses_conntrack) {
		add_untracked(writer);
		add_tracked(writer);
		return;
	}
	if (writer->is_output)
		add_rule(writer, prompt_tcp, NFLOG_LETTER_ANY, true, true);
	add_rule(writer, "", NFLOG_LETTER_ANY, false, true);
}

void nflog_rules_write(const struct nflog_rules_options *options, struct buffer *commands)
{
	static const char *const chains[] = {"input", "output", "forward"};

	for (size_t i = 0; i < array_length(chains); i++) {
		struct writer writer = {.options = options,
					.commands = commands,
					.chain = chains[i],
					.is_output = i == 1};

		add_chain(&writer);
	}
}

/* The content, with its commands in "commands". */
static int make_content(const struct nflog_rules_options *options, struct buffer *commands,
			struct nft_table_content *ret)
{
	nflog_rules_write(options, commands);
	buffer_add_byte(commands, '\0');
	if (commands->failed)
		return -ENOMEM;
	*ret = (struct nft_table_content){.name = TABLE,
					  .rules = (const char *)commands->bytes,
					  .comment = "\"" COMMENT "\""};
	return 0;
}

void nflog_rules_remove_left(void)
{
	const struct nft_table_content content = {
		.name = TABLE, .rules = "", .comment = "\"" COMMENT "\""};
	struct nft_table *left;

	if (nft_table_take_left(&content, &left) == 0)
		nft_table_free(left);
}

int nflog_rules_new(const struct nflog_rules_options *options, struct nft_table **ret,
		    struct buffer *reason)
{
	struct nft_table_content content;
	struct buffer commands;
	int r;

	nflog_rules_remove_left();
	buffer_init(&commands);
	r = make_content(options, &commands, &content);
	if (r == 0)
		r = nft_table_new(&content, ret, reason);
	buffer_fini(&commands);
	return r;
}

int nflog_rules_check(const struct nflog_rules_options *options, struct buffer *reason)
{
	struct nft_table_content content;
	struct buffer commands;
	int r;

	buffer_init(&commands);
	r = make_content(options, &commands, &content);
	if (r == 0)
		r = nft_table_check(&content, reason);
	buffer_fini(&commands);
	return r;
}
