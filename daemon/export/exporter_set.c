/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include "export/exporter_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/compare.h"
#include "runtime/log.h"

static struct exporter *find_named(const struct exporter_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i] && strcmp(exporter_get_name(set->items[i]), name) == 0)
			return set->items[i];
	return NULL;
}

static bool has(const struct exporter_set *set, const struct exporter *exporter)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i] == exporter)
			return true;
	return false;
}

/* The members of "next" that are not of "before". */
static void close_others(struct exporter_set *next, const struct exporter_set *before)
{
	for (size_t i = 0; i < next->count; i++)
		if (next->items[i] && !has(before, next->items[i]))
			exporter_free(next->items[i]);
}

/* Into "next", borrowing from "before" what stays as it is. */
static int open_all(struct exporter_set *next, const struct exporter_set *before,
		    const struct config *config, const struct exporter_context *context)
{
	next->items = calloc(config->exporter_count + 1, sizeof(struct exporter *));
	if (!next->items)
		return -ENOMEM;
	for (size_t i = 0; i < config->exporter_count; i++) {
		const struct config_exporter *wanted = &config->exporters[i];
		struct exporter *present = find_named(before, wanted->name);
		int r = 0;

		if (present && config_exporter_is_equal(exporter_get_config(present), wanted))
			next->items[i] = present;
		else
			r = exporter_new(wanted, context, &next->items[i]);
		if (r < 0)
			return r;
		next->count++;
	}
	return 0;
}

static void replace(struct exporter_set *set, const struct exporter_set *next)
{
	set->items = next->items;
	set->count = next->count;
}

int exporter_set_open(struct exporter_set *set, const struct config *config,
		      const struct exporter_context *context)
{
	const struct exporter_set none = {.items = NULL};
	struct exporter_set next = {.items = NULL};
	struct exporter_context own = *context;
	int r;

	set->template_ids = (struct template_ids){0};
	own.template_ids = &set->template_ids;
	r = open_all(&next, &none, config, &own);
	if (r < 0)
		exporter_set_close(&next);
	else
		replace(set, &next);
	return r;
}

static void tell_change(const struct exporter *before, const struct exporter *after)
{
	if (before == after)
		return;
	log_notice("%s: %s", exporter_get_name(after ? after : before),
		   !before  ? "added"
		   : !after ? "removed"
			    : "changed");
}

int exporter_set_change(struct exporter_set *set, const struct config *config,
			const struct exporter_context *context)
{
	struct exporter_set next = {.items = NULL};
	struct exporter_context own = *context;
	int r;

	own.template_ids = &set->template_ids;
	r = open_all(&next, set, config, &own);
	if (r < 0) {
		close_others(&next, set);
		free(next.items);
		return r;
	}
	for (size_t i = 0; i < next.count; i++)
		tell_change(find_named(set, exporter_get_name(next.items[i])), next.items[i]);
	for (size_t i = 0; i < set->count; i++) {
		struct exporter *after = find_named(&next, exporter_get_name(set->items[i]));

		if (after == set->items[i])
			continue;
		if (after)
			exporter_take_waiting(after, set->items[i]);
		else
			tell_change(set->items[i], NULL);
		exporter_free(set->items[i]);
	}
	free(set->items);
	replace(set, &next);
	return 0;
}

void exporter_set_close(struct exporter_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		exporter_free(set->items[i]);
	free(set->items);
	set->items = NULL;
	set->count = 0;
}

void exporter_set_reopen(const struct exporter_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		exporter_reopen(set->items[i]);
}

bool exporter_set_is_closed(const struct exporter_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!exporter_is_closed(set->items[i]))
			return false;
	return set->count > 0;
}
