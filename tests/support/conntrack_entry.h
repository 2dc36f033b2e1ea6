/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Conntrack entries made and removed through ctnetlink, without a packet. Entry number n has a
 * tuple of its own, distinct from every other number's. Such an entry counts nothing: the kernel
 * does not take counters from outside (kernel/conntrack_events). */

#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

enum {
	CONNTRACK_ENTRY_SIZE = 256,    /* an upper bound of one message */
	CONNTRACK_ENTRY_PORTS = 50000, /* ports that one address goes through */
	CONNTRACK_ENTRY_FIRST_PORT = 10000,
	CONNTRACK_ENTRY_SERVER_PORT = 53,
};

struct conntrack_entry {
	uint32_t number;
	uint32_t timeout_s;
	uint16_t zone;	  /* 0: none */
	uint8_t family;	  /* AF_INET, AF_INET6 */
	uint8_t protocol; /* IPPROTO_UDP, IPPROTO_TCP (in ESTABLISHED) */
};

/* Each writes one message to "buffer" and returns it. */
struct nlmsghdr *conntrack_entry_put_create(void *buffer, const struct conntrack_entry *entry);
struct nlmsghdr *conntrack_entry_put_delete(void *buffer, const struct conntrack_entry *entry);
