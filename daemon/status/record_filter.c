/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "status/record_filter.h"

#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "export/json_value.h"
#include "flow/field.h"

static bool has_host(const struct control_filter *filter, const struct flow *flow,
		     const struct flow_tuple *tuple)
{
	return ip_prefix_contains(&filter->host, flow->key.family, &tuple->src) ||
	       ip_prefix_contains(&filter->host, flow->key.family, &tuple->dst);
}

static bool has_port(const struct control_filter *filter, const struct flow_tuple *tuple)
{
	return tuple->src_port == filter->port || tuple->dst_port == filter->port;
}

bool record_filter_passes_key(const struct control_filter *filter, const struct flow *flow)
{
	const struct flow_tuple *tuple = &flow->key.tuple;

	if (filter->host.family && !has_host(filter, flow, tuple) &&
	    !(flow->reply && has_host(filter, flow, flow->reply)))
		return false;
	return !filter->has_port || has_port(filter, tuple) ||
	       (flow->reply && has_port(filter, flow->reply));
}

static bool equals(struct text text, const char *wanted)
{
	return text.length == strlen(wanted) && memcmp(text.at, wanted, text.length) == 0;
}

static bool is_user(const char *wanted, uint32_t uid, struct text user)
{
	char digits[16];

	if (equals(user, wanted))
		return true;
	snprintf(digits, sizeof(digits), "%u", uid);
	return strcmp(digits, wanted) == 0;
}

static bool is_container(const char *wanted, struct text container)
{
	size_t length = strlen(wanted);

	if (text_is_empty(container))
		return false;
	if (container.length < length)
		length = container.length;
	return memcmp(container.at, wanted, length) == 0;
}

bool record_filter_is_process(const struct control_filter *filter, uint32_t pid, struct text name,
			      uint32_t uid, struct text user, struct text container)
{
	if (filter->pid && filter->pid != pid)
		return false;
	if (filter->process[0] && !equals(name, filter->process))
		return false;
	if (filter->user[0] && (text_is_empty(user) || !is_user(filter->user, uid, user)))
		return false;
	return !filter->container[0] || is_container(filter->container, container);
}

static bool passes_end(const struct control_filter *filter, const struct record_end *end,
		       unsigned side, uint64_t parts)
{
	bool is_named = parts & RECORD_END(side, END_PROCESS);
	bool has_user = parts & RECORD_END(side, END_USER);
	bool has_container = parts & RECORD_END(side, END_CONTAINER);

	return record_filter_is_process(filter, is_named ? end->pid : 0,
					is_named ? end->name : (struct text){0}, end->uid,
					has_user ? end->user_name : (struct text){0},
					has_container ? end->container : (struct text){0});
}

bool record_filter_passes_ends(const struct control_filter *filter,
			       const struct flow_record *record)
{
	return passes_end(filter, &record->src, RECORD_SRC, record->parts) ||
	       passes_end(filter, &record->dst, RECORD_DST, record->parts);
}

/* What a record says of itself and not of the flow. */
static bool is_of_record(size_t index)
{
	return index == FIELD_FIRST_SWITCHED || index == FIELD_LAST_SWITCHED ||
	       index == FIELD_FLOW_START_MILLISECONDS || index == FIELD_FLOW_END_MILLISECONDS ||
	       index == FIELD_FLOW_END_REASON || index == FIELD_BIFLOW_DIRECTION;
}

static void add_field(const struct field *field, const struct flow_record *record,
		      struct buffer *out)
{
	size_t before;
	char *room, *end;

	buffer_add_format(out, "%s\"%s\":", out->bytes[out->length - 1] == '{' ? "" : ",",
			  field->name);
	before = out->length;
	room = buffer_extend(out, json_value_bound(field, record));
	if (!room)
		return;
	end = json_value_add(room, field, record);
	out->length = before + (size_t)(end - room);
}

void record_filter_encode(const struct flow_record *record, uint64_t begin_ms, struct buffer *out)
{
	json_text_open_object(out, NULL);
	for (size_t i = 0; i < FIELD_COUNT && !out->failed; i++)
		if (!is_of_record(i) && json_value_is_written(&field_table[i], record))
			add_field(&field_table[i], record, out);
	if (begin_ms)
		json_text_add_number(out, "FLOW_START_MILLISECONDS", begin_ms);
	json_text_add_number(out, "LAST_SEEN_MILLISECONDS", record->end_ms);
	json_text_close_object(out);
}
