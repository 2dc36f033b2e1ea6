/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <stdbool.h>

#include "export/template_cache.h"

static const struct template_options options = {
	.format = TEMPLATE_IPFIX, .set = FIELD_SET_PROCFLOW, .biflow = CONFIG_BIFLOW_RFC5103};

static void test_one_template_for_one_signature(unused void **state)
{
	struct template_cache cache;
	struct template *a, *b;

	template_cache_init(&cache, &options, NULL);
	a = template_cache_get(&cache, RECORD_IPV4 | RECORD_COUNTERS);
	b = template_cache_get(&cache, RECORD_IPV6);
	assert_int_equal(a->id, 256);
	assert_int_equal(b->id, 257);
	assert_ptr_equal(template_cache_get(&cache, RECORD_IPV4 | RECORD_COUNTERS), a);
	/* A part that no field of the template has makes no difference. */
	assert_ptr_equal(template_cache_get(&cache, RECORD_IPV6 | RECORD_END(RECORD_SRC, END_UNIT)),
			 b);
	assert_false(template_cache_is_simplified(&cache, b,
						  RECORD_IPV6 | RECORD_END(RECORD_SRC, END_UNIT)));
	template_cache_fini(&cache);
}

/* Random signatures far beyond the limit: ids stay unique, each template has nothing that its
 * record does not know, and addresses and counters are never left out, and records of processes never
 * mixed up with those of flows. */
static void test_limit(unused void **state)
{
	const uint64_t of_flows = RECORD_IPV4 | RECORD_IPV6 | RECORD_COUNTERS;
	struct template_cache cache;
	uint64_t seed = 5;
	unsigned simplified = 0;

	template_cache_init(&cache, &options, NULL);
	for (int i = 0; i < 20000; i++) {
		uint64_t parts = records_random(&seed) & records_random(&seed), plain;
		struct template *template;

		parts &= ~(RECORD_IPV4 | RECORD_IPV6);
		parts |= i % 2 ? RECORD_IPV4 : RECORD_IPV6;
		template = template_cache_get(&cache, parts);
		assert_non_null(template);
		assert_int_equal(template->signature & ~parts, 0);
		plain = parts & RECORD_PROCESS ? RECORD_PROCESS : of_flows | RECORD_PROCESS;
		assert_int_equal(template->signature & plain, parts & plain);
		assert_ptr_equal(cache.items[template->id - TEMPLATE_FIRST_ID], template);
		simplified += template_cache_is_simplified(&cache, template, parts);
	}
	assert_true(cache.count <= TEMPLATE_CACHE_LIMIT);
	assert_true(simplified > 10000);
	template_cache_fini(&cache);
}

/* Two exporters, one after the other as by a reload: no id twice, none of the options templates' among
 * them; and not even when all were given once has one cache an id twice. */
static void test_shared_ids(unused void **state)
{
	static bool seen[1 << 16];
	struct template_ids ids = {.given = 0};
	struct template_cache caches[2];
	uint64_t seed = 6;
	size_t count = 0;

	for (size_t i = 0; i < array_length(caches); i++) {
		template_cache_init(&caches[i], &options, &ids);
		for (int n = 0; n < 1000; n++)
			template_cache_get(&caches[i], RECORD_IPV4 | records_random(&seed));
		for (size_t n = 0; n < caches[i].count; n++) {
			uint16_t id = caches[i].items[n]->id;

			assert_false(seen[id]);
			assert_in_range(id, TEMPLATE_FIRST_ID, UINT16_MAX);
			assert_false(id >= TEMPLATE_OPTIONS_ID &&
				     id < TEMPLATE_OPTIONS_ID + TEMPLATE_OPTIONS_COUNT);
			seen[id] = true;
			count++;
		}
	}
	assert_true(count > 600);
	template_cache_fini(&caches[1]);
	template_cache_init(&caches[1], &options, &ids);
	template_cache_get(&caches[1], RECORD_IPV4);
	while (ids.given % (0x10000 - 256 - 8) != caches[1].items[0]->id - 256u - 8)
		template_ids_take(&ids);
	assert_int_not_equal(template_cache_get(&caches[1], RECORD_IPV6)->id,
			     caches[1].items[0]->id);
	for (size_t i = 0; i < array_length(caches); i++)
		template_cache_fini(&caches[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_template_for_one_signature),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_shared_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
