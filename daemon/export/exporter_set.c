/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include "export/exporter_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/compare.h"
#include "runtime/log.h"

#define LOOK_EVERY_NS (20 * NS_PER_MS)

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
			r = exporter_new_after(present, wanted, context, &next->items[i]);
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

	*set = (struct exporter_set){.items = NULL};
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

static void settle(struct exporter_set *set, struct exporter *exporter)
{
	struct exporter *after = find_named(set, exporter_get_name(exporter));

	if (after)
		exporter_settle(after, exporter);
	exporter_free(exporter);
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	struct exporter_set *set = userdata;
	size_t left = 0;

	for (size_t i = 0; i < set->retired_count; i++)
		if (exporter_is_done(set->retired[i]))
			settle(set, set->retired[i]);
		else
			set->retired[left++] = set->retired[i];
	set->retired_count = left;
	if (left > 0)
		(void)loop_source_set_time(set->timer, now_ns + LOOK_EVERY_NS);
}

static void retire(struct exporter_set *set, struct exporter *exporter)
{
	struct exporter **retired;

	exporter_retire(exporter);
	retired = exporter_is_done(exporter) ? NULL
					     : reallocarray(set->retired, set->retired_count + 1,
							    sizeof(set->retired[0]));
	if (!retired) {
		settle(set, exporter);
		return;
	}
	set->retired = retired;
	retired[set->retired_count++] = exporter;
	(void)loop_source_set_time(set->timer, clock_now_ns() + LOOK_EVERY_NS);
}

int exporter_set_change(struct exporter_set *set, const struct config *config,
			const struct exporter_context *context)
{
	struct exporter_set next = {.items = NULL}, before = *set;
	struct exporter_context own = *context;
	int r = 0;

	own.template_ids = &set->template_ids;
	if (!set->timer)
		r = loop_add_timer(context->loop, UINT64_MAX, on_timer, set, &set->timer);
	if (r == 0)
		r = open_all(&next, set, config, &own);
	if (r < 0) {
		close_others(&next, set);
		free(next.items);
		return r;
	}
	set->items = next.items;
	set->count = next.count;
	for (size_t i = 0; i < next.count; i++)
		tell_change(find_named(&before, exporter_get_name(next.items[i])), next.items[i]);
	for (size_t i = 0; i < before.count; i++) {
		struct exporter *after = find_named(&next, exporter_get_name(before.items[i]));

		if (after == before.items[i])
			continue;
		if (!after)
			tell_change(before.items[i], NULL);
		if (after && exporter_take_over(after, before.items[i]))
			exporter_free(before.items[i]);
		else
			retire(set, before.items[i]);
	}
	free(before.items);
	return 0;
}

void exporter_set_close(struct exporter_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		exporter_free(set->items[i]);
	for (size_t i = 0; i < set->retired_count; i++)
		exporter_free(set->retired[i]);
	loop_source_free(set->timer);
	free(set->items);
	free(set->retired);
	set->items = set->retired = NULL;
	set->count = set->retired_count = 0;
	set->timer = NULL;
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
