/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Is an address this host's own? The kernel's local routes say: every address of every interface,
 * 127.0.0.0/8, prefixes that were routed to the host itself (AnyIP), all tables and VRFs.
 *
 * Broadcast and multicast destinations are not local: such a packet has no single receiving process
 * (every member socket gets a copy, here and elsewhere), so this end of the flow is told as remote.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "base/address.h"

struct local_routes;

/* A local address stands on more interfaces than that only by accident (fe80::1 on many bridges).
 */
enum { LOCAL_ROUTES_MOST_INTERFACES = 4 };

struct local_route {
	struct ip_prefix prefix;
	uint32_t interfaces[LOCAL_ROUTES_MOST_INTERFACES]; /* indexes; 0: no more */
};

/* 0, or a negative errno. Reads the routes of the network namespace that the thread is in. */
int local_routes_open(struct local_routes **ret);
void local_routes_close(struct local_routes *routes);

/* The routes of another network namespace as they are now: a picture that holds no descriptor and
 * so does not keep the namespace alive; local_routes_get_fd() and local_routes_refresh() are not for
 * it. 0, or a negative errno. */
int local_routes_read_in(int netns_fd, struct local_routes **ret);
/* Walks all: start with *position == 0; NULL at the end. */
const struct local_route *local_routes_next(const struct local_routes *routes, size_t *position);

/* The route that makes the address local, borrowed until the next refresh, or NULL. */
const struct local_route *local_routes_find(const struct local_routes *routes,
					    enum ip_family family,
					    const struct ip_address *address);

/* Becomes readable when a local route or an address came or went. */
int local_routes_get_fd(const struct local_routes *routes);
/* Takes the announcements (lost ones do not matter) and reads the routes anew. On a negative errno
 * the old ones stay. */
int local_routes_refresh(struct local_routes *routes);
size_t local_routes_count(const struct local_routes *routes);

/* Pure: one RTM_NEWROUTE. 0; 1 when it is no local route; -EBADMSG. */
int local_routes_parse(const struct nlmsghdr *message, struct local_route *ret);
