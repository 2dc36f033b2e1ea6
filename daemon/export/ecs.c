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
#include "export/ecs_rows.h"
#include "export/elastic_type.h"
#include "export/json_value.h"

enum {
	/* Of all rows together, names and constants; of one value, twice: at the top and at its end. */
	FRAME_BYTES = 4096,
	NAME_BYTES = 96,
	DST_AFTER_SRC = FIELD_DST_PROC_ATTRIBUTION - FIELD_SRC_PROC_ATTRIBUTION,
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

/* "start" and "end" are the schema's words too. */
static char *add_process_event_type(char *at, const struct flow_record *record)
{
	bool goes_on = record->life.event.length == strlen("interim");

	*at++ = '[';
	at = json_value_add_string(at, goes_on ? text_from("info") : record->life.event);
	*at++ = ']';
	return at;
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
	case ECS_PROCESS_EVENT_TYPE:
		return add_process_event_type(at, record);
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

static const struct field *field_of(const struct ecs_record_kind *kind, const struct ecs_row *row,
				    bool main_is_dst)
{
	return &kind->fields[row->field + (row->is_main && main_is_dst ? DST_AFTER_SRC : 0)];
}

/* Of what has no name in the schema. */
static const char *object_of(const struct ecs_record_kind *kind, unsigned field)
{
	if (kind->is_process)
		return "procflow.process";
	if (field < FIELD_SRC_PROC_ATTRIBUTION)
		return "procflow";
	return field < FIELD_DST_PROC_ATTRIBUTION ? "procflow.source" : "procflow.destination";
}

static size_t make_key(const struct ecs_record_kind *kind, unsigned field, char key[NAME_BYTES])
{
	bool is_end = !kind->is_process && field >= FIELD_SRC_PROC_ATTRIBUTION;
	const char *name = kind->fields[field].name + (is_end ? strlen("SRC_") : 0);
	size_t length = 0;

	for (; name[length] && length < NAME_BYTES - 1; length++)
		key[length] = (char)tolower(name[length]);
	key[length] = '\0';
	return length;
}

static void add_others(struct writer *writer, const struct ecs_record_kind *kind,
		       const struct flow_record *record)
{
	char key[NAME_BYTES];

	for (unsigned i = 0; i < kind->field_count; i++) {
		if (kind->has_name[i] || !json_value_is_written(&kind->fields[i], record))
			continue;
		enter_object(writer, object_of(kind, i));
		add_key(writer, key, make_key(kind, i, key));
		writer->at = json_value_add(writer->at, &kind->fields[i], record);
	}
}

static size_t bound_line(const struct ecs_record_kind *kind, const struct flow_record *record)
{
	size_t bound = FRAME_BYTES;

	for (size_t i = 0; i < kind->field_count; i++)
		if (json_value_is_written(&kind->fields[i], record))
			bound += 2 * (NAME_BYTES + json_value_bound(&kind->fields[i], record));
	return bound;
}

int ecs_encode_record(struct buffer *out, const struct flow_record *record)
{
	bool is_process = record->parts & RECORD_PROCESS;
	const struct ecs_record_kind *kind =
		&ecs_record_kinds[is_process ? ECS_PROCESSES : ECS_FLOWS];
	bool main_is_dst = !is_process && !(record->parts & RECORD_END(RECORD_SRC, END_PROCESS)) &&
			   record->parts & RECORD_END(RECORD_DST, END_PROCESS);
	size_t before = out->length;
	char *start = buffer_extend(out, bound_line(kind, record));
	struct writer writer = {.at = start, .object = "", .is_empty = true};

	if (!start)
		return -ENOMEM;
	*writer.at++ = '{';
	for (size_t i = 0; i < kind->row_count; i++) {
		const struct ecs_row *row = &kind->rows[i];
		const struct field *field = field_of(kind, row, main_is_dst);

		if (!row_is_known(row, field, record))
			continue;
		if (row->object != writer.object)
			enter_object(&writer, row->object);
		add_key(&writer, row->key, strlen(row->key));
		writer.at = add_row(writer.at, row, field, record);
	}
	add_others(&writer, kind, record);
	enter_object(&writer, "");
	writer.at = add_bytes(writer.at, "}\n", 2);
	out->length = before + (size_t)(writer.at - start);
	return 0;
}

static const char *type_of(const struct ecs_record_kind *kind, const struct ecs_row *row)
{
	switch ((enum ecs_kind)row->kind) {
	case ECS_VALUE:
	case ECS_PORT:
		return elastic_type_of(&kind->fields[row->field]).name;
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

static bool has_row(const struct ecs_row *in, size_t count, const struct ecs_row *row)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(in[i].object, row->object) == 0 && strcmp(in[i].key, row->key) == 0)
			return true;
	return false;
}

static void list_others(const struct ecs_record_kind *kind, ecs_on_name on_name, void *userdata)
{
	char key[NAME_BYTES];

	for (unsigned i = 0; i < kind->field_count; i++) {
		if (kind->has_name[i] || !(kind->fields[i].sets & FIELD_SET_JSON))
			continue;
		make_key(kind, i, key);
		on_name(userdata, object_of(kind, i), key, elastic_type_of(&kind->fields[i]).name);
	}
}

void ecs_list_names(ecs_on_name on_name, void *userdata)
{
	const struct ecs_record_kind *flow = &ecs_record_kinds[ECS_FLOWS];
	const struct ecs_record_kind *process = &ecs_record_kinds[ECS_PROCESSES];

	for (size_t i = 0; i < flow->row_count; i++)
		if (!has_row(flow->rows, i, &flow->rows[i]))
			on_name(userdata, flow->rows[i].object, flow->rows[i].key,
				type_of(flow, &flow->rows[i]));
	for (size_t i = 0; i < process->row_count; i++)
		if (!has_row(flow->rows, flow->row_count, &process->rows[i]))
			on_name(userdata, process->rows[i].object, process->rows[i].key,
				type_of(process, &process->rows[i]));
	list_others(flow, on_name, userdata);
	list_others(process, on_name, userdata);
}
