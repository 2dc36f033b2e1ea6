/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The templates of one exporter, made when a record first needs them. There are at most
 * TEMPLATE_CACHE_LIMIT; the last few places are kept for the plainest ones (addresses and counters
 * alone), under which every record can go when the others are used up. */

#include "base/hash_map.h"
#include "export/template.h"

enum { TEMPLATE_CACHE_LIMIT = 512 };

/* Where ids come from: each is given to one template, whoever asks for it, until all 65,272 were given
 * once. So a collector never sees other fields under an id that it knows (RFC 3954 7), whatever
 * exporters a reload changes. */
struct template_ids {
	uint32_t given;
};

uint16_t template_ids_take(struct template_ids *ids);

struct template_cache {
	struct template_options options;
	uint64_t used_parts, used_process_parts;
	struct hash_map map;
	struct template *items[TEMPLATE_CACHE_LIMIT];
	size_t count;
	struct template_ids *ids, own_ids;
	struct template *latest; /* flows come in runs of one kind */
};

/* "ids" is borrowed; NULL: ids of its own. The cache stays where it is. */
void template_cache_init(struct template_cache *cache, const struct template_options *options,
			 struct template_ids *ids);
void template_cache_fini(struct template_cache *cache);

/* The template for a record with these parts, borrowed; its signature lacks some of them when the
 * cache is full. NULL when memory ran out. */
struct template *template_cache_get(struct template_cache *cache, uint64_t parts);

/* Whether "template" tells less than a record with these parts has. */
bool template_cache_is_simplified(const struct template_cache *cache,
				  const struct template *template, uint64_t parts);
