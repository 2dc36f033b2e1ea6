/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Packets from Ethernet to layer 4: IPv4 (RFC 791) with options, IPv6 (RFC 8200) with extension headers,
 * VLAN tags (IEEE 802.1Q, 802.1ad), TCP, UDP, UDP-Lite, SCTP, DCCP, ICMP and ICMPv6 with the packet
 * that an error carries. All of it is written by strangers: whatever is read was checked to lie within
 * the bytes that are there, and lengths that contradict each other are told and not guessed at. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "flow/packet_event.h"

enum packet_fault {
	PACKET_FINE = 0,
	PACKET_NOT_IP,	      /* ARP and others: nothing wrong, and nothing for us */
	PACKET_CUT,	      /* the copy ends within a header */
	PACKET_WRONG_VERSION, /* not the one that the protocol below says */
	PACKET_WRONG_LENGTH,  /* lengths contradict each other */
	PACKET_TOO_DEEP,      /* more tags or extension headers than anybody sends */
	PACKET_FAULTS,
};

/* "cut", "wrong-length", ... */
const char *packet_fault_get_name(enum packet_fault fault);

enum { PACKET_ETHERNET_BYTES = 14 };

struct packet_link {
	uint8_t destination[6], source[6];
	uint16_t vlan;	       /* the outer id; 0: none */
	uint16_t protocol;     /* EtherType behind all tags */
	uint16_t header_bytes; /* tags included */
};

/* An Ethernet header and its tags. *ret only with PACKET_FINE. */
enum packet_fault packet_parse_link(const uint8_t *at, size_t length, struct packet_link *ret);

/* What stands behind an Ethernet header: "protocol" is its EtherType, which may be that of a tag. The
 * copy may end anywhere behind the headers. *ret only with PACKET_FINE. */
enum packet_fault packet_parse(uint16_t protocol, const uint8_t *at, size_t length,
			       struct packet *ret);
