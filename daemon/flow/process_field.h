/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The catalogue of process records (process_fields.def) as a table. Its rows are read from records
 * with RECORD_PROCESS, as those of field.h are from all others. */

#include "flow/field.h"

enum process_field_index {
#define PROCESS_FIELD(name, ...) PROCESS_FIELD_##name,
#include "flow/process_fields.def"
#undef PROCESS_FIELD
	PROCESS_FIELD_COUNT,
};

extern const struct field process_field_table[PROCESS_FIELD_COUNT];
