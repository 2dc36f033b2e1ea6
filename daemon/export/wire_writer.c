/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/wire_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "export/bytes.h"
#include "export/ipfix.h"
#include "export/netflow9.h"
#include "export/template_cache.h"

enum {
	SET_HEADER_BYTES = 4,
	LARGEST_MESSAGE = 65507, /* what UDP over IPv4 carries */
	/* The rest of the message in work, then one with the template, then one of its own. */
	ATTEMPTS = 3,
};

/* What the two formats differ in. */
struct wire_format {
	size_t header_bytes, alignment;
	uint16_t template_set, options_set;
	void (*encode_header)(struct wire_writer *writer, const struct wire_now *now);
	size_t (*bound_template)(const struct template *template);
	size_t (*encode_template)(const struct template *template, uint8_t *out);
};

struct wire_writer {
	struct wire_options options;
	const struct wire_format *format;
	wire_on_message on_message;
	void *userdata;
	struct template_cache cache;
	/* The message in work: length 0 when there is none, set_at 0 when no set is open. */
	size_t length, set_at;
	uint16_t set_id;
	uint32_t records, templates, options_records, options_templates;
	uint64_t packets, octets;
	/* Since the beginning. */
	uint32_t sequence;
	uint64_t templates_sent_ns;
	uint32_t messages_since_templates;
	bool must_resend;
	uint8_t bytes[];
};

void wire_writer_free(struct wire_writer *writer)
{
	if (!writer)
		return;
	template_cache_fini(&writer->cache);
	free(writer);
}

void wire_writer_resend_templates(struct wire_writer *writer)
{
	writer->must_resend = true;
}

void wire_writer_set_refresh(struct wire_writer *writer, uint64_t interval_ns, uint32_t packets)
{
	writer->options.template_interval_ns = interval_ns;
	writer->options.template_packets = packets;
}

static size_t align(const struct wire_writer *writer, size_t length)
{
	size_t alignment = writer->format->alignment;

	return (length + alignment - 1) / alignment * alignment;
}

/* RFC 3954 5.3: the padding counts as part of the FlowSet. */
static void close_set(struct wire_writer *writer)
{
	size_t end = align(writer, writer->length);

	if (writer->set_at == 0)
		return;
	memset(writer->bytes + writer->length, 0, end - writer->length);
	writer->length = end;
	bytes_add_u16(writer->bytes + writer->set_at + 2, (uint16_t)(end - writer->set_at));
	writer->set_at = 0;
}

/* Room for "bytes" more in a set with that id, at the place returned; NULL where the message is too
 * full for them. */
static uint8_t *find_room(struct wire_writer *writer, uint16_t set_id, size_t bytes)
{
	bool is_open = writer->set_at != 0 && writer->set_id == set_id;
	size_t at = is_open ? writer->length : align(writer, writer->length) + SET_HEADER_BYTES;

	if (align(writer, at + bytes) > writer->options.max_message_bytes)
		return NULL;
	if (!is_open) {
		close_set(writer);
		writer->set_at = writer->length;
		writer->set_id = set_id;
		bytes_add_u16(writer->bytes + writer->set_at, set_id);
		writer->length += SET_HEADER_BYTES;
	}
	return writer->bytes + writer->length;
}

/* Collectors work the boot's time out of unix_secs and sysUptime and add 21 and 22 to it. unix_secs
 * has whole seconds only; so sysUptime tells the same moment as it, the full second that comes
 * next, and the times are right to the millisecond. The last second instead would put flows that
 * have just ended behind sysUptime, which reads as a wrap. */
static void encode_netflow9_header(struct wire_writer *writer, const struct wire_now *now)
{
	uint64_t seconds = (now->wall_ns + NS_PER_SEC - 1) / NS_PER_SEC;
	uint64_t uptime_ns =
		now->monotonic_ns + (seconds * NS_PER_SEC - now->wall_ns) - writer->options.boot_ns;
	struct netflow9_header header = {.count = (uint16_t)(writer->records + writer->templates +
							     writer->options_records +
							     writer->options_templates),
					 .uptime_ms = (uint32_t)(uptime_ns / NS_PER_MS),
					 .unix_seconds = (uint32_t)seconds,
					 .sequence = writer->sequence,
					 .source_id = writer->options.domain};

	netflow9_encode_header(&header, writer->bytes);
	writer->sequence++;
}

static void encode_ipfix_header(struct wire_writer *writer, const struct wire_now *now)
{
	struct ipfix_header header = {.length = (uint16_t)writer->length,
				      .export_seconds = (uint32_t)(now->wall_ns / NS_PER_SEC),
				      .sequence = writer->sequence,
				      .domain = writer->options.domain};

	ipfix_encode_header(&header, writer->bytes);
	writer->sequence += writer->records + writer->options_records;
}

void wire_writer_finish(struct wire_writer *writer, const struct wire_now *now)
{
	struct wire_message message = {
		.bytes = writer->bytes,
		.records = writer->records,
		.templates = writer->templates,
		.data_records = writer->records + writer->options_records,
		.packets = writer->packets,
		.octets = writer->octets,
	};

	bool is_empty = message.records + message.templates + writer->options_records +
				writer->options_templates ==
			0;

	if (!is_empty) {
		close_set(writer);
		writer->format->encode_header(writer, now);
		message.length = writer->length;
		writer->messages_since_templates++;
	}
	writer->length = writer->set_at = 0;
	writer->records = writer->templates = 0;
	writer->options_records = writer->options_templates = 0;
	writer->packets = writer->octets = 0;
	if (!is_empty)
		writer->on_message(writer->userdata, &message);
}

uint32_t wire_writer_count_records(const struct wire_writer *writer)
{
	return writer->records;
}

static bool add_template(struct wire_writer *writer, struct template *template)
{
	size_t bytes = writer->format->bound_template(template);
	uint8_t *room = find_room(writer, writer->format->template_set, bytes);

	if (!room)
		return false;
	writer->length += writer->format->encode_template(template, room);
	writer->templates++;
	template->is_announced = true;
	return true;
}

uint64_t wire_writer_get_signature(const struct wire_writer *writer, uint16_t id)
{
	const struct template_cache *cache = &writer->cache;
	size_t i = 0;

	while (i + 1 < cache->count && cache->items[i]->id != id)
		i++;
	return cache->items[i]->signature;
}

uint16_t wire_writer_announce(struct wire_writer *writer, uint64_t signature, struct buffer *out)
{
	struct template *template = template_cache_get(&writer->cache, signature);
	size_t bound, before = out->length;
	uint8_t *room;

	if (!template || template->signature != signature)
		return 0;
	if (template->is_announced)
		return template->id;
	bound = writer->format->bound_template(template);
	room = buffer_extend(out, bound);
	if (!room)
		return 0;
	out->length = before + writer->format->encode_template(template, room);
	template->is_announced = true;
	return template->id;
}

static bool are_templates_due(const struct wire_writer *writer, const struct wire_now *now)
{
	const struct wire_options *options = &writer->options;

	return writer->must_resend ||
	       writer->messages_since_templates >= options->template_packets ||
	       now->monotonic_ns - writer->templates_sent_ns >= options->template_interval_ns;
}

/* Into this message, or where it is full into the next one. What is empty is not in the format. */
static bool add_option(struct wire_writer *writer, uint16_t set_id, const uint8_t *bytes,
		       size_t length, const struct wire_now *now)
{
	uint8_t *room;

	if (length == 0)
		return false;
	room = find_room(writer, set_id, length);
	if (!room) {
		wire_writer_finish(writer, now);
		writer->length = writer->format->header_bytes;
		room = find_room(writer, set_id, length);
	}
	if (!room)
		return false;
	memcpy(room, bytes, length);
	writer->length += length;
	return true;
}

static void add_options_templates(struct wire_writer *writer, const struct wire_now *now)
{
	uint8_t bytes[OPTIONS_DATA_LONGEST];

	for (unsigned kind = 0; kind < OPTIONS_DATA_KINDS; kind++) {
		size_t length = options_data_encode_template(
			writer->options.template_options.format, kind, bytes);

		if (add_option(writer, writer->format->options_set, bytes, length, now))
			writer->options_templates++;
	}
}

static void add_types(struct wire_writer *writer, const struct wire_now *now)
{
	uint8_t bytes[OPTIONS_DATA_LONGEST];

	if (writer->options.template_options.format != TEMPLATE_IPFIX)
		return;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (options_data_is_described(&field_table[i]) &&
		    add_option(writer, options_data_get_id(OPTIONS_DATA_TYPES), bytes,
			       options_data_encode_type(&field_table[i], bytes), now))
			writer->options_records++;
}

static void add_statistics(struct wire_writer *writer, const struct wire_now *now)
{
	static const enum options_data_kind kinds[] = {OPTIONS_DATA_SENT, OPTIONS_DATA_NOT_SENT,
						       OPTIONS_DATA_IGNORED};
	struct options_statistics statistics;
	uint8_t bytes[OPTIONS_DATA_LONGEST];

	for (size_t i = 0; i < array_length(kinds); i++) {
		size_t length;

		writer->options.read_statistics(writer->userdata, &statistics);
		length = options_data_encode_statistics(writer->options.template_options.format,
							kinds[i], writer->options.domain,
							&statistics, bytes);
		if (add_option(writer, options_data_get_id(kinds[i]), bytes, length, now))
			writer->options_records++;
	}
}

static void add_options(struct wire_writer *writer, bool with_templates, const struct wire_now *now)
{
	if (!writer->options.read_statistics)
		return;
	if (with_templates) {
		add_options_templates(writer, now);
		add_types(writer, now);
	}
	add_statistics(writer, now);
}

/* The types come first: libfixbuf gives an element its name when a template with it arrives. */
static void add_all_templates(struct wire_writer *writer, const struct wire_now *now)
{
	writer->must_resend = false;
	add_options(writer, true, now);
	for (size_t i = 0; i < writer->cache.count; i++)
		writer->cache.items[i]->is_announced = false;
	for (size_t i = 0; i < writer->cache.count; i++) {
		if (add_template(writer, writer->cache.items[i]))
			continue;
		wire_writer_finish(writer, now);
		writer->length = writer->format->header_bytes;
		add_template(writer, writer->cache.items[i]);
	}
	writer->messages_since_templates = 0;
	writer->templates_sent_ns = now->monotonic_ns;
}

static void begin(struct wire_writer *writer, const struct wire_now *now)
{
	if (writer->length > 0)
		return;
	writer->length = writer->format->header_bytes;
	if (!are_templates_due(writer, now))
		return;
	if (!writer->options.is_reliable || writer->must_resend) {
		add_all_templates(writer, now);
		return;
	}
	writer->messages_since_templates = 0;
	writer->templates_sent_ns = now->monotonic_ns;
	add_options(writer, false, now);
}

void wire_writer_add_preamble(struct wire_writer *writer, const struct wire_now *now)
{
	wire_writer_finish(writer, now);
	writer->length = writer->format->header_bytes;
	add_all_templates(writer, now);
	wire_writer_finish(writer, now);
}

static bool add_record(struct wire_writer *writer, const struct template *template,
		       const struct flow_record *record, size_t text_limit)
{
	size_t bytes = template_bound_record(template, record, text_limit);
	uint8_t *room = find_room(writer, template->id, bytes);

	if (!room)
		return false;
	writer->length +=
		template_encode_record(template, record, writer->options.boot_ns, text_limit, room);
	writer->records++;
	if (record->parts & RECORD_COUNTERS) {
		writer->packets += record->counters.in_packets + record->counters.out_packets;
		writer->octets += record->counters.in_bytes + record->counters.out_bytes;
	}
	return true;
}

static bool fits_a_message(const struct wire_writer *writer, const struct template *template,
			   const struct flow_record *record, size_t text_limit)
{
	size_t bytes = template_bound_record(template, record, text_limit);

	return align(writer, writer->format->header_bytes + SET_HEADER_BYTES + bytes) <=
	       writer->options.max_message_bytes;
}

int wire_writer_add(struct wire_writer *writer, const struct flow_record *record,
		    const struct wire_now *now)
{
	struct template *template = template_cache_get(&writer->cache, record->parts);
	size_t text_limit = TEMPLATE_WHOLE_TEXT;

	if (!template)
		return -ENOMEM;
	if (!fits_a_message(writer, template, record, text_limit))
		text_limit = TEMPLATE_SHORT_TEXT;
	if (!fits_a_message(writer, template, record, text_limit))
		return WIRE_TOO_LARGE;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		begin(writer, now);
		if ((template->is_announced || add_template(writer, template)) &&
		    add_record(writer, template, record, text_limit))
			return template_cache_is_simplified(&writer->cache, template, record->parts)
				       ? WIRE_SIMPLIFIED
				       : 0;
		wire_writer_finish(writer, now);
	}
	return WIRE_TOO_LARGE;
}

static const struct wire_format formats[] = {
	[TEMPLATE_NETFLOW9] = {NETFLOW9_HEADER_BYTES, NETFLOW9_ALIGNMENT, NETFLOW9_TEMPLATE_FLOWSET,
			       OPTIONS_DATA_SET_NETFLOW9, encode_netflow9_header,
			       netflow9_bound_template, netflow9_encode_template},
	[TEMPLATE_IPFIX] = {IPFIX_HEADER_BYTES, 1, IPFIX_TEMPLATE_SET, OPTIONS_DATA_SET_IPFIX,
			    encode_ipfix_header, ipfix_bound_template, ipfix_encode_template},
};

int wire_writer_new(const struct wire_options *options, wire_on_message on_message, void *userdata,
		    struct wire_writer **ret)
{
	uint32_t limit = options->max_message_bytes < LARGEST_MESSAGE ? options->max_message_bytes
								      : LARGEST_MESSAGE;
	struct wire_writer *writer = calloc(1, sizeof(*writer) + limit);

	if (!writer)
		return -ENOMEM;
	writer->options = *options;
	writer->options.max_message_bytes = limit;
	writer->format = &formats[options->template_options.format];
	writer->on_message = on_message;
	writer->userdata = userdata;
	writer->must_resend = true;
	template_cache_init(&writer->cache, &options->template_options, options->template_ids);
	*ret = writer;
	return 0;
}
