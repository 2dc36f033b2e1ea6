/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* NFLOG messages to packets (uapi/linux/netfilter/nfnetlink_log.h, net/netfilter/nfnetlink_log.c). Pure.
 */

#include <libmnl/libmnl.h>

#include "flow/packet_event.h"
#include "sources/packet.h"

/* Our own rules say by their prefix what the kernel does not say of each packet: this, and the letters
 * below. Such a prefix is not handed on. */
#define NFLOG_OWN_PREFIX "procflow/"
enum nflog_letter {
	NFLOG_LETTER_TRACKED = 't',
	NFLOG_LETTER_UNTRACKED = 'u',
	NFLOG_LETTER_ANY = 'a',	   /* whether it is tracked is not known */
	NFLOG_LETTER_PROMPT = '!', /* handed over at once, not in a batch */
};

struct nflog_parse_context {
	uint64_t now_ns;	/* monotonic: when the message was read */
	int64_t wall_offset_ns; /* wall time - monotonic time */
	/* The kernel adds the conntrack entry of packets that have one (NFULNL_CFG_F_CONNTRACK). */
	bool has_conntrack;
};

/* Named outcomes. */
enum {
	NFLOG_PARSED = 0,
	NFLOG_PARSE_FAULTY = 1, /* the packet itself: *ret_fault says why */
	NFLOG_PARSE_OTHER = 2,	/* not a packet */
};

/* One of the outcomes, or -EBADMSG: attributes that are cut or too short. With NFLOG_PARSE_FAULTY what
 * *ret says besides ret->packet is right. */
int nflog_parse(const struct nlmsghdr *message, const struct nflog_parse_context *context,
		struct packet_event *ret, enum packet_fault *ret_fault);
