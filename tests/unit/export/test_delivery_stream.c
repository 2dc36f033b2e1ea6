/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Exporters over connections, against a collector in the same loop that can be told to misbehave. */

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "export/exporter.h"
#include "export/options_data.h"

enum { MOST_BYTES = 64 << 20, MESSAGE_BYTES = 1400, MOST_CONNECTIONS = 4 };

#define DEADLINE_NS (30 * NS_PER_SEC)

struct fixture {
	struct config_exporter config;
	struct exporter_context context;
	struct exporter *exporter;
	/* The collector. */
	struct sockaddr_storage address;
	socklen_t address_length;
	int listener, peer;
	bool reads;
	size_t limit; /* bytes of one connection, after which it is reset; 0: none */
	size_t connection_bytes;
	unsigned connections;
	uint8_t *bytes;
	size_t length, starts[MOST_CONNECTIONS]; /* where the bytes of each connection begin */
	uint64_t exported;
};

static void check_sum(const struct fixture *fixture)
{
	const struct exporter_counters *counters = exporter_get_counters(fixture->exporter);

	assert_int_equal(counters->accepted_records,
			 counters->sent_records + counters->waiting_records +
				 exporter_counters_sum_dropped(counters));
}

static void listen_again(struct fixture *fixture)
{
	struct sockaddr *address = (struct sockaddr *)&fixture->address;
	int on = 1;

	fixture->listener =
		socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fixture->listener >= 0);
	setsockopt(fixture->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fixture->listener, address, fixture->address_length), 0);
	assert_int_equal(listen(fixture->listener, 5), 0);
	assert_int_equal(getsockname(fixture->listener, address, &fixture->address_length), 0);
}

static void close_peer(struct fixture *fixture, bool reset)
{
	const struct linger linger = {.l_onoff = 1};

	if (fixture->peer < 0)
		return;
	if (reset)
		setsockopt(fixture->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fixture->peer);
	fixture->peer = -1;
}

static void read_peer(struct fixture *fixture)
{
	for (int i = 0; i < 16 && fixture->peer >= 0; i++) {
		size_t room = MOST_BYTES - fixture->length;
		ssize_t length;

		if (fixture->limit && fixture->limit - fixture->connection_bytes < room)
			room = fixture->limit - fixture->connection_bytes;
		length = recv(fixture->peer, fixture->bytes + fixture->length, room, MSG_DONTWAIT);
		if (length <= 0) {
			if (length == 0 || errno != EAGAIN)
				close_peer(fixture, false);
			return;
		}
		fixture->length += (size_t)length;
		fixture->connection_bytes += (size_t)length;
		if (fixture->limit && fixture->connection_bytes == fixture->limit)
			close_peer(fixture, true);
	}
}

static void turn(struct fixture *fixture)
{
	assert_int_equal(loop_run_once(fixture->context.loop, NS_PER_MS), 0);
	if (fixture->listener >= 0 && fixture->peer < 0) {
		fixture->peer = accept(fixture->listener, NULL, NULL);
		fixture->connection_bytes = 0;
		fixture->connections += fixture->peer >= 0;
		if (fixture->peer >= 0 && fixture->connections <= MOST_CONNECTIONS)
			fixture->starts[fixture->connections - 1] = fixture->length;
	}
	if (fixture->reads)
		read_peer(fixture);
	check_sum(fixture);
}

static void run_until(struct fixture *fixture, bool (*is_done)(struct fixture *fixture))
{
	uint64_t deadline_ns = clock_now_ns() + DEADLINE_NS;

	while (!is_done(fixture)) {
		assert_true(clock_now_ns() < deadline_ns);
		turn(fixture);
	}
}

static bool is_empty(struct fixture *fixture)
{
	return exporter_get_counters(fixture->exporter)->waiting_records == 0;
}

static bool is_connected(struct fixture *fixture)
{
	return fixture->peer >= 0 && exporter_get_counters(fixture->exporter)->connections > 0;
}

static bool is_lost(struct fixture *fixture)
{
	const struct exporter_counters *counters = exporter_get_counters(fixture->exporter);

	return fixture->peer < 0 && counters->connections == fixture->connections;
}

static bool has_failed(struct fixture *fixture)
{
	return exporter_get_counters(fixture->exporter)->failed_connections > 0;
}

static bool has_dropped(struct fixture *fixture)
{
	struct flow_record record = records_make(RECORD_CURL);

	for (unsigned i = 0; i < 100; i++) {
		record.flow_id = ++fixture->exported;
		exporter_export(fixture->exporter, &record);
	}
	return exporter_get_counters(fixture->exporter)->dropped_queue_full > 0;
}

static void export_many(struct fixture *fixture, unsigned count)
{
	struct flow_record record = records_make(RECORD_CURL);

	for (unsigned i = 0; i < count; i++) {
		record.flow_id = ++fixture->exported;
		record.number = 1;
		exporter_export(fixture->exporter, &record);
	}
	exporter_flush(fixture->exporter);
	check_sum(fixture);
}

static int set_up(void **state)
{
	static char name[] = "test", host[] = "127.0.0.1";
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct sockaddr_in *address = (struct sockaddr_in *)&fixture->address;

	signal(SIGPIPE, SIG_IGN);
	fixture->listener = fixture->peer = -1;
	fixture->bytes = malloc(MOST_BYTES);
	fixture->reads = true;
	fixture->config = (struct config_exporter){.name = name,
						   .type = CONFIG_EXPORTER_JSON,
						   .queue = 5000,
						   .template_interval_ns = 60 * NS_PER_SEC,
						   .template_packets = 1000,
						   .max_message_bytes = MESSAGE_BYTES,
						   .reconnect_ns = 100 * NS_PER_MS};
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fixture->address_length = sizeof(*address);
	listen_again(fixture);
	fixture->config.to.transport = CONFIG_TRANSPORT_TCP;
	fixture->config.to.host = host;
	fixture->config.to.port = ntohs(address->sin_port);
	assert_int_equal(loop_new(&fixture->context.loop), 0);
	*state = fixture;
	return 0;
}

static void stop_listening(struct fixture *fixture)
{
	if (fixture->listener >= 0)
		close(fixture->listener);
	fixture->listener = -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	exporter_free(fixture->exporter);
	close_peer(fixture, false);
	stop_listening(fixture);
	loop_free(fixture->context.loop);
	free(fixture->bytes);
	free(fixture);
	return 0;
}

static void open_exporter(struct fixture *fixture)
{
	assert_int_equal(exporter_new(&fixture->config, &fixture->context, &fixture->exporter), 0);
}

/* How often each flow arrived in a whole line; fails when one is out of order. Returns how many
 * arrived. */
static unsigned count_lines(struct fixture *fixture, bool may_be_torn)
{
	static const char key[] = "\"FLOW_ID\":";
	uint64_t last = 0;
	unsigned count = 0;

	for (size_t at = 0; at < fixture->length;) {
		uint8_t *end = memchr(fixture->bytes + at, '\n', fixture->length - at);
		char *found;
		uint64_t flow_id;

		if (!end)
			break;
		*end = '\0';
		found = strstr((char *)fixture->bytes + at, key);
		/* A line that was cut stands in front of the whole one of the next connection. */
		if (may_be_torn && found)
			for (char *next; (next = strstr(found + 1, key));)
				found = next;
		assert_non_null(found);
		flow_id = strtoull(found + strlen(key), NULL, 10);
		assert_true(flow_id > last);
		last = flow_id;
		count++;
		at = (size_t)(end - fixture->bytes) + 1;
	}
	return count;
}

static void test_a_collector_that_comes_late(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;

	stop_listening(fixture);
	open_exporter(fixture);
	counters = exporter_get_counters(fixture->exporter);
	export_many(fixture, 3000);
	assert_int_equal(counters->waiting_records, 3000);
	run_until(fixture, has_failed);
	listen_again(fixture);
	run_until(fixture, is_empty);
	assert_int_equal(count_lines(fixture, false), 3000);
	assert_int_equal(counters->sent_records, 3000);
	assert_int_equal(counters->sent_bytes, fixture->length);
	assert_int_equal(counters->connections, 1);
}

static void test_a_collector_that_starts_again(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;

	open_exporter(fixture);
	counters = exporter_get_counters(fixture->exporter);
	export_many(fixture, 500);
	run_until(fixture, is_empty);
	while (fixture->length < counters->sent_bytes)
		turn(fixture);
	close_peer(fixture, true);
	stop_listening(fixture);
	run_until(fixture, is_lost);
	export_many(fixture, 500);
	run_until(fixture, has_failed);
	listen_again(fixture);
	run_until(fixture, is_empty);
	assert_int_equal(counters->sent_records, 1000);
	while (fixture->length < counters->sent_bytes)
		turn(fixture);
	assert_int_equal(count_lines(fixture, false), 1000);
	assert_int_equal(counters->connections, 2);
	assert_int_equal(exporter_counters_sum_dropped(counters), 0);
}

/* The connection is cut after every 10,000 bytes, in the middle of lines. What the collector's
 * kernel had and its program never read is gone with the connection; but nothing comes twice, nothing
 * out of order, and the sum is right. */
static void test_cut_in_the_middle_of_a_line(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;

	fixture->limit = 10000;
	open_exporter(fixture);
	counters = exporter_get_counters(fixture->exporter);
	run_until(fixture, is_connected);
	for (unsigned i = 0; i < 30; i++) {
		export_many(fixture, 40);
		turn(fixture);
	}
	run_until(fixture, is_empty);
	assert_int_equal(counters->sent_records, 1200);
	assert_true(counters->connections > 1);
	assert_true(count_lines(fixture, true) <= 1200);
	assert_int_equal(exporter_counters_sum_dropped(counters), 0);
}

/* What cannot go waits up to the bound, and not a record is sent twice or out of order. */
static void test_a_collector_that_does_not_read(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;
	uint64_t dropped;

	fixture->reads = false;
	open_exporter(fixture);
	counters = exporter_get_counters(fixture->exporter);
	run_until(fixture, is_connected);
	run_until(fixture, has_dropped);
	assert_true(counters->waiting_records > 0);
	exporter_flush(fixture->exporter);
	dropped = counters->dropped_queue_full;
	fixture->reads = true;
	run_until(fixture, is_empty);
	assert_int_equal(counters->dropped_queue_full, dropped);
	assert_int_equal(counters->sent_records, fixture->exported - dropped);
	while (fixture->length < counters->sent_bytes)
		turn(fixture);
	assert_int_equal(count_lines(fixture, false), fixture->exported - dropped);
	assert_int_equal(counters->connections, 1);
}

static void test_the_end_does_not_wait_for_it(void **state)
{
	struct fixture *fixture = *state;
	uint64_t begun_ns;

	fixture->reads = false;
	open_exporter(fixture);
	run_until(fixture, is_connected);
	run_until(fixture, has_dropped);
	begun_ns = clock_now_ns();
	exporter_free(fixture->exporter);
	fixture->exporter = NULL;
	assert_true(clock_now_ns() - begun_ns < DEADLINE_NS);
}

static void test_unix_socket(void **state)
{
	struct fixture *fixture = *state;
	struct sockaddr_un *address = (struct sockaddr_un *)&fixture->address;
	char path[64] = "/tmp/procflow-stream-XXXXXX";

	stop_listening(fixture);
	assert_non_null(mkdtemp(path));
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/socket", path);
	fixture->address_length = sizeof(*address);
	fixture->config.to.transport = CONFIG_TRANSPORT_UNIX;
	fixture->config.to.path = address->sun_path;
	open_exporter(fixture);
	export_many(fixture, 100);
	run_until(fixture, has_failed);
	listen_again(fixture);
	run_until(fixture, is_empty);
	while (fixture->length < exporter_get_counters(fixture->exporter)->sent_bytes)
		turn(fixture);
	assert_int_equal(count_lines(fixture, false), 100);
	exporter_free(fixture->exporter);
	fixture->exporter = NULL;
	assert_int_equal(unlink(address->sun_path), 0);
	assert_int_equal(rmdir(path), 0);
}

static uint16_t u16_at(const struct fixture *fixture, size_t at)
{
	return (uint16_t)(fixture->bytes[at] << 8 | fixture->bytes[at + 1]);
}

/* Which sets the message has: bit 0 templates, bit 1 flows; others are about the exporter. */
static unsigned look_at_sets(const struct fixture *fixture, size_t message, unsigned seen)
{
	size_t end = message + u16_at(fixture, message + 2);

	for (size_t at = message + 16; at < end; at += u16_at(fixture, at + 2)) {
		if (u16_at(fixture, at) == 2)
			seen |= 1;
		if (u16_at(fixture, at) >= 256 && u16_at(fixture, at) < TEMPLATE_OPTIONS_ID) {
			assert_true(seen & 1);
			seen |= 2;
		}
	}
	return seen;
}

/* RFC 7011 3.1, 8.1, 10.4.4: each connection begins with sequence 0 and all templates. */
static void test_ipfix_says_its_templates_again(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;

	fixture->config.type = CONFIG_EXPORTER_IPFIX;
	open_exporter(fixture);
	counters = exporter_get_counters(fixture->exporter);
	export_many(fixture, 100);
	run_until(fixture, is_empty);
	while (fixture->length < counters->sent_bytes)
		turn(fixture);
	close_peer(fixture, false);
	run_until(fixture, is_lost);
	export_many(fixture, 100);
	run_until(fixture, is_empty);
	while (fixture->length < counters->sent_bytes)
		turn(fixture);
	assert_int_equal(counters->connections, 2);
	assert_int_equal(counters->sent_records, 200);
	for (unsigned i = 0; i < 2; i++) {
		size_t at = fixture->starts[i], end = i ? fixture->length : fixture->starts[1];
		unsigned seen = 0;

		assert_int_equal(u16_at(fixture, at), 10);
		assert_int_equal(u16_at(fixture, at + 8), 0);
		assert_int_equal(u16_at(fixture, at + 10), 0);
		for (; at < end; at += u16_at(fixture, at + 2)) {
			seen = look_at_sets(fixture, at, seen);
			assert_int_equal(u16_at(fixture, at), 10);
		}
		assert_int_equal(at, end);
		assert_int_equal(seen, 3);
	}
}

static bool has_spooled(struct fixture *fixture)
{
	export_many(fixture, 100);
	return exporter_get_counters(fixture->exporter)->spooled_records > 0;
}

static bool is_read(struct fixture *fixture)
{
	return fixture->peer < 0;
}

/* An orderly end while the collector is slow: what is with its kernel it reads, the rest is not sent by
 * ours any more but by the next run, from the line on that it has not whole. */
static void test_the_spool_sends_what_the_kernel_had_not(void **state)
{
	struct fixture *fixture = *state;
	char spool[] = "/tmp/procflow-stream-XXXXXX", command[64];

	assert_non_null(mkdtemp(spool));
	fixture->config.spool = spool;
	fixture->config.spool_max_bytes = 1 << 30;
	fixture->config.queue = 1000;
	fixture->reads = false;
	open_exporter(fixture);
	run_until(fixture, is_connected);
	run_until(fixture, has_spooled);
	exporter_free(fixture->exporter);
	fixture->reads = true;
	open_exporter(fixture);
	assert_true(exporter_get_counters(fixture->exporter)->recovered_records > 0);
	run_until(fixture, is_read);
	run_until(fixture, is_empty);
	while (fixture->length - fixture->starts[1] <
	       exporter_get_counters(fixture->exporter)->sent_bytes)
		turn(fixture);
	assert_int_equal(fixture->connections, 2);
	assert_int_equal(count_lines(fixture, true), fixture->exported);
	snprintf(command, sizeof(command), "rm -r %s", spool);
	assert_int_equal(system(command), 0);
}

static uint64_t wait_for_failures(struct fixture *fixture, uint64_t count)
{
	uint64_t begun_ns = clock_now_ns(), deadline_ns = begun_ns + DEADLINE_NS;

	stop_listening(fixture);
	open_exporter(fixture);
	while (exporter_get_counters(fixture->exporter)->failed_connections < count) {
		assert_true(clock_now_ns() < deadline_ns);
		turn(fixture);
	}
	return clock_now_ns() - begun_ns;
}

/* RFC 7011 10.4.4: one attempt in the time that is set. */
static void test_ipfix_tries_once_in_a_period(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.type = CONFIG_EXPORTER_IPFIX;
	fixture->config.reconnect_ns = 300 * NS_PER_MS;
	assert_true(wait_for_failures(fixture, 5) >= 4 * fixture->config.reconnect_ns);
}

/* A second, then two; each less by a quarter at most. */
static void test_lines_back_off(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.reconnect_ns = 60 * NS_PER_SEC;
	assert_true(wait_for_failures(fixture, 3) >= 3 * NS_PER_SEC / 4 * 3);
}

enum { MOST_TEMPLATES = 1024 };

/* Every set of data has had its template. Returns how many templates there were. */
static unsigned check_templates(const struct fixture *fixture)
{
	bool is_known[MOST_TEMPLATES] = {false};
	unsigned count = 0;

	for (size_t at = 0; at < fixture->length;) {
		size_t end = at + u16_at(fixture, at + 2);

		assert_int_equal(u16_at(fixture, at), 10);
		assert_true(end <= fixture->length);
		for (at += 16; at < end; at += u16_at(fixture, at + 2)) {
			uint16_t id = u16_at(fixture, at);
			size_t next = at + u16_at(fixture, at + 2);

			if (id >= 256 && id < TEMPLATE_OPTIONS_ID)
				assert_true(is_known[id]);
			for (size_t one = at + 4; id == 2 && one + 4 <= next; count++) {
				uint16_t fields = u16_at(fixture, one + 2);

				assert_in_range(u16_at(fixture, one), 256, MOST_TEMPLATES - 1);
				is_known[u16_at(fixture, one)] = true;
				for (one += 4; fields > 0; fields--)
					one += u16_at(fixture, one) & 0x8000 ? 8 : 4;
			}
		}
	}
	return count;
}

static bool has_dropped_new_kinds(struct fixture *fixture)
{
	const struct exporter_counters *counters = exporter_get_counters(fixture->exporter);
	unsigned kinds = counters->dropped_queue_full > 0 ? RECORDS_COUNT : 1;

	for (unsigned i = 0; i < 100; i++) {
		struct flow_record record = records_make(i % kinds);

		record.flow_id = ++fixture->exported;
		exporter_export(fixture->exporter, &record);
	}
	return counters->dropped_queue_full > 2 * fixture->config.queue;
}

/* The queue overflows, and messages are thrown away that had templates in front of their records, which
 * are not sent again on a connection. */
static void test_templates_outlive_what_is_thrown_away(void **state)
{
	struct fixture *fixture = *state;
	const struct exporter_counters *counters;

	fixture->config.type = CONFIG_EXPORTER_IPFIX;
	fixture->config.queue = 1000;
	fixture->reads = false;
	open_exporter(fixture);
	counters = exporter_get_counters(fixture->exporter);
	run_until(fixture, is_connected);
	run_until(fixture, has_dropped_new_kinds);
	exporter_flush(fixture->exporter);
	fixture->reads = true;
	run_until(fixture, is_empty);
	while (fixture->length < counters->sent_bytes)
		turn(fixture);
	assert_int_equal(counters->connections, 1);
	assert_true(check_templates(fixture) >= RECORDS_COUNT - 2);
}

/* A template as it was last announced, and what a record of it tells of its flow. */
struct known_template {
	const uint8_t *fields; /* of its record, NULL: it is not known */
	uint16_t count;
};

static size_t step_over(const uint8_t *value, uint16_t width)
{
	if (width != 65535)
		return width;
	return value[0] < 255 ? 1 + (size_t)value[0] : 3 + (size_t)(value[1] << 8 | value[2]);
}

/* One record; *ret_flow is its FLOW_ID (148). Returns its length. */
static size_t decode(const struct known_template *template, const uint8_t *record,
		     uint64_t *ret_flow)
{
	const uint8_t *field = template->fields;
	size_t length = 0;

	*ret_flow = 0;
	for (uint16_t i = 0; i < template->count; i++) {
		uint16_t id = (uint16_t)(field[0] << 8 | field[1]);
		uint16_t width = (uint16_t)(field[2] << 8 | field[3]);

		for (uint16_t k = 0; id == 148 && k < width; k++)
			*ret_flow = *ret_flow << 8 | record[length + k];
		length += step_over(record + length, width);
		field += id & 0x8000 ? 8 : 4;
	}
	return length;
}

/* Decodes all of a connection's flows, each exactly to the end of its set (RFC 7011 3.3.1). An id means one
 * template (8.1). */
static void check_flows(const struct fixture *fixture, uint64_t count)
{
	static struct known_template known[MOST_TEMPLATES];
	uint64_t flow, last = 0;

	for (size_t at = 0, end; at < fixture->length; at = end) {
		end = at + u16_at(fixture, at + 2);
		for (size_t set = at + 16; set < end; set += u16_at(fixture, set + 2)) {
			size_t one = set + 4, next = set + u16_at(fixture, set + 2);
			uint16_t id = u16_at(fixture, set);

			for (; id == 2 && one < next;) {
				struct known_template *template = &known[u16_at(fixture, one)];

				struct known_template before = *template;
				size_t begin = one + 4;

				template->count = u16_at(fixture, one + 2);
				template->fields = fixture->bytes + begin;
				one = begin;
				for (uint16_t i = 0; i < template->count; i++)
					one += fixture->bytes[one] & 0x80 ? 8 : 4;
				if (!before.fields)
					continue;
				assert_int_equal(before.count, template->count);
				assert_memory_equal(before.fields, template->fields, one - begin);
			}
			for (; id >= 256 && id < TEMPLATE_OPTIONS_ID && one < next;) {
				assert_non_null(known[id].fields);
				one += decode(&known[id], fixture->bytes + one, &flow);
				assert_true(one <= next);
				assert_int_equal(flow, ++last);
			}
		}
	}
	assert_int_equal(last, count);
}

static void export_kind(struct fixture *fixture, unsigned kind)
{
	struct flow_record record = records_make(kind);

	record.flow_id = ++fixture->exported;
	exporter_export(fixture->exporter, &record);
}

/* Two runs without a collector, then a third. The ids of templates are given out in another order in each. */
static void test_ipfix_from_the_spool(void **state)
{
	struct fixture *fixture = *state;
	char spool[] = "/tmp/procflow-stream-XXXXXX", command[64];
	const struct exporter_counters *counters;

	assert_non_null(mkdtemp(spool));
	stop_listening(fixture);
	fixture->config.type = CONFIG_EXPORTER_IPFIX;
	fixture->config.spool = spool;
	fixture->config.spool_max_bytes = 1 << 24;
	fixture->config.queue = 20;
	for (unsigned run = 0; run < 3; run++) {
		open_exporter(fixture);
		counters = exporter_get_counters(fixture->exporter);
		assert_int_equal(counters->recovered_records, run * 50);
		for (unsigned i = 0; i < 50; i++)
			export_kind(fixture, (i * (run + 1) + run * 2) % RECORDS_COUNT);
		exporter_flush(fixture->exporter);
		check_sum(fixture);
		if (run == 2)
			break;
		exporter_free(fixture->exporter);
	}
	listen_again(fixture);
	run_until(fixture, is_empty);
	while (fixture->length < counters->sent_bytes)
		turn(fixture);
	assert_int_equal(counters->sent_records, 150);
	check_flows(fixture, 150);
	snprintf(command, sizeof(command), "rm -r %s", spool);
	assert_int_equal(system(command), 0);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_a_collector_that_comes_late),
		with_fixture(test_a_collector_that_starts_again),
		with_fixture(test_cut_in_the_middle_of_a_line),
		with_fixture(test_a_collector_that_does_not_read),
		with_fixture(test_the_end_does_not_wait_for_it),
		with_fixture(test_the_spool_sends_what_the_kernel_had_not),
		with_fixture(test_unix_socket),
		with_fixture(test_ipfix_says_its_templates_again),
		with_fixture(test_ipfix_tries_once_in_a_period),
		with_fixture(test_lines_back_off),
		with_fixture(test_templates_outlive_what_is_thrown_away),
		with_fixture(test_ipfix_from_the_spool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
