/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Whether the kernel tracks connections in this network namespace, found by trying it: one UDP
 * datagram from this process to itself over loopback, then a question for its conntrack entry.
 *
 * Reading rules would not tell. Whoever wants tracking makes the kernel register its hooks
 * (nf_ct_netns_get(), net/netfilter/nf_conntrack_proto.c): nft, both kinds of iptables, IPVS, Open
 * vSwitch, tc. And the hooks are registered for IPv4 and IPv6 apart: beside an IPv4 masquerade rule
 * alone, IPv6 goes untracked. */

#include <stdbool.h>

#include "base/address.h"

/* Named outcomes. */
enum {
	TRACKING_PROBE_UNTRACKED = 0,
	TRACKING_PROBE_TRACKED = 1,
};

/* Does not block, and removes the entry that it caused. One of the outcomes, where "untracked" also
 * stands for a loopback that is exempted from tracking; or a negative errno where it cannot be
 * told: -EAFNOSUPPORT or -EADDRNOTAVAIL without a loopback address of that family, -EPERM without
 * CAP_NET_ADMIN (or where a firewall drops the datagram), -EINVAL or -EPROTONOSUPPORT where the
 * kernel has no ctnetlink. */
int tracking_probe_read(enum ip_family family);

/* Both families together. */
struct tracking_status {
	int v4, v6;	       /* of tracking_probe_read() */
	bool is_tracking;      /* at least one family is tracked */
	const char *untracked; /* what is not: "connections", "IPv6 connections", ...; or NULL */
};

/* IPv6 without ::1 does not count as untracked: there is none to speak of. */
struct tracking_status tracking_probe_read_status(void);
