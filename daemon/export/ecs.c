/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A table of rows in the order of the objects they stand in. An object is opened with its first
 * member that is known, so that none is empty. */

#include "export/ecs.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "export/digits.h"
#include "export/elastic_type.h"
#include "export/json_value.h"
#include "flow/field.h"

enum {
	/* Of all rows together, names and constants; of one value, twice: at the top and at its end. */
	FRAME_BYTES = 4096,
	NAME_BYTES = 96,
	DST_AFTER_SRC = FIELD_DST_PROC_ATTRIBUTION - FIELD_SRC_PROC_ATTRIBUTION,
};

enum ecs_kind {
	ECS_VALUE,  /* the field as it stands in JSON */
	ECS_PORT,   /* where the protocol has ports */
	ECS_STRING, /* a number, in quotes */
	ECS_MAC,    /* with dashes, RFC 7042 2.1 */
	ECS_DATE,   /* milliseconds since 1970 */
	ECS_RAW,    /* a constant */
	ECS_EVENT_TYPE,
	ECS_SEQUENCE,
	ECS_DURATION,
	ECS_IS_FINAL,
	ECS_FAMILY,
	ECS_TRANSPORT,
	ECS_ALL_BYTES,
	ECS_ALL_PACKETS,
};

struct ecs_row {
	const char *object, *key;
	uint8_t kind;  /* enum ecs_kind */
	uint8_t field; /* enum field_index: the value, or what must be known of it */
	bool is_main;  /* of the source's end, or of the destination's */
	const char *raw;
};

/* What is known of one end, under "prefix". */
#define END_ROWS(prefix, side, is_main_)                                                           \
	{prefix "process", "pid", ECS_VALUE, FIELD_##side##_PROC_PID, is_main_, NULL},             \
		{prefix "process", "name", ECS_VALUE, FIELD_##side##_PROC_NAME, is_main_, NULL},   \
		{prefix "process",	  "executable", ECS_VALUE,                                 \
		 FIELD_##side##_PROC_EXE, is_main_,	NULL},                                     \
		{prefix "process", "command_line",                                                 \
		 ECS_VALUE,	   FIELD_##side##_PROC_CMDLINE,                                    \
		 is_main_,	   NULL},                                                          \
		{prefix "process", "start", ECS_DATE, FIELD_##side##_PROC_START_MILLISECONDS,      \
		 is_main_,	   NULL},                                                          \
		{prefix "process.parent",	 "pid",	   ECS_VALUE,                              \
		 FIELD_##side##_FATHER_PROC_PID, is_main_, NULL},                                  \
		{prefix "process.parent",	  "name",   ECS_VALUE,                             \
		 FIELD_##side##_FATHER_PROC_NAME, is_main_, NULL},                                 \
		{prefix "process.parent.user",	 "id",	   ECS_STRING,                             \
		 FIELD_##side##_FATHER_PROC_UID, is_main_, NULL},                                  \
		{prefix "process.parent.user",	       "name",	 ECS_VALUE,                        \
		 FIELD_##side##_FATHER_PROC_USER_NAME, is_main_, NULL},                            \
		{prefix "user", "id", ECS_STRING, FIELD_##side##_PROC_UID, is_main_, NULL},        \
		{prefix "user", "name", ECS_VALUE, FIELD_##side##_PROC_USER_NAME, is_main_, NULL}, \
		{prefix "container", "id", ECS_VALUE, FIELD_##side##_PROC_CONTAINER_ID,            \
		 is_main_,	     NULL},                                                        \
	{                                                                                          \
		prefix "package", "name", ECS_VALUE, FIELD_##side##_PROC_PKG_NAME, is_main_, NULL  \
	}

#define ROW(object, key, kind, field)                                                              \
	{                                                                                          \
		object, key, kind, FIELD_##field, false, NULL                                      \
	}
#define CONSTANT(object, key, literal)                                                             \
	{                                                                                          \
		object, key, ECS_RAW, FIELD_FLOW_ID, false, literal                                \
	}

static const struct ecs_row rows[] = {
	ROW("", "@timestamp", ECS_DATE, FLOW_END_MILLISECONDS),
	CONSTANT("ecs", "version", "\"" ECS_VERSION "\""),
	CONSTANT("event", "kind", "\"event\""),
	CONSTANT("event", "category", "[\"network\"]"),
	ROW("event", "type", ECS_EVENT_TYPE, FLOW_END_REASON),
	CONSTANT("event", "action", "\"network_flow\""),
	CONSTANT("event", "dataset", "\"procflow.flow\""),
	ROW("event", "sequence", ECS_SEQUENCE, FLOW_ID),
	ROW("event", "start", ECS_DATE, FLOW_START_MILLISECONDS),
	ROW("event", "end", ECS_DATE, FLOW_END_MILLISECONDS),
	ROW("event", "duration", ECS_DURATION, FLOW_END_MILLISECONDS),
	ROW("flow", "id", ECS_STRING, FLOW_ID),
	ROW("flow", "final", ECS_IS_FINAL, FLOW_END_REASON),
	ROW("network", "type", ECS_FAMILY, IP_PROTOCOL_VERSION),
	ROW("network", "iana_number", ECS_STRING, PROTOCOL),
	ROW("network", "transport", ECS_TRANSPORT, PROTOCOL),
	ROW("network", "bytes", ECS_ALL_BYTES, IN_BYTES),
	ROW("network", "packets", ECS_ALL_PACKETS, IN_PKTS),
	ROW("network.vlan", "id", ECS_STRING, SRC_VLAN),
	END_ROWS("", SRC, true),
	ROW("source", "ip", ECS_VALUE, IPV4_SRC_ADDR),
	ROW("source", "ip", ECS_VALUE, IPV6_SRC_ADDR),
	ROW("source", "mac", ECS_MAC, IN_SRC_MAC),
	ROW("source", "port", ECS_PORT, L4_SRC_PORT),
	ROW("source", "bytes", ECS_VALUE, IN_BYTES),
	ROW("source", "packets", ECS_VALUE, IN_PKTS),
	ROW("source.nat", "ip", ECS_VALUE, POST_NAT_SRC_IPV4_ADDR),
	ROW("source.nat", "ip", ECS_VALUE, POST_NAT_SRC_IPV6_ADDR),
	ROW("source.nat", "port", ECS_VALUE, POST_NAPT_SRC_TRANSPORT_PORT),
	END_ROWS("source.", SRC, false),
	ROW("destination", "ip", ECS_VALUE, IPV4_DST_ADDR),
	ROW("destination", "ip", ECS_VALUE, IPV6_DST_ADDR),
	ROW("destination", "mac", ECS_MAC, OUT_DST_MAC),
	ROW("destination", "port", ECS_PORT, L4_DST_PORT),
	ROW("destination", "bytes", ECS_VALUE, OUT_BYTES),
	ROW("destination", "packets", ECS_VALUE, OUT_PKTS),
	ROW("destination.nat", "ip", ECS_VALUE, POST_NAT_DST_IPV4_ADDR),
	ROW("destination.nat", "ip", ECS_VALUE, POST_NAT_DST_IPV6_ADDR),
	ROW("destination.nat", "port", ECS_VALUE, POST_NAPT_DST_TRANSPORT_PORT),
	END_ROWS("destination.", DST, false),
};

#define HAS_NAME(field)	    [FIELD_##field] = true
#define END_HAS_NAME(field) [FIELD_SRC_##field] = true, [FIELD_DST_##field] = true

/* Those of the catalogue that stand in a row, and the two times that are there in milliseconds. */
static const bool has_name[FIELD_COUNT] = {
	HAS_NAME(FLOW_ID),
	HAS_NAME(IP_PROTOCOL_VERSION),
	HAS_NAME(PROTOCOL),
	HAS_NAME(IPV4_SRC_ADDR),
	HAS_NAME(IPV6_SRC_ADDR),
	HAS_NAME(L4_SRC_PORT),
	HAS_NAME(IPV4_DST_ADDR),
	HAS_NAME(IPV6_DST_ADDR),
	HAS_NAME(L4_DST_PORT),
	HAS_NAME(IN_SRC_MAC),
	HAS_NAME(OUT_DST_MAC),
	HAS_NAME(SRC_VLAN),
	HAS_NAME(POST_NAT_SRC_IPV4_ADDR),
	HAS_NAME(POST_NAT_DST_IPV4_ADDR),
	HAS_NAME(POST_NAT_SRC_IPV6_ADDR),
	HAS_NAME(POST_NAT_DST_IPV6_ADDR),
	HAS_NAME(POST_NAPT_SRC_TRANSPORT_PORT),
	HAS_NAME(POST_NAPT_DST_TRANSPORT_PORT),
	HAS_NAME(IN_BYTES),
	HAS_NAME(IN_PKTS),
	HAS_NAME(OUT_BYTES),
	HAS_NAME(OUT_PKTS),
	HAS_NAME(FIRST_SWITCHED),
	HAS_NAME(LAST_SWITCHED),
	HAS_NAME(FLOW_START_MILLISECONDS),
	HAS_NAME(FLOW_END_MILLISECONDS),
	END_HAS_NAME(PROC_PID),
	END_HAS_NAME(PROC_NAME),
	END_HAS_NAME(PROC_EXE),
	END_HAS_NAME(PROC_CMDLINE),
	END_HAS_NAME(PROC_START_MILLISECONDS),
	END_HAS_NAME(FATHER_PROC_PID),
	END_HAS_NAME(FATHER_PROC_NAME),
	END_HAS_NAME(FATHER_PROC_UID),
	END_HAS_NAME(FATHER_PROC_USER_NAME),
	END_HAS_NAME(PROC_UID),
	END_HAS_NAME(PROC_USER_NAME),
	END_HAS_NAME(PROC_CONTAINER_ID),
	END_HAS_NAME(PROC_PKG_NAME),
};

struct writer {
	char *at;
	const char *object; /* the path of the one that is open */
	bool is_empty;	    /* nothing stands in it yet */
};

static char *add_bytes(char *at, const char *text, size_t length)
{
	memcpy(at, text, length);
	return at + length;
}

static void add_key(struct writer *writer, const char *key, size_t length)
{
	if (!writer->is_empty)
		*writer->at++ = ',';
	writer->is_empty = false;
	*writer->at++ = '"';
	writer->at = add_bytes(writer->at, key, length);
	writer->at = add_bytes(writer->at, "\":", 2);
}

/* The length of the longest path that both are in, without the dot behind it. */
static size_t measure_common(const char *a, const char *b)
{
	size_t common = 0, i = 0;

	for (;; i++) {
		if ((a[i] == '\0' || a[i] == '.') && (b[i] == '\0' || b[i] == '.'))
			common = i;
		if (a[i] == '\0' || a[i] != b[i])
			return common;
	}
}

static void enter_object(struct writer *writer, const char *object)
{
	size_t common = measure_common(writer->object, object);
	const char *at;

	for (at = writer->object + common; *at; at++)
		if (*at == '.' || at == writer->object)
			*writer->at++ = '}';
	if (writer->object[common] != '\0')
		writer->is_empty = false;
	for (at = object + common; *at;) {
		size_t length;

		at += *at == '.';
		length = strcspn(at, ".");
		add_key(writer, at, length);
		*writer->at++ = '{';
		writer->is_empty = true;
		at += length;
	}
	writer->object = object;
}

static bool has_ports(const struct flow_record *record)
{
	switch (record->key.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		return true;
	default:
		return false;
	}
}

/* Names as IANA's list has them, in small letters. */
static const char *find_transport(uint8_t protocol)
{
	static const struct {
		uint8_t protocol;
		const char *name;
	} names[] = {
		{IPPROTO_ICMP, "icmp"}, {IPPROTO_IGMP, "igmp"},	      {IPPROTO_TCP, "tcp"},
		{IPPROTO_UDP, "udp"},	{IPPROTO_DCCP, "dccp"},	      {IPPROTO_GRE, "gre"},
		{IPPROTO_ESP, "esp"},	{IPPROTO_AH, "ah"},	      {IPPROTO_ICMPV6, "ipv6-icmp"},
		{IPPROTO_SCTP, "sctp"}, {IPPROTO_UDPLITE, "udplite"},
	};

	for (size_t i = 0; i < array_length(names); i++)
		if (names[i].protocol == protocol)
			return names[i].name;
	return NULL;
}

static bool is_final(const struct flow_record *record)
{
	return record->end_reason != FLOW_END_ACTIVE;
}

static bool row_is_known(const struct ecs_row *row, const struct field *field,
			 const struct flow_record *record)
{
	if (!json_value_is_written(field, record))
		return false;
	if (row->kind == ECS_PORT)
		return has_ports(record);
	if (row->kind == ECS_TRANSPORT)
		return find_transport(record->key.protocol) != NULL;
	return true;
}

static char *add_quoted(char *at, const char *text)
{
	return json_value_add_string(at, text_from(text));
}

static char *add_date(char *at, uint64_t epoch_ms)
{
	*at++ = '"';
	at = digits_add_timestamp(at, epoch_ms);
	*at++ = '"';
	return at;
}

static char *add_mac(char *at, const struct field *field, const struct flow_record *record)
{
	char *end = json_value_add(at, field, record);

	for (; at < end; at++)
		if (*at == ':')
			*at = '-';
	return end;
}

static char *add_row(char *at, const struct ecs_row *row, const struct field *field,
		     const struct flow_record *record)
{
	switch ((enum ecs_kind)row->kind) {
	case ECS_VALUE:
	case ECS_PORT:
		return json_value_add(at, field, record);
	case ECS_STRING:
		*at++ = '"';
		at = digits_add_decimal(at, field_get_unsigned(field, record));
		*at++ = '"';
		return at;
	case ECS_MAC:
		return add_mac(at, field, record);
	case ECS_DATE:
		return add_date(at, field_get_unsigned(field, record));
	case ECS_RAW:
		return add_bytes(at, row->raw, strlen(row->raw));
	case ECS_EVENT_TYPE:
		return is_final(record) ? add_bytes(at, "[\"connection\",\"end\"]", 20)
					: add_bytes(at, "[\"connection\"]", 14);
	case ECS_SEQUENCE:
		return digits_add_decimal(at, record->number);
	case ECS_DURATION:
		return digits_add_decimal(at, record->end_ns > record->start_ns
						      ? record->end_ns - record->start_ns
						      : 0);
	case ECS_IS_FINAL:
		return is_final(record) ? add_bytes(at, "true", 4) : add_bytes(at, "false", 5);
	case ECS_FAMILY:
		return add_quoted(at, record->ip_version == IP_FAMILY_V4 ? "ipv4" : "ipv6");
	case ECS_TRANSPORT:
		return add_quoted(at, find_transport(record->key.protocol));
	case ECS_ALL_BYTES:
		return digits_add_decimal(at,
					  record->counters.in_bytes + record->counters.out_bytes);
	case ECS_ALL_PACKETS:
		return digits_add_decimal(at, record->counters.in_packets +
						      record->counters.out_packets);
	}
	return at;
}

static const struct field *field_of(const struct ecs_row *row, bool main_is_dst)
{
	return &field_table[row->field + (row->is_main && main_is_dst ? DST_AFTER_SRC : 0)];
}

/* Of what has no name in the schema. */
static const char *object_of(enum field_index field)
{
	if (field < FIELD_SRC_PROC_ATTRIBUTION)
		return "procflow";
	return field < FIELD_DST_PROC_ATTRIBUTION ? "procflow.source" : "procflow.destination";
}

static size_t make_key(enum field_index field, char key[NAME_BYTES])
{
	const char *name = field_table[field].name;
	size_t length = 0;

	name += field < FIELD_SRC_PROC_ATTRIBUTION ? 0 : strlen("SRC_");
	for (; name[length] && length < NAME_BYTES - 1; length++)
		key[length] = (char)tolower(name[length]);
	key[length] = '\0';
	return length;
}

static void add_others(struct writer *writer, const struct flow_record *record)
{
	char key[NAME_BYTES];

	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		if (has_name[i] || !json_value_is_written(&field_table[i], record))
			continue;
		enter_object(writer, object_of(i));
		add_key(writer, key, make_key(i, key));
		writer->at = json_value_add(writer->at, &field_table[i], record);
	}
}

static size_t bound_line(const struct flow_record *record)
{
	size_t bound = FRAME_BYTES;

	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (json_value_is_written(&field_table[i], record))
			bound += 2 * (NAME_BYTES + json_value_bound(&field_table[i], record));
	return bound;
}

int ecs_encode_record(struct buffer *out, const struct flow_record *record)
{
	bool main_is_dst = !(record->parts & RECORD_END(RECORD_SRC, END_PROCESS)) &&
			   record->parts & RECORD_END(RECORD_DST, END_PROCESS);
	size_t before = out->length;
	char *start = buffer_extend(out, bound_line(record));
	struct writer writer = {.at = start, .object = "", .is_empty = true};

	if (!start)
		return -ENOMEM;
	*writer.at++ = '{';
	for (size_t i = 0; i < array_length(rows); i++) {
		const struct field *field = field_of(&rows[i], main_is_dst);

		if (!row_is_known(&rows[i], field, record))
			continue;
		if (rows[i].object != writer.object)
			enter_object(&writer, rows[i].object);
		add_key(&writer, rows[i].key, strlen(rows[i].key));
		writer.at = add_row(writer.at, &rows[i], field, record);
	}
	add_others(&writer, record);
	enter_object(&writer, "");
	writer.at = add_bytes(writer.at, "}\n", 2);
	out->length = before + (size_t)(writer.at - start);
	return 0;
}

static const char *type_of(const struct ecs_row *row)
{
	switch ((enum ecs_kind)row->kind) {
	case ECS_VALUE:
	case ECS_PORT:
		return elastic_type_of(&field_table[row->field]).name;
	case ECS_DATE:
		return "date";
	case ECS_SEQUENCE:
	case ECS_DURATION:
	case ECS_ALL_BYTES:
	case ECS_ALL_PACKETS:
		return "long";
	case ECS_IS_FINAL:
		return "boolean";
	default:
		return "keyword";
	}
}

void ecs_list_names(ecs_on_name on_name, void *userdata)
{
	char key[NAME_BYTES];

	for (size_t i = 0; i < array_length(rows); i++)
		if (i == 0 || strcmp(rows[i].key, rows[i - 1].key) != 0 ||
		    strcmp(rows[i].object, rows[i - 1].object) != 0)
			on_name(userdata, rows[i].object, rows[i].key, type_of(&rows[i]));
	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		if (has_name[i] || !(field_table[i].sets & FIELD_SET_JSON))
			continue;
		make_key(i, key);
		on_name(userdata, object_of(i), key, elastic_type_of(&field_table[i]).name);
	}
}
