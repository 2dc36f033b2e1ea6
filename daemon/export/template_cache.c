/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/template_cache.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

/* The parts of the plainest templates, three: at most eight combinations; and that of processes. */
#define PLAIN_PARTS (RECORD_IPV4 | RECORD_IPV6 | RECORD_COUNTERS | RECORD_PROCESS)

enum { KEPT_FOR_PLAIN = 9 };

uint16_t template_ids_take(struct template_ids *ids)
{
	enum { ALL = 0x10000 - TEMPLATE_FIRST_ID - TEMPLATE_OPTIONS_COUNT };
	uint32_t id = TEMPLATE_FIRST_ID + ids->given++ % ALL;

	return (uint16_t)(id < TEMPLATE_OPTIONS_ID ? id : id + TEMPLATE_OPTIONS_COUNT);
}

void template_cache_init(struct template_cache *cache, const struct template_options *options,
			 struct template_ids *ids)
{
	*cache = (struct template_cache){.options = *options,
					 .used_parts = template_used_parts(options),
					 .used_process_parts =
						 template_used_process_parts(options->format)};
	cache->ids = ids ? ids : &cache->own_ids;
	hash_map_init(&cache->map);
}

void template_cache_fini(struct template_cache *cache)
{
	for (size_t i = 0; i < cache->count; i++)
		free(cache->items[i]);
	hash_map_fini(&cache->map);
	cache->count = 0;
}

static bool has_signature(const void *value, const void *key)
{
	const struct template *template = value;

	return template->signature == *(const uint64_t *)key;
}

static struct template *find(const struct template_cache *cache, uint64_t signature)
{
	return hash_map_find(&cache->map, hash_u64(0, signature), has_signature, &signature);
}

/* After the last id the first comes again, and may be one of ours. */
static uint16_t take_id(struct template_cache *cache)
{
	uint16_t id;
	size_t i;

	do {
		id = template_ids_take(cache->ids);
		for (i = 0; i < cache->count && cache->items[i]->id != id; i++)
			;
	} while (i < cache->count);
	return id;
}

static struct template *add(struct template_cache *cache, uint64_t signature)
{
	cleanup_free struct template *template = malloc(sizeof(*template));

	if (!template || hash_map_add(&cache->map, hash_u64(0, signature), template) < 0)
		return NULL;
	template_init(template, &cache->options, signature, take_id(cache));
	cache->items[cache->count++] = template;
	return steal_pointer(&template);
}

static uint64_t sign(const struct template_cache *cache, uint64_t parts)
{
	return parts & (parts & RECORD_PROCESS ? cache->used_process_parts : cache->used_parts);
}

struct template *template_cache_get(struct template_cache *cache, uint64_t parts)
{
	uint64_t signature = sign(cache, parts);
	struct template *template = cache->latest;

	if (template && template->signature == signature)
		return template;
	template = find(cache, signature);
	if (!template && cache->count >= TEMPLATE_CACHE_LIMIT - KEPT_FOR_PLAIN) {
		signature &= PLAIN_PARTS;
		template = find(cache, signature);
	}
	if (!template)
		template = add(cache, signature);
	cache->latest = template;
	return template;
}

bool template_cache_is_simplified(const struct template_cache *cache,
				  const struct template *template, uint64_t parts)
{
	return template->signature != sign(cache, parts);
}
