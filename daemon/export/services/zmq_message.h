/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What goes to ntopng beside flows: the header of each message, and the messages that are JSON.
 * (include/ntop_typedefs.h of ntopng 5.4: struct zmq_msg_hdr_v1 and _v2.) Pure. */

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "export/listening_port.h"

enum { ZMQ_MESSAGE_HEADER_SIZE = 28, ZMQ_MESSAGE_TLV = 3, ZMQ_MESSAGE_JSON = 2 };

struct zmq_message_header {
	const char
		*topic;	 /* "flow", "event", "template", "listening-ports": at most 15 characters */
	uint8_t format;	 /* ZMQ_MESSAGE_TLV or _JSON: what follows */
	uint16_t size;	 /* of what follows */
	uint32_t number; /* counted over all topics of a source, so that gaps show */
	uint32_t source_id;
};

/* "version" is 2 (28 bytes), or 1 (24 bytes, the source's id in one). Returns the length. */
size_t zmq_message_encode_header(const struct zmq_message_header *header, unsigned version,
				 uint8_t out[ZMQ_MESSAGE_HEADER_SIZE]);

/* What the numbers of flows mean, for all fields that have one. */
void zmq_message_add_template(struct buffer *out);

struct zmq_message_event {
	const char *probe_address, *uuid, *system; /* texts that need no escaping */
	uint64_t speed_mbit;			   /* of the interface; 0: not known */
	uint32_t source_id;
	uint64_t time_s, octets, packets; /* since the beginning */
	uint64_t bits_per_s, packets_per_s;
	uint64_t lost_records, sent_records;
	uint64_t active_timeout_s, idle_timeout_s; /* 0: not known */
};

void zmq_message_add_event(struct buffer *out, const struct zmq_message_event *event);

/* The ports with the programs behind them, as far as "limit" bytes go; "addresses" are the host's, in
 * quotes with commas between, and count. Returns how many ports had no room. */
size_t zmq_message_add_listening_ports(struct buffer *out, const struct listening_ports *ports,
				       const char *addresses, size_t limit);
