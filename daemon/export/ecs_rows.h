/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which name of the Elastic Common Schema stands for which field: tables for ecs.c. */

#include <stdbool.h>
#include <stddef.h>

#include "flow/field.h"

#define ECS_VERSION "8.11.0"

enum ecs_kind {
	ECS_VALUE,  /* the field as it stands in JSON */
	ECS_PORT,   /* where the protocol has ports */
	ECS_STRING, /* a number, in quotes */
	ECS_MAC,    /* with dashes, RFC 7042 2.1 */
	ECS_DATE,   /* milliseconds since 1970 */
	ECS_RAW,    /* a constant */
	ECS_EVENT_TYPE,
	ECS_PROCESS_EVENT_TYPE,
	ECS_SEQUENCE,
	ECS_DURATION,
	ECS_IS_FINAL,
	ECS_FAMILY,
	ECS_TRANSPORT,
	ECS_ALL_BYTES,
	ECS_ALL_PACKETS,
};

/* One name; rows of one object stand together. */
struct ecs_row {
	const char *object, *key;
	uint8_t kind;  /* enum ecs_kind */
	uint8_t field; /* in the catalogue: the value, or what must be known of it */
	bool is_main;  /* of the source's end, or of the destination's */
	const char *raw;
};

/* What a line of one kind of record is made of. */
struct ecs_record_kind {
	const struct ecs_row *rows;
	size_t row_count;
	const struct field *fields; /* the catalogue */
	size_t field_count;
	const bool *has_name; /* by field: it stands in a row, or is told by another one */
	bool is_process;
};

enum { ECS_FLOWS, ECS_PROCESSES, ECS_RECORD_KINDS };
extern const struct ecs_record_kind ecs_record_kinds[ECS_RECORD_KINDS];
