/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Ports of fragmented packets: only the first fragment has them, those behind it are known by addresses,
 * protocol and number (RFC 791 2.3, RFC 8200 4.5). Bounded: a later packet takes the place of an
 * earlier one, whose remaining fragments are then nobody's. 20 KiB. */

#include <stdbool.h>
#include <stdint.h>

#include "flow/packet_event.h"

enum { PACKET_FRAGMENTS_KEPT = 256 };

struct packet_fragments {
	uint64_t seed;
	struct packet_fragment {
		struct flow_key key;
		uint32_t id;
		uint64_t when_ns; /* 0: free */
	} kept[PACKET_FRAGMENTS_KEPT];
};

void packet_fragments_init(struct packet_fragments *fragments);
/* Of a first fragment: remembers its ports. Of a later one: fills in the ports of the first, and returns
 * whether it is known. Others are left as they are: true. */
bool packet_fragments_complete(struct packet_fragments *fragments, struct packet *packet,
			       uint64_t now_ns);
