/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/template.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "export/bytes.h"
#include "flow/process_field.h"

enum { SHORT_FORM_LIMIT = 255 };

enum operation {
	COPY_8,
	SWAP_16,
	SWAP_32,
	SWAP_64,
	SATURATE_32, /* 8 bytes in the record, 4 on the wire */
	COPY_ADDRESS,
	TEXT_FIXED,
	TEXT_VARIABLE,
	UPTIME_MS,
	US_TO_MS,
};

static size_t count_candidates(const struct template_options *options)
{
	return options->own.count ? options->own.count : FIELD_COUNT;
}

static enum field_index get_candidate(const struct template_options *options, size_t i)
{
	if (options->own.count)
		return field_list_translate(&options->own, i, options->format == TEMPLATE_IPFIX);
	return (enum field_index)i;
}

/* Who names 21 and 152 in IPFIX gets the time once. */
static bool is_repeated(const struct template_options *options, size_t place)
{
	enum field_index candidate = get_candidate(options, place);

	for (size_t i = 0; options->own.count && i < place; i++)
		if (get_candidate(options, i) == candidate)
			return true;
	return false;
}

static bool is_in_template(const struct template_options *options, size_t place)
{
	enum field_index index = get_candidate(options, place);
	const struct field *field = &field_table[index];
	bool is_ipfix = options->format == TEMPLATE_IPFIX;
	uint16_t id = is_ipfix ? field->ipfix_id : field->v9_id;

	if (id == 0 || is_repeated(options, place))
		return false;
	if (options->biflow == CONFIG_BIFLOW_SPLIT &&
	    (index == FIELD_OUT_BYTES || index == FIELD_OUT_PKTS))
		return false;
	if (options->own.count)
		return true;
	if (!is_ipfix && field->sets & FIELD_SET_NOT_NETFLOW9)
		return false;
	return (field->sets & options->set) != 0;
}

uint64_t template_used_parts(const struct template_options *options)
{
	uint64_t parts = RECORD_IPV4 | RECORD_IPV6;

	for (size_t i = 0; i < count_candidates(options); i++)
		if (is_in_template(options, i))
			parts |= field_table[get_candidate(options, i)].parts;
	return parts;
}

static struct template_field number_process_field(const struct field *field,
						  enum template_format format)
{
	return format == TEMPLATE_IPFIX
		       ? (struct template_field){field->ipfix_id, field->ipfix_width, field->pen}
		       : (struct template_field){field->v9_id, field->v9_width, 0};
}

uint64_t template_used_process_parts(enum template_format format)
{
	uint64_t parts = RECORD_PROCESS;

	for (size_t i = 0; i < PROCESS_FIELD_COUNT; i++)
		if (number_process_field(&process_field_table[i], format).id != 0)
			parts |= process_field_table[i].parts;
	return parts;
}

static bool is_text(const struct field *field)
{
	return field->kind == FIELD_KIND_TEXT || field->kind == FIELD_KIND_USER;
}

/* Where the number depends on more than the field. "width": a user's, or 0. */
static struct template_field choose_number(const struct field *field,
					   const struct template_options *options,
					   uint64_t signature, uint16_t width)
{
	/* icmpTypeCodeIPv6: in IPFIX 32 is for IPv4 alone, in RFC 3954 8 for both. */
	enum { ICMP_TYPE_CODE_IPV6 = 139, OCTET_DELTA_COUNT = 1, PACKET_DELTA_COUNT = 2 };
	bool is_ipfix = options->format == TEMPLATE_IPFIX;
	bool is_reversed = is_ipfix && options->biflow == CONFIG_BIFLOW_RFC5103;
	struct template_field number = {
		.id = is_ipfix ? field->ipfix_id : field->v9_id,
		.width = is_ipfix ? field->ipfix_width : field->v9_width,
		.pen = is_ipfix ? field->pen : 0,
	};

	/* A 22 of NetFlow v9, 4 bytes wide, may stand for a 152 here. */
	if (width && field_takes_width(field, width) && !(is_ipfix && is_text(field)))
		number.width = width;
	if (field == &field_table[FIELD_ICMP_TYPE] && is_ipfix && signature & RECORD_IPV6) {
		number.id = ICMP_TYPE_CODE_IPV6;
	} else if (field == &field_table[FIELD_OUT_BYTES] && is_reversed) {
		number.id = OCTET_DELTA_COUNT;
		number.pen = FIELD_PEN_REVERSE;
	} else if (field == &field_table[FIELD_OUT_PKTS] && is_reversed) {
		number.id = PACKET_DELTA_COUNT;
		number.pen = FIELD_PEN_REVERSE;
	}
	return number;
}

static uint8_t choose_unsigned(const struct field *field, uint16_t width)
{
	if (field->size == 8 && width == 4)
		return SATURATE_32;
	assert(field->size == width);
	switch (width) {
	case 1:
		return COPY_8;
	case 2:
		return SWAP_16;
	case 4:
		return SWAP_32;
	default:
		return SWAP_64;
	}
}

static struct template_step compile(const struct field *field, uint16_t width, uint64_t signature)
{
	struct template_step step = {.width = width, .offset = field->offset};

	switch ((enum field_kind)field->kind) {
	case FIELD_KIND_UNSIGNED:
		step.operation = choose_unsigned(field, width);
		break;
	case FIELD_KIND_ADDRESS4:
	case FIELD_KIND_ADDRESS6:
		step.operation = COPY_ADDRESS;
		break;
	case FIELD_KIND_UPTIME:
		step.operation = UPTIME_MS;
		break;
	case FIELD_KIND_USER:
		if (!(signature & RECORD_END(RECORD_SRC, END_USER)))
			step.offset = offsetof(struct flow_record, dst.user_name);
		step.operation = width == FIELD_VARIABLE ? TEXT_VARIABLE : TEXT_FIXED;
		break;
	case FIELD_KIND_MAC:
		step.operation = COPY_ADDRESS;
		break;
	case FIELD_KIND_LATENCY:
		step.operation = US_TO_MS;
		break;
	case FIELD_KIND_TEXT:
	case FIELD_KIND_METHOD:
	case FIELD_KIND_REASON:
		assert(field->kind == FIELD_KIND_TEXT);
		step.operation = width == FIELD_VARIABLE ? TEXT_VARIABLE : TEXT_FIXED;
		break;
	}
	return step;
}

static void add_field(struct template *self, const struct field *field,
		      const struct template_field *number, uint16_t longest)
{
	struct template_step step = compile(field, number->width, self->signature);

	if (step.operation == TEXT_VARIABLE && longest)
		step.width = longest;
	self->fields[self->field_count] = *number;
	self->steps[self->field_count++] = step;
	if (number->width != FIELD_VARIABLE)
		self->fixed_bytes = (uint16_t)(self->fixed_bytes + number->width);
}

static void init_process(struct template *self, enum template_format format)
{
	for (size_t i = 0; i < PROCESS_FIELD_COUNT; i++) {
		const struct field *field = &process_field_table[i];
		struct template_field number = number_process_field(field, format);

		if (number.id != 0 && field_is_known(field, self->signature))
			add_field(self, field, &number, 0);
	}
}

void template_init(struct template *self, const struct template_options *options,
		   uint64_t signature, uint16_t id)
{
	*self = (struct template){.signature = signature, .id = id};
	if (signature & RECORD_PROCESS) {
		init_process(self, options->format);
		return;
	}
	for (size_t i = 0; i < count_candidates(options); i++) {
		const struct field *field = &field_table[get_candidate(options, i)];
		uint16_t width = options->own.widths[i];
		struct template_field number;

		if (!is_in_template(options, i) || !field_is_known(field, signature))
			continue;
		number = choose_number(field, options, signature, width);
		add_field(self, field, &number, width);
	}
}

/* The longest that a variable text gets. */
static size_t limit_text(const struct template_step *step, size_t text_limit)
{
	return step->width < text_limit ? step->width : text_limit;
}

static struct text read_text(const void *at, size_t limit)
{
	struct text text;

	memcpy(&text, at, sizeof(text));
	if (text.length > limit)
		text.length = limit;
	return text;
}

size_t template_bound_record(const struct template *self, const struct flow_record *record,
			     size_t text_limit)
{
	size_t bound = self->fixed_bytes;

	for (size_t i = 0; i < self->field_count; i++)
		if (self->steps[i].operation == TEXT_VARIABLE)
			bound += 3 + read_text((const uint8_t *)record + self->steps[i].offset,
					       limit_text(&self->steps[i], text_limit))
					     .length;
	return bound;
}

/* RFC 7011 7: one byte of length below 255, else 255 and two bytes. The length is known when the
 * text is clean, and clean it is never longer. The whole text is given, not what the limit leaves
 * of it: cutting is done between characters. */
static uint8_t *add_variable(uint8_t *out, const void *at, size_t limit)
{
	struct text text = read_text(at, SIZE_MAX);
	size_t room = text.length < limit ? text.length : limit;
	size_t length;

	if (room < SHORT_FORM_LIMIT) {
		length = text_sanitise(text, (char *)out + 1, room);
		out[0] = (uint8_t)length;
		return out + 1 + length;
	}
	length = text_sanitise(text, (char *)out + 3, room);
	out[0] = SHORT_FORM_LIMIT;
	out[1] = (uint8_t)(length >> 8);
	out[2] = (uint8_t)length;
	return out + 3 + length;
}

static void add_fixed(uint8_t *out, const void *at, size_t width)
{
	size_t length = text_sanitise(read_text(at, SIZE_MAX), (char *)out, width);

	memset(out + length, 0, width - length);
}

static uint64_t read_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void add_number(uint8_t *out, const uint8_t *at, enum operation operation, uint64_t boot_ns)
{
	uint64_t value;
	uint32_t word;
	uint16_t half;

	switch (operation) {
	case COPY_8:
		*out = *at;
		break;
	case SWAP_16:
		memcpy(&half, at, sizeof(half));
		bytes_add_u16(out, half);
		break;
	case SWAP_32:
		memcpy(&word, at, sizeof(word));
		bytes_add_u32(out, word);
		break;
	case SWAP_64:
		bytes_add_u64(out, read_u64(at));
		break;
	case SATURATE_32:
		value = read_u64(at);
		bytes_add_u32(out, value > UINT32_MAX ? UINT32_MAX : (uint32_t)value);
		break;
	case US_TO_MS:
		memcpy(&word, at, sizeof(word));
		bytes_add_u32(out, word / 1000 + (word % 1000 >= 500));
		break;
	default:
		value = read_u64(at);
		bytes_add_u32(out, value < boot_ns ? 0 : (uint32_t)((value - boot_ns) / NS_PER_MS));
		break;
	}
}

size_t template_encode_record(const struct template *self, const struct flow_record *record,
			      uint64_t boot_ns, size_t text_limit, uint8_t *out)
{
	uint8_t *place = out;

	for (size_t i = 0; i < self->field_count; i++) {
		const struct template_step *step = &self->steps[i];
		const uint8_t *at = (const uint8_t *)record + step->offset;

		switch (step->operation) {
		case TEXT_VARIABLE:
			place = add_variable(place, at, limit_text(step, text_limit));
			continue;
		case TEXT_FIXED:
			add_fixed(place, at, step->width);
			break;
		case COPY_ADDRESS:
			memcpy(place, at, step->width);
			break;
		default:
			add_number(place, at, step->operation, boot_ns);
			break;
		}
		place += step->width;
	}
	return (size_t)(place - out);
}
