/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The prefixes of log rules, each kept once and known by a number. There are as many as there are rules; a
 * prefix beyond the bound is left out. 32 KiB. */

#include <stdint.h>

#include "base/text.h"

/* NF_LOG_PREFIXLEN, include/uapi/linux/netfilter/nf_log.h. */
enum { PACKET_PREFIX_BYTES = 128, PACKET_PREFIXES_MOST = 255 };

struct packet_prefixes {
	unsigned count;
	uint8_t lengths[PACKET_PREFIXES_MOST];
	char texts[PACKET_PREFIXES_MOST][PACKET_PREFIX_BYTES];
};

/* Its number; 0: it is empty, or there is no room. */
uint8_t packet_prefixes_add(struct packet_prefixes *prefixes, struct text prefix);
/* Borrowed; empty for 0. */
struct text packet_prefixes_get(const struct packet_prefixes *prefixes, uint8_t number);
