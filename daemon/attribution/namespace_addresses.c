/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/namespace_addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/macros.h"

struct namespace_host {
	struct ip_prefix prefix;
	struct list_node owners; /* struct namespace_address, never empty */
};

void namespace_addresses_init(struct namespace_addresses *addresses)
{
	*addresses = (struct namespace_addresses){.seed = hash_seed_new()};
	list_init(&addresses->prefixes);
}

void namespace_addresses_fini(struct namespace_addresses *addresses)
{
	hash_map_fini(&addresses->hosts);
}

static uint64_t hash_prefix(const struct namespace_addresses *addresses,
			    const struct ip_prefix *prefix)
{
	return hash_bytes(addresses->seed, prefix, sizeof(*prefix));
}

static bool is_prefix(const void *value, const void *key)
{
	return memcmp(&((const struct namespace_host *)value)->prefix, key,
		      sizeof(struct ip_prefix)) == 0;
}

static bool is_host(const struct ip_prefix *prefix)
{
	return prefix->bits == ip_address_length(prefix->family) * 8;
}

static bool is_loopback(const struct ip_prefix *prefix)
{
	static const struct ip_address loopback6 = {{[15] = 1}};

	if (prefix->family == IP_FAMILY_V4)
		return prefix->address.bytes[0] == 127;
	return ip_address_equal(&prefix->address, &loopback6);
}

static struct namespace_host *find_host(const struct namespace_addresses *addresses,
					const struct ip_prefix *prefix)
{
	return hash_map_find(&addresses->hosts, hash_prefix(addresses, prefix), is_prefix, prefix);
}

static struct namespace_host *add_host(struct namespace_addresses *addresses,
				       const struct ip_prefix *prefix)
{
	struct namespace_host *host = calloc(1, sizeof(*host));

	if (!host)
		return NULL;
	host->prefix = *prefix;
	list_init(&host->owners);
	if (hash_map_add(&addresses->hosts, hash_prefix(addresses, prefix), host) < 0) {
		free(host);
		return NULL;
	}
	return host;
}

int namespace_addresses_add(struct namespace_addresses *addresses, const struct local_route *route,
			    void *owner, struct list_node *list)
{
	struct namespace_address *address;
	struct namespace_host *host;

	if (is_loopback(&route->prefix))
		return 0;
	address = calloc(1, sizeof(*address));
	if (!address)
		return -ENOMEM;
	address->route = *route;
	address->owner = owner;
	if (!is_host(&route->prefix)) {
		list_add_tail(&addresses->prefixes, &address->same);
	} else {
		host = find_host(addresses, &route->prefix);
		if (!host)
			host = add_host(addresses, &route->prefix);
		if (!host) {
			free(address);
			return -ENOMEM;
		}
		list_add_tail(&host->owners, &address->same);
	}
	list_add_tail(list, &address->of_owner);
	addresses->count++;
	return 0;
}

void namespace_addresses_remove(struct namespace_addresses *addresses, struct list_node *list)
{
	list_for_each_safe (node, list) {
		struct namespace_address *address =
			container_of(node, struct namespace_address, of_owner);
		const struct ip_prefix *prefix = &address->route.prefix;
		struct namespace_host *host = is_host(prefix) ? find_host(addresses, prefix) : NULL;

		list_remove(&address->same);
		if (host && list_is_empty(&host->owners)) {
			hash_map_remove(&addresses->hosts, hash_prefix(addresses, prefix),
					is_prefix, prefix);
			free(host);
		}
		list_remove(&address->of_owner);
		free(address);
		addresses->count--;
	}
}

static bool is_among(const struct namespace_address **out, size_t count, const void *owner)
{
	for (size_t i = 0; i < count; i++)
		if (out[i]->owner == owner)
			return true;
	return false;
}

size_t namespace_addresses_find(const struct namespace_addresses *addresses, enum ip_family family,
				const struct ip_address *address,
				const struct namespace_address **out, size_t most)
{
	struct ip_prefix key = {.address = *address,
				.family = (uint8_t)family,
				.bits = (uint8_t)(ip_address_length(family) * 8)};
	const struct namespace_host *host = find_host(addresses, &key);
	size_t count = 0;

	if (host)
		list_for_each (node, &host->owners) {
			if (count < most)
				out[count] = container_of(node, struct namespace_address, same);
			count++;
		}
	list_for_each (node, &addresses->prefixes) {
		const struct namespace_address *wide =
			container_of(node, struct namespace_address, same);

		if (!ip_prefix_contains(&wide->route.prefix, family, address) ||
		    is_among(out, count < most ? count : most, wide->owner))
			continue;
		if (count < most)
			out[count] = wide;
		count++;
	}
	return count;
}
