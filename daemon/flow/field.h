/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The field catalogue (fields.def) as a table: what templates, JSON keys and the documentation are
 * made from. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "flow/flow_record.h"

enum {
	FIELD_PEN_NTOP = 35632,
	FIELD_PEN_REVERSE = 29305, /* RFC 5103 6.1 */
	FIELD_V9_NTOP = 57472,	   /* NetFlow v9 id of an ntop field = this + its IPFIX id */
	FIELD_VARIABLE = 0xffff,   /* IPFIX length of a string: RFC 7011 7 */
};

enum field_kind {
	FIELD_KIND_UNSIGNED, /* a member of 1, 2, 4 or 8 bytes */
	FIELD_KIND_ADDRESS4,
	FIELD_KIND_ADDRESS6,
	FIELD_KIND_TEXT,
	FIELD_KIND_UPTIME, /* monotonic ns; see FIRST_SWITCHED */
	FIELD_KIND_METHOD, /* enum ownership_method, as a word */
	FIELD_KIND_REASON, /* enum ownership_reason, as a word */
	FIELD_KIND_USER,   /* struct text in src, or in dst */
	FIELD_KIND_MAC,	   /* 6 bytes */
	FIELD_KIND_LATENCY, /* microseconds: in JSON milliseconds with three decimals, else rounded */
};

/* Which of the built-in selections a field belongs to. */
enum field_set {
	FIELD_SET_PROCFLOW = 1 << 0,
	FIELD_SET_STANDARD = 1 << 1,
	FIELD_SET_JSON = 1 << 2,
	FIELD_SET_NTOPNG = 1 << 3,
	FIELD_SET_NOT_NETFLOW9 = 1 << 7, /* of those that it is in, not in NetFlow v9 */
};

struct field {
	const char *name;
	uint64_t parts;	 /* known when any of these is; 0: always */
	uint16_t offset; /* in struct flow_record */
	uint8_t size;	 /* of the member */
	uint8_t kind;	 /* enum field_kind */
	uint16_t v9_id, v9_width;
	uint16_t ipfix_id, ipfix_width;
	uint32_t pen;
	uint8_t sets; /* FIELD_SET_ */
	const char *meaning;
};

enum field_index {
#define FLOW_FIELD(name, ...) FIELD_##name,
#define END_FIELD(name, ...)
#include "flow/fields.def"
#undef FLOW_FIELD
#undef END_FIELD
#define FLOW_FIELD(name, ...)
#define END_FIELD(name, ...) FIELD_SRC_##name,
#include "flow/fields.def"
#undef END_FIELD
#define END_FIELD(name, ...) FIELD_DST_##name,
#include "flow/fields.def"
#undef FLOW_FIELD
#undef END_FIELD
	FIELD_COUNT,
};

extern const struct field field_table[FIELD_COUNT];

static inline bool field_is_known(const struct field *field, uint64_t parts)
{
	return field->parts == RECORD_ALWAYS || (field->parts & parts) != 0;
}

/* The value of a FIELD_KIND_UNSIGNED field. */
uint64_t field_get_unsigned(const struct field *field, const struct flow_record *record);

/* The built-in selection of that name ("procflow", "standard", "ntopng"). 0, or -EINVAL. */
int field_set_parse(const char *name, enum field_set *ret_set);

/* The field of that name, or FIELD_COUNT. */
enum field_index field_find(struct text name);
/* The nearest name there is, for people, or NULL. */
const char *field_find_nearest(const char *name);

/* A selection of users' own, in their order. */
struct field_list {
	size_t count;
	uint8_t items[FIELD_COUNT];   /* enum field_index */
	uint16_t widths[FIELD_COUNT]; /* bytes; 0: the catalogue's */
};

/* Named outcomes. */
enum {
	FIELD_LIST_E_UNKNOWN = 1, /* there is no such field */
	FIELD_LIST_E_TWICE = 2,	  /* it is in the list already */
	FIELD_LIST_E_WIDTH = 3,	  /* field_takes_width() says no */
};

enum { FIELD_TEXT_MOST = 1024 }; /* bytes that a user may ask for */

/* Whether "text" is a list rather than the name of a built-in selection: it has a '%' or a blank. */
bool field_list_is_one(const char *text);
/* Whether it can be that many bytes: texts, and counters reduced to 4 (RFC 7011 6.2); never what saturated
 * would be another value, as a time. */
bool field_takes_width(const struct field *field, unsigned long width);
/* Adds the fields that "text" names as nProbe's -T does: "%IPV4_SRC_ADDR %L4_SRC_PORT"; the '%' may
 * be missing, and a width may follow: "%SRC_PROC_NAME:32". 0; at the first wrong name or width an outcome,
 * and *ret_wrong is that in "text". */
int field_list_parse(struct field_list *list, const char *text, struct text *ret_wrong);
/* The field that place "i" stands for: in IPFIX FIRST_ and LAST_SWITCHED, which nProbe's users write,
 * are the times that it has numbers for. */
enum field_index field_list_translate(const struct field_list *list, size_t i, bool is_ipfix);
/* Puts behind each address of one family that of the other where it is not named: a template for
 * IPv4 alone would leave the others' addresses out. As nProbe does it. */
void field_list_complete_families(struct field_list *list);
