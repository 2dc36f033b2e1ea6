/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/elastic_type.h"

#include <string.h>

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), end_length = strlen(end);

	return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

struct elastic_type elastic_type_of(const struct field *field)
{
	switch ((enum field_kind)field->kind) {
	case FIELD_KIND_ADDRESS4:
	case FIELD_KIND_ADDRESS6:
		return (struct elastic_type){"ip", NULL};
	case FIELD_KIND_UPTIME:
		return (struct elastic_type){"date", "epoch_second"};
	case FIELD_KIND_UNSIGNED:
		if (ends_with(field->name, "_MILLISECONDS"))
			return (struct elastic_type){"date", "epoch_millis"};
		/* There are no unsigned ones but of 64 bits. */
		return (struct elastic_type){field->size < 4 ? "integer" : "long", NULL};
	case FIELD_KIND_LATENCY:
		return (struct elastic_type){"float", NULL};
	default:
		return (struct elastic_type){"keyword", NULL};
	}
}
