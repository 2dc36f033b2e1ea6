/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/field.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"

#define EVERYWHERE     (FIELD_SET_PROCFLOW | FIELD_SET_STANDARD | FIELD_SET_JSON)
#define VARIABLE       FIELD_VARIABLE
#define END_PART(part) (1ull << END_##part)

#define MEMBER_SIZE(member) sizeof(((struct flow_record *)0)->member)

#define FLOW_ROW(name_, kind_, member_, parts_, v9_, ipfix_, pen_, v9_width_, ipfix_width_, sets_, \
		 meaning_)                                                                         \
	{                                                                                          \
		.name = #name_,                                                                    \
		.parts = (parts_),                                                                 \
		.offset = offsetof(struct flow_record, member_),                                   \
		.size = MEMBER_SIZE(member_),                                                      \
		.kind = FIELD_KIND_##kind_,                                                        \
		.v9_id = (v9_),                                                                    \
		.v9_width = (v9_width_),                                                           \
		.ipfix_id = (ipfix_),                                                              \
		.ipfix_width = (ipfix_width_),                                                     \
		.pen = (pen_),                                                                     \
		.sets = (sets_),                                                                   \
		.meaning = (meaning_),                                                             \
	},

/* What has no number of ntop's stays in JSON. */
#define END_ROW(name_, kind_, member_, parts_, v9_, ipfix_, v9_width_, ipfix_width_, meaning_)     \
	FLOW_ROW(name_, kind_, member_, parts_, v9_, ipfix_, (ipfix_) ? FIELD_PEN_NTOP : 0,        \
		 v9_width_, ipfix_width_, FIELD_SET_JSON | ((ipfix_) ? FIELD_SET_PROCFLOW : 0),    \
		 meaning_)

const struct field field_table[FIELD_COUNT] = {
#define FLOW_FIELD(...) FLOW_ROW(__VA_ARGS__)
#define END_FIELD(...)
#include "export/fields.def"
#undef FLOW_FIELD
#undef END_FIELD
#define FLOW_FIELD(...)
#define END_FIELD(name, kind, member, parts, src_v9, src_ipfix, dst_v9, dst_ipfix, ...)            \
	END_ROW(SRC_##name, kind, src.member, (parts) << RECORD_SRC, src_v9, src_ipfix, __VA_ARGS__)
#include "export/fields.def"
#undef END_FIELD
#define END_FIELD(name, kind, member, parts, src_v9, src_ipfix, dst_v9, dst_ipfix, ...)            \
	END_ROW(DST_##name, kind, dst.member, (parts) << RECORD_DST, dst_v9, dst_ipfix, __VA_ARGS__)
#include "export/fields.def"
#undef FLOW_FIELD
#undef END_FIELD
};

uint64_t field_get_unsigned(const struct field *field, const struct flow_record *record)
{
	const uint8_t *at = (const uint8_t *)record + field->offset;

	switch (field->size) {
	case 1:
		return *at;
	case 2:
		return *(const uint16_t *)(const void *)at;
	case 4:
		return *(const uint32_t *)(const void *)at;
	default:
		return *(const uint64_t *)(const void *)at;
	}
}

int field_set_parse(const char *name, enum field_set *ret_set)
{
	static const struct {
		const char *name;
		enum field_set set;
	} sets[] = {{"procflow", FIELD_SET_PROCFLOW}, {"standard", FIELD_SET_STANDARD}};

	for (size_t i = 0; i < array_length(sets); i++)
		if (strcmp(name, sets[i].name) == 0) {
			*ret_set = sets[i].set;
			return 0;
		}
	return -EINVAL;
}
