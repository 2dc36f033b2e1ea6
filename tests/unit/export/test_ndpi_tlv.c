/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/buffer.h"
#include "export/json_value.h"
#include "export/ndpi_tlv.h"
#include "flow/field.h"

/* An item as a reader of its own takes it apart. */
struct item {
	uint64_t key, number;
	char name[64]; /* of a key that is a string; else empty */
	float real;
	const uint8_t *text;
	size_t length;
	unsigned type;
};

struct reader {
	const uint8_t *at, *end;
};

static uint64_t read_big_endian(struct reader *reader, size_t bytes)
{
	uint64_t value = 0;

	assert_true((size_t)(reader->end - reader->at) >= bytes);
	while (bytes-- > 0)
		value = value << 8 | *reader->at++;
	return value;
}

static uint64_t read_number(struct reader *reader, unsigned type)
{
	assert_in_range(type, 2, 5);
	return read_big_endian(reader, 1u << (type - 2));
}

static size_t read_string(struct reader *reader, const uint8_t **ret)
{
	size_t length = (size_t)read_big_endian(reader, 2);

	assert_true((size_t)(reader->end - reader->at) >= length);
	*ret = reader->at;
	reader->at += length;
	return length;
}

static void read_value(struct reader *reader, struct item *item)
{
	uint32_t bits;

	if (item->type == 11) {
		item->length = read_string(reader, &item->text);
	} else if (item->type == 10) {
		bits = __builtin_bswap32((uint32_t)read_big_endian(reader, 4));
		memcpy(&item->real, &bits, sizeof(bits));
	} else {
		item->number = read_number(reader, item->type);
	}
}

/* False at the end of the record. */
static bool read_item(struct reader *reader, struct item *item)
{
	unsigned types = (unsigned)read_big_endian(reader, 1);
	const uint8_t *name;
	size_t length;

	*item = (struct item){.type = types & 15};
	if (types == 1)
		return false;
	if (types >> 4 == 11) {
		length = read_string(reader, &name);
		assert_in_range(length, 1, sizeof(item->name) - 1);
		memcpy(item->name, name, length);
	} else {
		item->key = read_number(reader, types >> 4);
	}
	read_value(reader, item);
	return true;
}

static void check_item(const char *hex, const struct flow_record *record)
{
	struct buffer out;
	uint8_t bytes[64];
	size_t length = strlen(hex) / 2;

	for (size_t i = 0; i < length; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &bytes[i]), 1);
	buffer_init(&out);
	assert_int_equal(ndpi_tlv_encode_record(&out, record), 0);
	if (!memmem(out.bytes, out.length, bytes, length))
		fail_msg("no %s", hex);
	buffer_fini(&out);
}

/* The bytes that ntopng was seen to read. */
static void test_known_items(unused void **state)
{
	struct flow_record record = records_make(RECORD_CURL);

	record.key.tuple.src_port = 40000;
	record.src.pid = 1234;
	record.key.tuple.src = ip_address_from_v4(htonl(0x0a000001));
	record.parts |= RECORD_CLIENT_LATENCY;
	record.packets.client_latency_us = 1500;
	check_item("23079c40", &record);
	check_item("33e12804d2", &record);
	check_item("2b08000831302e302e302e31", &record);
	check_item("3be12900046375726c", &record);
	check_item("3ae0fb0000c03f", &record);
	/* By name: "SRC_PROC_PCTG_IOWAIT" = 0. */
	check_item("b200145352435f50524f435f504354475f494f5741495400", &record);
}

static void test_records_stand_in_groups(unused void **state)
{
	struct flow_record record = records_make(RECORD_LOOPBACK);
	struct item item;
	struct reader reader;
	struct buffer out;

	buffer_init(&out);
	assert_int_equal(ndpi_tlv_encode_record(&out, &record), 0);
	assert_int_equal(ndpi_tlv_encode_record(&out, &record), 0);
	assert_int_equal(out.bytes[0], 1);
	assert_int_equal(out.bytes[1], 1);
	reader = (struct reader){out.bytes + 2, out.bytes + out.length};
	for (int i = 0; i < 2; i++)
		while (read_item(&reader, &item))
			;
	assert_ptr_equal(reader.at, reader.end);
	buffer_fini(&out);
}

static void check_value(const struct item *item, const struct field *field,
			const struct flow_record *record)
{
	char json[32768];
	size_t length = (size_t)(json_value_add(json, field, record) - json);

	switch ((enum field_kind)field->kind) {
	case FIELD_KIND_UNSIGNED:
	case FIELD_KIND_UPTIME:
		json[length] = '\0';
		assert_true(item->number == strtoull(json, NULL, 10));
		assert_true(item->type == 2 || item->number >> (1 << (item->type)) != 0);
		break;
	case FIELD_KIND_LATENCY:
		assert_int_equal(item->type, 10);
		break;
	case FIELD_KIND_TEXT:
		assert_int_equal(item->type, 11);
		for (size_t i = 0; i < item->length; i++)
			assert_true(item->text[i] >= 0x20);
		break;
	default:
		assert_int_equal(item->type, 11);
		assert_int_equal(item->length, length - 2);
		assert_memory_equal(item->text, json + 1, item->length);
	}
}

/* Random records, texts as hostile as they come: exactly what is known, in the table's order. */
static void test_random_records(unused void **state)
{
	uint64_t seed = 20261126;
	struct buffer out;

	buffer_init(&out);
	for (int i = 0; i < 3000; i++) {
		struct flow_record record = records_make_random(&seed);
		struct reader reader;
		struct item item;

		buffer_clear(&out);
		assert_int_equal(ndpi_tlv_encode_record(&out, &record), 0);
		reader = (struct reader){out.bytes + 2, out.bytes + out.length};
		for (size_t j = 0; j < FIELD_COUNT; j++) {
			const struct field *field = &field_table[j];

			if (!json_value_is_written(field, &record))
				continue;
			assert_true(read_item(&reader, &item));
			if (item.name[0])
				assert_string_equal(item.name, field->name);
			else
				assert_int_equal(item.key, field->v9_id);
			check_value(&item, field, &record);
		}
		assert_false(read_item(&reader, &item));
		assert_ptr_equal(reader.at, reader.end);
	}
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_items),
		cmocka_unit_test(test_records_stand_in_groups),
		cmocka_unit_test(test_random_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
