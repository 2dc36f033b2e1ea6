/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/compare.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/parts.h"

/* Of the members that own nothing. */
static const size_t sizes[CONFIG_KEY_TYPES] = {
	[CONFIG_KEY_DURATION] = sizeof(uint64_t), [CONFIG_KEY_SIZE] = sizeof(uint64_t),
	[CONFIG_KEY_COUNT] = sizeof(uint32_t),	  [CONFIG_KEY_BOOL] = sizeof(bool),
	[CONFIG_KEY_WORD] = sizeof(int),	  [CONFIG_KEY_WORDS] = sizeof(unsigned),
};

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* All that the text stands for comes from the text; only made ones have none. */
static bool is_same_address(const struct config_address *a, const struct config_address *b)
{
	return a->transport == b->transport && a->port == b->port &&
	       is_same_text(a->host, b->host) && is_same_text(a->path, b->path) &&
	       is_same_text(a->url, b->url) && is_same_text(a->text, b->text);
}

static bool are_same_networks(const struct config_prefixes *a, const struct config_prefixes *b)
{
	return a->count == b->count &&
	       (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(a->items[0])) == 0);
}

static bool is_same_listen(const struct config_listen *a, const struct config_listen *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

static bool are_same_options(const struct config_options *a, const struct config_options *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!is_same_text(a->items[i].name, b->items[i].name) ||
		    !is_same_text(a->items[i].value, b->items[i].value))
			return false;
	return true;
}

static bool are_same_arguments(const struct config_arguments *a, const struct config_arguments *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!is_same_text(a->items[i], b->items[i]))
			return false;
	return true;
}

bool config_key_is_equal(const struct config_key *key, const void *a, const void *b)
{
	const void *one = (const char *)a + key->offset, *other = (const char *)b + key->offset;

	switch (key->type) {
	case CONFIG_KEY_NETWORKS:
		return are_same_networks(one, other);
	case CONFIG_KEY_LISTEN:
		return is_same_listen(one, other);
	case CONFIG_KEY_OPTIONS:
		return are_same_options(one, other);
	case CONFIG_KEY_ARGUMENTS:
		return are_same_arguments(one, other);
	case CONFIG_KEY_ADDRESS:
		return is_same_address(one, other);
	case CONFIG_KEY_TEXT:
	case CONFIG_KEY_PATH:
	case CONFIG_KEY_TEMPLATE:
		return is_same_text(*(char *const *)one, *(char *const *)other);
	default:
		assert(sizes[key->type] > 0);
		return memcmp(one, other, sizes[key->type]) == 0;
	}
}

bool config_exporter_is_equal(const struct config_exporter *a, const struct config_exporter *b)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (config_key_is_of_exporter(&config_keys[i]) &&
		    !config_key_is_equal(&config_keys[i], a, b))
			return false;
	return true;
}

static bool copy_text(char *const *from, char **to)
{
	*to = *from ? strdup(*from) : NULL;
	return *to || !*from;
}

static bool copy_address(const struct config_address *from, struct config_address *to)
{
	bool good = true;

	*to = (struct config_address){.transport = from->transport, .port = from->port};
	good &= copy_text(&from->text, &to->text);
	good &= copy_text(&from->host, &to->host);
	good &= copy_text(&from->path, &to->path);
	good &= copy_text(&from->url, &to->url);
	return good;
}

static bool copy_options(const struct config_options *from, struct config_options *to)
{
	bool good = true;

	*to = (struct config_options){.items = NULL};
	if (from->count == 0)
		return true;
	to->items = calloc(from->count, sizeof(to->items[0]));
	if (!to->items)
		return false;
	to->count = from->count;
	for (size_t i = 0; i < from->count; i++) {
		to->items[i] = (struct config_option){.line = from->items[i].line,
						      .column = from->items[i].column};
		good &= copy_text(&from->items[i].name, &to->items[i].name);
		good &= copy_text(&from->items[i].value, &to->items[i].value);
	}
	return good;
}

static bool copy_key(const struct config_key *key, const void *from, void *to)
{
	const void *member = (const char *)from + key->offset;
	void *copy = (char *)to + key->offset;

	switch (key->type) {
	case CONFIG_KEY_OPTIONS:
		return copy_options(member, copy);
	case CONFIG_KEY_ADDRESS:
		return copy_address(member, copy);
	case CONFIG_KEY_TEXT:
	case CONFIG_KEY_PATH:
	case CONFIG_KEY_TEMPLATE:
		return copy_text(member, copy);
	default:
		assert(sizes[key->type] > 0); /* what owns something has a case of its own */
		memcpy(copy, member, sizes[key->type]);
		return true;
	}
}

int config_exporter_copy(const struct config_exporter *from, struct config_exporter *ret)
{
	struct config_exporter copy = {.active_timeout_ns = from->active_timeout_ns,
				       .idle_timeout_ns = from->idle_timeout_ns,
				       .line = from->line,
				       .column = from->column};
	bool good = true;

	for (size_t i = 0; i < config_key_count; i++)
		if (config_key_is_of_exporter(&config_keys[i]))
			good &= copy_key(&config_keys[i], from, &copy);
	if (!good) {
		config_exporter_fini(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}
