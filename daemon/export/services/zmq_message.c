/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/services/zmq_message.h"

#include <inttypes.h>
#include <string.h>

#include "base/macros.h"
#include "export/bytes.h"
#include "export/json_value.h"
#include "flow/field.h"

enum { TOPIC_BYTES = 16, HEADER_V1_BYTES = 24 };

size_t zmq_message_encode_header(const struct zmq_message_header *header, unsigned version,
				 uint8_t out[ZMQ_MESSAGE_HEADER_SIZE])
{
	uint8_t *at = out + TOPIC_BYTES;

	memset(out, 0, ZMQ_MESSAGE_HEADER_SIZE);
	memcpy(out, header->topic, strnlen(header->topic, TOPIC_BYTES - 1));
	*at++ = header->format;
	*at++ = version == 1 ? (uint8_t)header->source_id : 0;
	/* The struct's own order, but for the number. */
	memcpy(at, &header->size, sizeof(header->size));
	at = bytes_add_u32(at + sizeof(header->size), header->number);
	if (version == 1)
		return HEADER_V1_BYTES;
	memcpy(at, &header->source_id, sizeof(header->source_id));
	return ZMQ_MESSAGE_HEADER_SIZE;
}

/* The descriptions hold nothing to escape: a test looks. */
void zmq_message_add_template(struct buffer *out)
{
	const char *before = "[";

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct field *field = &field_table[i];
		bool is_ntop = field->pen == FIELD_PEN_NTOP;
		bool is_number =
			field->kind == FIELD_KIND_UNSIGNED || field->kind == FIELD_KIND_UPTIME;

		if (!(field->sets & FIELD_SET_JSON) || field->v9_id == 0)
			continue;
		buffer_add_format(out,
				  "%s{\"PEN\":%d,\"field\":%d,\"len\":%u,\"format\":\"%s\","
				  "\"name\":\"%s\",\"descr\":\"%s\"}",
				  before, is_ntop ? FIELD_PEN_NTOP : 0,
				  field->v9_id - (is_ntop ? FIELD_V9_NTOP : 0), field->v9_width,
				  is_number ? "formatted_uint" : "formatted_string", field->name,
				  field->meaning);
		before = ",";
	}
	buffer_add_text(out, "]");
}

void zmq_message_add_event(struct buffer *out, const struct zmq_message_event *event)
{
	buffer_add_format(out, "{\"iface\":{\"name\":\"procflow\",\"ip\":\"%s\"",
			  event->probe_address);
	if (event->speed_mbit > 0)
		buffer_add_format(out, ",\"speed\":%" PRIu64, event->speed_mbit);
	buffer_add_format(out,
			  "},\"probe\":{\"ip\":\"%s\",\"uuid\":\"%s\",\"unique_source_id\":%" PRIu32
			  ",\"version\":\"procflow " PROCFLOW_VERSION "\",\"osname\":\"%s\"},",
			  event->probe_address, event->uuid, event->source_id, event->system);
	buffer_add_format(out,
			  "\"time\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"packets\":%" PRIu64
			  ",\"avg\":{\"bps\":%" PRIu64 ",\"pps\":%" PRIu64
			  "},\"drops\":{\"export_queue_full\":%" PRIu64 "}",
			  event->time_s, event->octets, event->packets, event->bits_per_s,
			  event->packets_per_s, event->lost_records);
	if (event->active_timeout_s > 0)
		buffer_add_format(out,
				  ",\"timeout\":{\"lifetime\":%" PRIu64 ",\"idle\":%" PRIu64
				  ",\"collected_lifetime\":%" PRIu64 "}",
				  event->active_timeout_s, event->idle_timeout_s,
				  event->active_timeout_s);
	buffer_add_format(out, ",\"zmq\":{\"num_flow_exports\":%" PRIu64 ",\"num_exporters\":1}}",
			  event->sent_records);
}

static void add_text(struct buffer *out, const char *key, const char *value)
{
	struct text text = text_from(value);
	size_t length = out->length;
	char *at;

	if (!value)
		return;
	buffer_add_text(out, key);
	length = out->length;
	at = buffer_extend(out, json_value_bound_string(text));
	if (at)
		out->length = length + (size_t)(json_value_add_string(at, text) - at);
}

static void add_port(struct buffer *out, const struct listening_port *port)
{
	buffer_add_format(out, "{\"port\":%u", port->port);
	add_text(out, ",\"proc\":", port->executable);
	add_text(out, ",\"pkg\":", port->package);
	buffer_add_byte(out, '}');
}

size_t zmq_message_add_listening_ports(struct buffer *out, const struct listening_ports *ports,
				       const char *addresses, size_t limit)
{
	static const char *const kinds[] = {"tcp4", "tcp6", "udp4", "udp6"};
	/* What closes all that is open. */
	size_t rest = strlen(addresses) + 80, i = 0, left_out = 0;

	buffer_add_text(out, "{\"listening-ports\":{");
	for (unsigned kind = 0; kind < array_length(kinds); kind++) {
		const char *before = "";

		buffer_add_format(out, "%s\"%s\":[", kind > 0 ? "," : "", kinds[kind]);
		for (; i < ports->count; i++) {
			const struct listening_port *port = &ports->items[i];
			size_t length = out->length;

			if (kind != 2u * port->is_udp + port->is_v6)
				break;
			buffer_add_text(out, before);
			add_port(out, port);
			if (out->length + rest > limit) {
				out->length = length;
				left_out++;
				continue;
			}
			before = ",";
		}
		buffer_add_byte(out, ']');
	}
	buffer_add_format(out, "},\"ip-addresses\":[%s]}", addresses);
	return left_out;
}
