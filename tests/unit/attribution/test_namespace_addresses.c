/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "attribution/namespace_addresses.h"
#include "base/macros.h"

static struct local_route make_route(const char *text)
{
	struct local_route route = {.interfaces = {3}};

	assert_int_equal(ip_prefix_parse(text, &route.prefix), 0);
	return route;
}

static void add(struct namespace_addresses *addresses, const char *text, void *owner,
		struct list_node *list)
{
	struct local_route route = make_route(text);

	assert_int_equal(namespace_addresses_add(addresses, &route, owner, list), 0);
}

static size_t find(const struct namespace_addresses *addresses, const char *text,
		   const struct namespace_address **out, size_t most)
{
	enum ip_family family;
	struct ip_address address;

	assert_int_equal(ip_address_parse(text, &family, &address), 0);
	return namespace_addresses_find(addresses, family, &address, out, most);
}

static void test_owners_of_an_address_are_found(void **state)
{
	struct namespace_addresses addresses;
	const struct namespace_address *out[4];
	struct list_node first, second;
	int a, b;

	(void)state;
	namespace_addresses_init(&addresses);
	list_init(&first);
	list_init(&second);
	add(&addresses, "10.0.0.1", &a, &first);
	add(&addresses, "10.0.0.1", &b, &second);
	add(&addresses, "fe80::1", &b, &second);
	assert_int_equal(find(&addresses, "10.0.0.1", out, 4), 2);
	assert_ptr_equal(out[0]->owner, &a);
	assert_ptr_equal(out[1]->owner, &b);
	assert_int_equal(out[1]->route.interfaces[0], 3);
	assert_int_equal(find(&addresses, "10.0.0.1", out, 1), 2);
	assert_int_equal(find(&addresses, "fe80::1", out, 4), 1);
	assert_int_equal(find(&addresses, "10.0.0.2", out, 4), 0);
	namespace_addresses_remove(&addresses, &first);
	assert_true(list_is_empty(&first));
	assert_int_equal(find(&addresses, "10.0.0.1", out, 4), 1);
	assert_ptr_equal(out[0]->owner, &b);
	namespace_addresses_remove(&addresses, &second);
	assert_int_equal(find(&addresses, "10.0.0.1", out, 4), 0);
	assert_int_equal(addresses.hosts.used, 0);
	namespace_addresses_fini(&addresses);
}

static void test_loopback_is_nobodys(void **state)
{
	struct namespace_addresses addresses;
	const struct namespace_address *out[1];
	struct list_node list;
	int owner;

	(void)state;
	namespace_addresses_init(&addresses);
	list_init(&list);
	add(&addresses, "127.0.0.1", &owner, &list);
	add(&addresses, "127.0.0.0/8", &owner, &list);
	add(&addresses, "::1", &owner, &list);
	assert_int_equal(find(&addresses, "127.0.0.1", out, 1), 0);
	assert_int_equal(find(&addresses, "127.3.2.1", out, 1), 0);
	assert_int_equal(find(&addresses, "::1", out, 1), 0);
	assert_true(list_is_empty(&list));
	namespace_addresses_fini(&addresses);
}

static void test_an_owner_counts_once(void **state)
{
	struct namespace_addresses addresses;
	const struct namespace_address *out[4];
	struct list_node list;
	int owner;

	(void)state;
	namespace_addresses_init(&addresses);
	list_init(&list);
	add(&addresses, "10.0.0.0/24", &owner, &list);
	add(&addresses, "10.0.0.0/16", &owner, &list);
	add(&addresses, "10.0.0.1", &owner, &list);
	assert_int_equal(find(&addresses, "10.0.0.1", out, 4), 1);
	assert_int_equal(out[0]->route.prefix.bits, 32);
	assert_int_equal(find(&addresses, "10.0.0.2", out, 4), 1);
	assert_int_equal(find(&addresses, "10.1.0.2", out, 4), 0);
	namespace_addresses_remove(&addresses, &list);
	assert_int_equal(find(&addresses, "10.0.0.2", out, 4), 0);
	namespace_addresses_fini(&addresses);
}

/* Against a plain table: who has which of a few addresses. */
enum { OWNERS = 6, HOSTS = 12, STEPS = 20000, COPIES = 1 };

struct model {
	unsigned has[OWNERS][HOSTS];
};

static struct local_route make_host(unsigned host)
{
	struct local_route route = {.prefix = {.family = IP_FAMILY_V4, .bits = 32}};

	if (host % 3 == 0)
		route.prefix = (struct ip_prefix){.family = IP_FAMILY_V6, .bits = 128};
	route.prefix.address.bytes[0] = 10;
	route.prefix.address.bytes[3] = (uint8_t)host;
	return route;
}

static void compare(const struct namespace_addresses *addresses, const struct model *model,
		    unsigned host, const void *owners)
{
	struct local_route route = make_host(host);
	const struct namespace_address *out[OWNERS * COPIES];
	size_t total = 0;
	size_t count = namespace_addresses_find(addresses, route.prefix.family,
						&route.prefix.address, out, array_length(out));
	unsigned seen[OWNERS] = {0};

	for (unsigned i = 0; i < OWNERS; i++)
		total += model->has[i][host];
	assert_int_equal(count, total);
	for (size_t i = 0; i < count; i++)
		seen[(const int *)out[i]->owner - (const int *)owners]++;
	for (unsigned i = 0; i < OWNERS; i++)
		assert_int_equal(seen[i], model->has[i][host]);
}

static void test_random_changes_against_a_model(void **state)
{
	static struct model model;
	struct namespace_addresses addresses;
	struct list_node lists[OWNERS];
	int owners[OWNERS];

	(void)state;
	srand(20261123);
	namespace_addresses_init(&addresses);
	for (unsigned i = 0; i < OWNERS; i++)
		list_init(&lists[i]);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned owner = (unsigned)rand() % OWNERS, host = (unsigned)rand() % HOSTS;
		struct local_route route = make_host(host);

		if (rand() % 8 == 0) {
			namespace_addresses_remove(&addresses, &lists[owner]);
			memset(model.has[owner], 0, sizeof(model.has[owner]));
		} else if (!model.has[owner][host]) {
			assert_int_equal(namespace_addresses_add(&addresses, &route, &owners[owner],
								 &lists[owner]),
					 0);
			model.has[owner][host] = 1;
		}
		compare(&addresses, &model, (unsigned)rand() % HOSTS, owners);
	}
	for (unsigned i = 0; i < OWNERS; i++)
		namespace_addresses_remove(&addresses, &lists[i]);
	assert_int_equal(addresses.count, 0);
	assert_int_equal(addresses.hosts.used, 0);
	namespace_addresses_fini(&addresses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners_of_an_address_are_found),
		cmocka_unit_test(test_loopback_is_nobodys),
		cmocka_unit_test(test_an_owner_counts_once),
		cmocka_unit_test(test_random_changes_against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
