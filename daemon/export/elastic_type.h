/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What Elasticsearch and OpenSearch should take a field of the catalogue for. */

#include "flow/field.h"

struct elastic_type {
	const char *name;   /* "ip", "keyword", "long", "date", ... */
	const char *format; /* of a date, or NULL */
};

struct elastic_type elastic_type_of(const struct field *field);
