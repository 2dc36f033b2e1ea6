/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The daemon's counters under names: one row each, of which the control socket, the metrics, and the
 * log's summary are made. The rows themselves stand in daemon/counters.c, which knows the modules. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum statistic_kind {
	STATISTIC_COUNTER, /* only rises */
	STATISTIC_GAUGE,
	STATISTIC_LOSS,	      /* a counter of what was thrown away, or may be missing */
	STATISTIC_SECONDS,    /* a counter of nanoseconds; metrics tell seconds */
	STATISTIC_GAUGE_ONCE, /* seconds since 1970, kept in nanoseconds */
};

/* What a gauge holds where it is not known: it is left out then. */
#define STATISTIC_UNKNOWN UINT64_MAX

struct statistic {
	const char *group, *name, *help;
	enum statistic_kind kind;
	unsigned source; /* number in struct statistics */
	size_t offset;	 /* of a uint64_t there, the first of "count" */
	/* Rows of several values: each under its label. NULL: one value. A label NULL: left out. */
	const char *label_key;
	const char *(*get_label)(unsigned number);
	unsigned count;
};

enum { STATISTICS_SOURCES_MAX = 24 };

/* One of several structs of the same kind: an exporter. */
struct statistics_instance {
	const char *name, *type, *to;
	const void *values;
};

/* The values as they stand, all borrowed. */
struct statistics {
	const struct statistic *rows;
	size_t row_count;
	const void *sources[STATISTICS_SOURCES_MAX]; /* NULL: that part is not there */
	unsigned instance_source; /* the source that stands for each of "instances" */
	const struct statistics_instance *instances;
	size_t instance_count;
};

struct statistic_value {
	const struct statistic *row;
	const char *label;			    /* NULL: none */
	const struct statistics_instance *instance; /* NULL: none */
	uint64_t value;
};

/* Every value that is known, row after row. Pure, as all of these. */
void statistics_walk(const struct statistics *statistics,
		     void (*on_value)(void *userdata, const struct statistic_value *value),
		     void *userdata);

/* {"group":{"name":1,"name":{"label":2}},...,"losses":{"group.name":3}} without the instances'; the
 * caller's object is open. Losses are those that are not 0, the instances' among them. */
void statistics_encode_json(const struct statistics *statistics, struct buffer *out);
/* An object with one instance's values. */
void statistics_encode_instance(const struct statistics *statistics,
				const struct statistics_instance *instance, struct buffer *out);

/* Prometheus' text exposition format 0.0.4: procflow_GROUP_NAME_total{label="..."} and so on, with HELP
 * and TYPE. */
void statistics_encode_metrics(const struct statistics *statistics, struct buffer *out);
