/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which network namespaces an address is local in: the local routes of all of them in one hash, so
 * that the answer "none" costs one look, however many namespaces there are. Loopback addresses are
 * left out, because every namespace has them. Who owns an entry is the caller's matter: an owner is
 * a pointer that is only compared. */

#include <stddef.h>
#include <stdint.h>

#include "attribution/local_routes.h"
#include "base/hash_map.h"
#include "base/list.h"

struct namespace_addresses {
	struct hash_map hosts;	   /* whole addresses */
	struct list_node prefixes; /* wider ones, which are few */
	uint64_t seed;
	size_t count;
};

struct namespace_address {
	struct local_route route;
	void *owner;
	struct list_node same;	   /* internal: with the same prefix; or of "prefixes" */
	struct list_node of_owner; /* in the list given to namespace_addresses_add() */
};

void namespace_addresses_init(struct namespace_addresses *addresses);
/* All owners must have been removed. */
void namespace_addresses_fini(struct namespace_addresses *addresses);

/* Adds a copy of the route; "list" is the owner's own, to give back. Loopback: nothing is added.
 * 0 or -ENOMEM. */
int namespace_addresses_add(struct namespace_addresses *addresses, const struct local_route *route,
			    void *owner, struct list_node *list);
/* Removes all that was added with this list. */
void namespace_addresses_remove(struct namespace_addresses *addresses, struct list_node *list);

/* How many owners have the address; the first "most" are written to "out", borrowed until the next
 * change. An owner counts once: by the address itself, else by a wider prefix. */
size_t namespace_addresses_find(const struct namespace_addresses *addresses, enum ip_family family,
				const struct ip_address *address,
				const struct namespace_address **out, size_t most);
