/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The nft table "inet procflow_nflog", which logs packets to an NFLOG group (nflog.rules: managed): on
 * input, output and forward, behind all filters; on loopback at output alone, where conntrack counts too.
 * It drops nothing. Who owns it and what becomes of it: nft_table.h. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "sources/nft_table.h"

struct nflog_rules_options {
	uint16_t group;
	/* Of each flow and direction, and those that end a connection; 0: every one. */
	uint32_t packets;
	/* Rules with "ct" make the kernel track connections. Without them every packet is logged,
	 * whatever "packets" says. */
	bool uses_conntrack;
};

/* The first packets of a flow that leave this host are handed over at once: the kernel stamps only those
 * that come in (nfnetlink_log.c, __build_packet_message()), so that their time is that of the reading. */
enum { NFLOG_RULES_PROMPT_PACKETS = 8 };

/* As the functions of nft_table.h. What a killed daemon left behind is replaced. */
int nflog_rules_new(const struct nflog_rules_options *options, struct nft_table **ret,
		    struct buffer *reason);
int nflog_rules_check(const struct nflog_rules_options *options, struct buffer *reason);
/* Removes what a killed daemon left, where the kernel did not. */
void nflog_rules_remove_left(void);

/* Adds the commands that fill the table. Pure. */
void nflog_rules_write(const struct nflog_rules_options *options, struct buffer *commands);
