/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/field.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/macros.h"

#define EVERYWHERE     (FIELD_SET_PROCFLOW | FIELD_SET_STANDARD | FIELD_SET_NTOPNG | FIELD_SET_JSON)
#define NUMBERED       (FIELD_SET_PROCFLOW | FIELD_SET_NTOPNG | FIELD_SET_JSON)
#define NTOP	       FIELD_PEN_NTOP
#define WITH_NUMBER    (FIELD_SET_PROCFLOW | FIELD_SET_NTOPNG)
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
		 v9_width_, ipfix_width_, FIELD_SET_JSON | ((ipfix_) ? WITH_NUMBER : 0), meaning_)

const struct field field_table[FIELD_COUNT] = {
#define FLOW_FIELD(...) FLOW_ROW(__VA_ARGS__)
#define END_FIELD(...)
#include "flow/fields.def"
#undef FLOW_FIELD
#undef END_FIELD
#define FLOW_FIELD(...)
#define END_FIELD(name, kind, member, parts, src_v9, src_ipfix, dst_v9, dst_ipfix, ...)            \
	END_ROW(SRC_##name, kind, src.member, (parts) << RECORD_SRC, src_v9, src_ipfix, __VA_ARGS__)
#include "flow/fields.def"
#undef END_FIELD
#define END_FIELD(name, kind, member, parts, src_v9, src_ipfix, dst_v9, dst_ipfix, ...)            \
	END_ROW(DST_##name, kind, dst.member, (parts) << RECORD_DST, dst_v9, dst_ipfix, __VA_ARGS__)
#include "flow/fields.def"
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
	} sets[] = {{"procflow", FIELD_SET_PROCFLOW},
		    {"standard", FIELD_SET_STANDARD},
		    {"ntopng", FIELD_SET_NTOPNG}};

	for (size_t i = 0; i < array_length(sets); i++)
		if (strcmp(name, sets[i].name) == 0) {
			*ret_set = sets[i].set;
			return 0;
		}
	return -EINVAL;
}

enum field_index field_find(struct text name)
{
	for (unsigned i = 0; i < FIELD_COUNT; i++)
		if (strlen(field_table[i].name) == name.length &&
		    memcmp(field_table[i].name, name.at, name.length) == 0)
			return i;
	return FIELD_COUNT;
}

const char *field_find_nearest(const char *name)
{
	const char *names[FIELD_COUNT];

	for (size_t i = 0; i < FIELD_COUNT; i++)
		names[i] = field_table[i].name;
	return text_find_nearest(name, names, FIELD_COUNT);
}

bool field_list_is_one(const char *text)
{
	return text[strcspn(text, "% \t\r\n")] != '\0';
}

static bool has_field(const struct field_list *list, enum field_index field)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i] == field)
			return true;
	return false;
}

bool field_takes_width(const struct field *field, unsigned long width)
{
	enum { WHOLE_COUNTER = 8, REDUCED_COUNTER = 4 };

	if (field->kind == FIELD_KIND_TEXT || field->kind == FIELD_KIND_USER)
		return width >= 1 && width <= FIELD_TEXT_MOST;
	return width == field->v9_width ||
	       (width == REDUCED_COUNTER && field->v9_width == WHOLE_COUNTER &&
		field->kind == FIELD_KIND_UNSIGNED && field->parts != RECORD_ALWAYS);
}

/* What stands behind a field's name: nothing, or a colon and digits. */
static bool parse_width(struct text text, const struct field *field, uint16_t *ret_width)
{
	unsigned long width = 0;

	*ret_width = 0;
	if (text.length == 0)
		return true;
	for (size_t i = 1; i < text.length; i++) {
		if (text.at[i] < '0' || text.at[i] > '9' || width > FIELD_TEXT_MOST)
			return false;
		width = 10 * width + (unsigned long)(text.at[i] - '0');
	}
	*ret_width = (uint16_t)width;
	return field_takes_width(field, width);
}

int field_list_parse(struct field_list *list, const char *text, struct text *ret_wrong)
{
	for (;;) {
		struct text name, width;
		enum field_index field;

		text += strspn(text, "% \t\r\n");
		if (*text == '\0')
			return 0;
		name = (struct text){.at = text, .length = strcspn(text, ":% \t\r\n")};
		text += name.length;
		width = (struct text){.at = text, .length = strcspn(text, "% \t\r\n")};
		text += width.length;
		field = field_find(name);
		if (field == FIELD_COUNT || has_field(list, field)) {
			*ret_wrong = name;
			return field == FIELD_COUNT ? FIELD_LIST_E_UNKNOWN : FIELD_LIST_E_TWICE;
		}
		if (!parse_width(width, &field_table[field], &list->widths[list->count])) {
			*ret_wrong = (struct text){name.at, name.length + width.length};
			return FIELD_LIST_E_WIDTH;
		}
		list->items[list->count++] = (uint8_t)field;
	}
}

enum field_index field_list_translate(const struct field_list *list, size_t i, bool is_ipfix)
{
	if (is_ipfix && list->items[i] == FIELD_FIRST_SWITCHED)
		return FIELD_FLOW_START_MILLISECONDS;
	if (is_ipfix && list->items[i] == FIELD_LAST_SWITCHED)
		return FIELD_FLOW_END_MILLISECONDS;
	return list->items[i];
}

static enum field_index find_twin(enum field_index field)
{
	static const enum field_index pairs[][2] = {
		{FIELD_IPV4_SRC_ADDR, FIELD_IPV6_SRC_ADDR},
		{FIELD_IPV4_DST_ADDR, FIELD_IPV6_DST_ADDR},
		{FIELD_POST_NAT_SRC_IPV4_ADDR, FIELD_POST_NAT_SRC_IPV6_ADDR},
		{FIELD_POST_NAT_DST_IPV4_ADDR, FIELD_POST_NAT_DST_IPV6_ADDR},
	};

	for (size_t i = 0; i < array_length(pairs); i++)
		for (size_t j = 0; j < 2; j++)
			if (pairs[i][j] == field)
				return pairs[i][1 - j];
	return FIELD_COUNT;
}

void field_list_complete_families(struct field_list *list)
{
	struct field_list whole = {0};

	for (size_t i = 0; i < list->count; i++) {
		enum field_index twin = find_twin(list->items[i]);

		whole.widths[whole.count] = list->widths[i];
		whole.items[whole.count++] = list->items[i];
		if (twin != FIELD_COUNT && !has_field(list, twin))
			whole.items[whole.count++] = (uint8_t)twin;
	}
	*list = whole;
}
