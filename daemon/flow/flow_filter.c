/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/flow_filter.h"

static bool has_end_in(const struct ip_prefix *prefixes, size_t count, const struct flow_key *key)
{
	for (size_t i = 0; i < count; i++)
		if (ip_prefix_contains(&prefixes[i], key->family, &key->tuple.src) ||
		    ip_prefix_contains(&prefixes[i], key->family, &key->tuple.dst))
			return true;
	return false;
}

bool flow_filter_passes(const struct flow_filter *filter, const struct flow_key *key)
{
	if (filter->include_count && !has_end_in(filter->include, filter->include_count, key))
		return false;
	return !has_end_in(filter->exclude, filter->exclude_count, key);
}
