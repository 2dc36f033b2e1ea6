/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/process_field.h"

#define PROCESS_END(part)  RECORD_END(RECORD_SRC, END_##part)
#define PROCESS_LIFE(part) RECORD_LIFE(LIFE_##part)

const struct field process_field_table[PROCESS_FIELD_COUNT] = {
#define PROCESS_FIELD(name_, kind_, member_, parts_, v9_, ipfix_, pen_, v9_width_, ipfix_width_,   \
		      meaning_)                                                                    \
	{                                                                                          \
		.name = #name_,                                                                    \
		.parts = (parts_),                                                                 \
		.offset = offsetof(struct flow_record, member_),                                   \
		.size = sizeof(((struct flow_record *)0)->member_),                                \
		.kind = FIELD_KIND_##kind_,                                                        \
		.v9_id = (v9_),                                                                    \
		.v9_width = (v9_width_),                                                           \
		.ipfix_id = (ipfix_),                                                              \
		.ipfix_width = (ipfix_width_),                                                     \
		.pen = (pen_),                                                                     \
		.sets = FIELD_SET_JSON | ((ipfix_) ? FIELD_SET_PROCFLOW : 0),                      \
		.meaning = (meaning_),                                                             \
	},
#include "flow/process_fields.def"
#undef PROCESS_FIELD
};
