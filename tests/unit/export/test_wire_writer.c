/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Messages are read back here by a reader that knows only the headers, the sets and the templates
 * it was sent: whatever is sent must be readable with what came before it. */

#include "unit.h"

#include <stdbool.h>

#include "export/template_cache.h"
#include "export/wire_writer.h"

struct known_template {
	bool is_known;
	size_t field_count;
	uint16_t widths[FIELD_COUNT];
};

struct collector {
	enum template_format format;
	size_t limit;
	struct known_template *templates; /* by id - 256 */
	unsigned messages, records, template_records;
	uint32_t next_sequence, unix_seconds, uptime_ms;
	unsigned largest;
};

static unsigned u16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t u32(const uint8_t *at)
{
	return (uint32_t)u16(at) << 16 | u16(at + 2);
}

static size_t read_template(struct collector *collector, const uint8_t *at)
{
	struct known_template *template = &collector->templates[u16(at) - 256];
	size_t length = 4;

	assert_in_range(u16(at), 256, 256 + TEMPLATE_CACHE_LIMIT - 1);
	template->is_known = true;
	template->field_count = u16(at + 2);
	assert_in_range(template->field_count, 1, FIELD_COUNT);
	for (size_t i = 0; i < template->field_count; i++) {
		bool has_pen = collector->format == TEMPLATE_IPFIX && at[length] & 0x80;

		template->widths[i] = (uint16_t)u16(at + length + 2);
		length += has_pen ? 8 : 4;
	}
	collector->template_records++;
	return length;
}

static size_t read_record(struct collector *collector, unsigned id, const uint8_t *at)
{
	const struct known_template *template = &collector->templates[id - 256];
	size_t length = 0;

	assert_true(template->is_known);
	for (size_t i = 0; i < template->field_count; i++) {
		size_t width = template->widths[i];

		if (width == 65535) {
			width = at[length++];
			if (width == 255) {
				width = u16(at + length);
				length += 2;
			}
		}
		length += width;
	}
	collector->records++;
	return length;
}

static void read_set(struct collector *collector, const uint8_t *at, size_t length)
{
	unsigned id = u16(at), padding = collector->format == TEMPLATE_NETFLOW9 ? 3 : 0;
	size_t done = 4;

	if (collector->format == TEMPLATE_NETFLOW9)
		assert_int_equal(length % 4, 0);
	while (done + padding < length)
		done += id < 256 ? read_template(collector, at + done)
				 : read_record(collector, id, at + done);
	assert_true(done <= length);
	for (; done < length; done++)
		assert_int_equal(at[done], 0);
}

static void on_message(void *userdata, const struct wire_message *message)
{
	struct collector *collector = userdata;
	bool is_v9 = collector->format == TEMPLATE_NETFLOW9;
	const uint8_t *bytes = message->bytes;
	unsigned records = collector->records, templates = collector->template_records;
	size_t at = is_v9 ? 20 : 16;

	assert_true(message->length <= collector->limit);
	assert_int_equal(u16(bytes), is_v9 ? 9 : 10);
	assert_int_equal(u32(bytes + at - 4), 7);
	assert_int_equal(u32(bytes + at - 8), collector->next_sequence);
	collector->unix_seconds = u32(bytes + (is_v9 ? 8 : 4));
	collector->uptime_ms = is_v9 ? u32(bytes + 4) : 0;
	while (at < message->length) {
		size_t length = u16(bytes + at + 2);

		assert_true(length >= 4 && at + length <= message->length);
		read_set(collector, bytes + at, length);
		at += length;
	}
	records = collector->records - records;
	templates = collector->template_records - templates;
	assert_int_equal(message->records, records);
	assert_int_equal(message->templates, templates);
	if (is_v9)
		assert_int_equal(u16(bytes + 2), records + templates);
	else
		assert_int_equal(u16(bytes + 2), message->length);
	collector->next_sequence += is_v9 ? 1 : records;
	collector->messages++;
	if (message->length > collector->largest)
		collector->largest = (unsigned)message->length;
}

struct fixture {
	struct collector collector;
	struct wire_options options;
	struct wire_writer *writer;
	struct wire_now now;
};

static void start(struct fixture *fixture, enum template_format format)
{
	*fixture = (struct fixture){
		.collector = {.format = format, .limit = 1400},
		.options = {.template_options = {.format = format, .set = FIELD_SET_PROCFLOW},
			    .template_interval_ns = 60 * NS_PER_SEC,
			    .template_packets = 1000,
			    .max_message_bytes = 1400,
			    .domain = 7,
			    .boot_ns = RECORDS_BOOT_NS},
		.now = {RECORDS_START_NS, RECORDS_START_MS * NS_PER_MS},
	};
	fixture->collector.templates =
		calloc(TEMPLATE_CACHE_LIMIT, sizeof(*fixture->collector.templates));
}

static void open_writer(struct fixture *fixture)
{
	fixture->collector.limit = fixture->options.max_message_bytes;
	assert_int_equal(wire_writer_new(&fixture->options, on_message, &fixture->collector,
					 &fixture->writer),
			 0);
}

static void end(struct fixture *fixture)
{
	wire_writer_free(fixture->writer);
	free(fixture->collector.templates);
}

static void add(struct fixture *fixture, unsigned which)
{
	struct flow_record record = records_make(which);

	assert_int_equal(wire_writer_add(fixture->writer, &record, &fixture->now), 0);
}

static void send_one(struct fixture *fixture, unsigned which)
{
	add(fixture, which);
	wire_writer_finish(fixture->writer, &fixture->now);
}

static void test_template_once_then_by_packets(unused void **state)
{
	struct fixture fixture;

	for (unsigned format = TEMPLATE_NETFLOW9; format <= TEMPLATE_IPFIX; format++) {
		start(&fixture, format);
		fixture.options.template_packets = 3;
		open_writer(&fixture);
		for (int i = 1; i <= 7; i++) {
			send_one(&fixture, RECORD_CURL);
			assert_int_equal(fixture.collector.template_records, 1 + (i - 1) / 3);
		}
		assert_int_equal(fixture.collector.records, 7);
		end(&fixture);
	}
}

static void test_templates_again_by_time(unused void **state)
{
	struct fixture fixture;

	start(&fixture, TEMPLATE_IPFIX);
	open_writer(&fixture);
	send_one(&fixture, RECORD_CURL);
	send_one(&fixture, RECORD_PING);
	assert_int_equal(fixture.collector.template_records, 2);
	fixture.now.monotonic_ns += 60 * NS_PER_SEC - 1;
	send_one(&fixture, RECORD_PING);
	assert_int_equal(fixture.collector.template_records, 2);
	fixture.now.monotonic_ns += 1;
	send_one(&fixture, RECORD_PING);
	assert_int_equal(fixture.collector.template_records, 4);
	wire_writer_resend_templates(fixture.writer);
	send_one(&fixture, RECORD_V6);
	assert_int_equal(fixture.collector.template_records, 7);
	end(&fixture);
}

static void test_nothing_to_finish_sends_nothing(unused void **state)
{
	struct fixture fixture;

	start(&fixture, TEMPLATE_NETFLOW9);
	open_writer(&fixture);
	wire_writer_finish(fixture.writer, &fixture.now);
	assert_int_equal(fixture.collector.messages, 0);
	end(&fixture);
}

/* unix_secs and sysUptime tell one moment, not before now and less than a second after it. */
static void test_netflow9_times_agree(unused void **state)
{
	struct fixture fixture;
	uint64_t boot_ms =
		(RECORDS_START_MS * NS_PER_MS - RECORDS_START_NS + RECORDS_BOOT_NS) / NS_PER_MS;

	start(&fixture, TEMPLATE_NETFLOW9);
	open_writer(&fixture);
	for (int i = 0; i < 20; i++) {
		uint64_t uptime_ms;

		send_one(&fixture, RECORD_CURL);
		uptime_ms = (fixture.now.monotonic_ns - RECORDS_BOOT_NS) / NS_PER_MS;
		assert_int_equal(fixture.collector.unix_seconds * 1000ull -
					 fixture.collector.uptime_ms,
				 boot_ms);
		assert_in_range(fixture.collector.uptime_ms, uptime_ms, uptime_ms + 1000);
		fixture.now.monotonic_ns += 77 * NS_PER_MS;
		fixture.now.wall_ns += 77 * NS_PER_MS;
	}
	end(&fixture);
}

static void test_ipfix_export_time(unused void **state)
{
	struct fixture fixture;

	start(&fixture, TEMPLATE_IPFIX);
	open_writer(&fixture);
	send_one(&fixture, RECORD_CURL);
	assert_int_equal(fixture.collector.unix_seconds, RECORDS_START_MS / 1000);
	end(&fixture);
}

/* A command line longer than the message is cut; a message without room for anything is told. */
static void test_large_records(unused void **state)
{
	static char lengthy[5000];
	struct flow_record record = records_make(RECORD_NAT);
	struct fixture fixture;

	memset(lengthy, 'x', sizeof(lengthy));
	record.src.command_line = (struct text){lengthy, sizeof(lengthy)};
	start(&fixture, TEMPLATE_IPFIX);
	open_writer(&fixture);
	add(&fixture, RECORD_CURL);
	assert_int_equal(wire_writer_add(fixture.writer, &record, &fixture.now), 0);
	wire_writer_finish(fixture.writer, &fixture.now);
	assert_int_equal(fixture.collector.records, 2);
	end(&fixture);

	start(&fixture, TEMPLATE_NETFLOW9);
	fixture.options.max_message_bytes = 120;
	open_writer(&fixture);
	assert_int_equal(wire_writer_add(fixture.writer, &record, &fixture.now), WIRE_TOO_LARGE);
	wire_writer_finish(fixture.writer, &fixture.now);
	assert_int_equal(fixture.collector.records, 0);
	end(&fixture);
}

/* All kinds of records, messages and pauses: each record arrives, or is told to be too large. */
static void check_random(enum template_format format, uint32_t limit, uint64_t seed)
{
	struct fixture fixture;
	unsigned added = 0, simplified = 0;

	start(&fixture, format);
	fixture.options.max_message_bytes = limit;
	fixture.options.template_packets = 50;
	open_writer(&fixture);
	for (int i = 0; i < 4000; i++) {
		struct flow_record record = records_make_random(&seed);
		int r = wire_writer_add(fixture.writer, &record, &fixture.now);

		assert_true(r == 0 || r == WIRE_TOO_LARGE || r == WIRE_SIMPLIFIED);
		added += r != WIRE_TOO_LARGE;
		simplified += r == WIRE_SIMPLIFIED;
		if (records_random(&seed) % 100 == 0)
			wire_writer_finish(fixture.writer, &fixture.now);
		if (records_random(&seed) % 500 == 0)
			fixture.now.monotonic_ns += 61 * NS_PER_SEC;
	}
	wire_writer_finish(fixture.writer, &fixture.now);
	assert_int_equal(fixture.collector.records, added);
	assert_true(added > 1000);
	assert_true(simplified > 0);
	print_message("format %d, limit %u: %u records in %u messages, largest %u\n", (int)format,
		      limit, added, fixture.collector.messages, fixture.collector.largest);
	end(&fixture);
}

static void test_random_records(unused void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		check_random(TEMPLATE_NETFLOW9, 1400, seed);
		check_random(TEMPLATE_IPFIX, 1400, seed);
		check_random(TEMPLATE_IPFIX, 512, seed);
		check_random(TEMPLATE_NETFLOW9, 512, seed);
		check_random(TEMPLATE_IPFIX, 1000000, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template_once_then_by_packets),
		cmocka_unit_test(test_templates_again_by_time),
		cmocka_unit_test(test_nothing_to_finish_sends_nothing),
		cmocka_unit_test(test_netflow9_times_agree),
		cmocka_unit_test(test_ipfix_export_time),
		cmocka_unit_test(test_large_records),
		cmocka_unit_test(test_random_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
