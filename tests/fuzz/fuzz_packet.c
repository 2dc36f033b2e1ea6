/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a packet: the first byte chooses what the layer below calls it, the rest is the packet. */

#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"
#include "sources/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t protocols[] = {ETH_P_IP, ETH_P_IPV6, ETH_P_8021Q, ETH_P_8021AD, 0};
	struct packet_link link;
	struct packet packet;

	if (size == 0)
		return 0;
	if (data[0] == 5) {
		if (packet_parse_link(data + 1, size - 1, &link) == PACKET_FINE &&
		    link.header_bytes > size - 1)
			abort();
		return 0;
	}
	if (packet_parse(protocols[data[0] % 5], data + 1, size - 1, &packet) != PACKET_FINE)
		return 0;
	if (packet.payload_bytes >= packet.bytes ||
	    (packet.key.family != IP_FAMILY_V4 && packet.key.family != IP_FAMILY_V6) ||
	    (!packet.has_ports && !packet.is_fragment && !packet.is_icmp_error))
		abort();
	return 0;
}
