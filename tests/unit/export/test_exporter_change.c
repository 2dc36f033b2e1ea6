/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a reload does to the exporters, against a collector in the same loop. */

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "export/exporter_set.h"
#include "export/template.h"

enum { MOST_CONNECTIONS = 4, MOST_BYTES = 16 << 20, FLOWS = 3000 };

#define DEADLINE_NS (60 * NS_PER_SEC)

struct connection_log {
	int fd;
	uint8_t *bytes;
	size_t length;
};

struct fixture {
	struct config_exporter exporter;
	struct config config;
	struct exporter_context context;
	struct exporter_set set;
	char spool[64];
	int listener;
	bool reads;
	struct connection_log connections[MOST_CONNECTIONS];
	size_t count;
	uint64_t exported;
};

static int set_up(void **state)
{
	static char name[] = "test", host[] = "127.0.0.1";
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	signal(SIGPIPE, SIG_IGN);
	fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(fixture->listener, 5), 0);
	assert_int_equal(getsockname(fixture->listener, (struct sockaddr *)&address, &length), 0);
	fixture->exporter = (struct config_exporter){
		.name = name,
		.type = CONFIG_EXPORTER_JSON,
		.queue = 2 * FLOWS,
		.template_interval_ns = 60 * NS_PER_SEC,
		.template_packets = 1000,
		.max_message_bytes = 1400,
		.reconnect_ns = 100 * NS_PER_MS,
		.spool_max_bytes = 1 << 26,
		.to = {.transport = CONFIG_TRANSPORT_TCP,
		       .host = host,
		       .port = ntohs(address.sin_port)},
	};
	fixture->config.exporters = &fixture->exporter;
	fixture->config.exporter_count = 1;
	strcpy(fixture->spool, "/tmp/procflow-set-XXXXXX");
	assert_non_null(mkdtemp(fixture->spool));
	assert_int_equal(loop_new(&fixture->context.loop), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	exporter_set_close(&fixture->set);
	for (size_t i = 0; i < fixture->count; i++) {
		if (fixture->connections[i].fd >= 0)
			close(fixture->connections[i].fd);
		free(fixture->connections[i].bytes);
	}
	close(fixture->listener);
	loop_free(fixture->context.loop);
	snprintf(command, sizeof(command), "rm -r %s", fixture->spool);
	free(fixture);
	return system(command);
}

static const struct exporter_counters *counters_of(const struct fixture *fixture)
{
	return exporter_get_counters(fixture->set.items[0]);
}

static void read_some(struct connection_log *connection)
{
	ssize_t length;

	while (connection->fd >= 0) {
		length = recv(connection->fd, connection->bytes + connection->length,
			      MOST_BYTES - connection->length, MSG_DONTWAIT);
		if (length < 0 && errno == EAGAIN)
			return;
		if (length > 0) {
			connection->length += (size_t)length;
			continue;
		}
		close(connection->fd);
		connection->fd = -1;
	}
}

static void turn(struct fixture *fixture)
{
	int fd;

	assert_int_equal(loop_run_once(fixture->context.loop, NS_PER_MS), 0);
	fd = accept(fixture->listener, NULL, NULL);
	if (fd >= 0) {
		assert_true(fixture->count < MOST_CONNECTIONS);
		fixture->connections[fixture->count].fd = fd;
		fixture->connections[fixture->count++].bytes = malloc(MOST_BYTES);
	}
	for (size_t i = 0; fixture->reads && i < fixture->count; i++)
		read_some(&fixture->connections[i]);
	if (fixture->set.count > 0) {
		const struct exporter_counters *counters = counters_of(fixture);

		assert_int_equal(counters->accepted_records,
				 counters->sent_records + counters->waiting_records +
					 exporter_counters_sum_dropped(counters));
	}
}

static void run_until(struct fixture *fixture, bool (*is_done)(struct fixture *fixture))
{
	uint64_t deadline_ns = clock_now_ns() + DEADLINE_NS;

	while (!is_done(fixture)) {
		assert_true(clock_now_ns() < deadline_ns);
		turn(fixture);
	}
}

static bool is_connected(struct fixture *fixture)
{
	return fixture->count > 0 && counters_of(fixture)->connections > 0;
}

static bool is_empty(struct fixture *fixture)
{
	return counters_of(fixture)->waiting_records == 0;
}

static bool has_none_retired(struct fixture *fixture)
{
	return fixture->set.retired_count == 0;
}

static void export_many(struct fixture *fixture, unsigned count)
{
	struct flow_record record = records_make(RECORD_CURL);

	for (unsigned i = 0; i < count; i++) {
		record.flow_id = ++fixture->exported;
		exporter_export(fixture->set.items[0], &record);
	}
}

static void change(struct fixture *fixture)
{
	assert_int_equal(exporter_set_change(&fixture->set, &fixture->config, &fixture->context),
			 0);
}

/* The flows in whole lines of a connection go on behind "last". */
static uint64_t check_lines(const struct connection_log *connection, uint64_t last)
{
	static const char key[] = "\"FLOW_ID\":";
	uint8_t *at = connection->bytes, *stop = at + connection->length, *end;

	for (; at < stop && (end = memchr(at, '\n', (size_t)(stop - at))); at = end + 1) {
		const char *found;

		*end = '\0';
		found = strstr((char *)at, key);
		assert_int_equal(*at, '{');
		assert_non_null(found);
		assert_int_equal(strtoull(found + strlen(key), NULL, 10), ++last);
	}
	return last;
}

/* The collector reads nothing until the change: some is in its kernel, some on its way, some waits. */
static void change_under_way(struct fixture *fixture, bool with_spool)
{
	int small = 4096;

	assert_int_equal(
		setsockopt(fixture->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	if (with_spool)
		fixture->exporter.spool = fixture->spool;
	assert_int_equal(exporter_set_open(&fixture->set, &fixture->config, &fixture->context), 0);
	run_until(fixture, is_connected);
	while (fixture->exported < FLOWS) {
		export_many(fixture, 100);
		turn(fixture);
	}
	assert_true(counters_of(fixture)->waiting_records > 0);
	fixture->exporter.queue += 1;
	change(fixture);
	assert_int_equal(fixture->set.retired_count, 0);
	assert_int_equal(counters_of(fixture)->accepted_records, FLOWS);
	export_many(fixture, 100);
	fixture->reads = true;
	run_until(fixture, is_empty);
	assert_int_equal(counters_of(fixture)->accepted_records, FLOWS + 100);
	assert_int_equal(counters_of(fixture)->sent_records, FLOWS + 100);
	assert_int_equal(counters_of(fixture)->connections, 2);
	for (unsigned i = 0; i < 100; i++)
		turn(fixture); /* what is acknowledged is there to be read */
}

static void test_a_change_keeps_lines(void **state)
{
	struct fixture *fixture = *state;

	change_under_way(fixture, false);
	assert_int_equal(
		check_lines(&fixture->connections[1], check_lines(&fixture->connections[0], 0)),
		FLOWS + 100);
}

static void test_a_change_keeps_the_spool(void **state)
{
	struct fixture *fixture = *state;

	fixture->exporter.queue = 500;
	change_under_way(fixture, true);
	assert_int_equal(
		check_lines(&fixture->connections[1], check_lines(&fixture->connections[0], 0)),
		FLOWS + 100);
}

static uint16_t u16_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* RFC 7011 3.1, 8: whole messages, templates in front of what they describe, the sequence in step. Returns
 * how many sets of flows there were. */
static unsigned check_messages(const struct connection_log *connection, bool may_be_torn)
{
	const uint8_t *at = connection->bytes, *stop = at + connection->length;
	bool has_templates = false;
	unsigned sets = 0;

	while (at < stop) {
		const uint8_t *end = at + u16_at(at + 2);

		if (may_be_torn && (stop - at < 16 || end > stop))
			break;
		assert_int_equal(u16_at(at), 10);
		assert_true(end <= stop);
		if (at == connection->bytes)
			assert_int_equal(u16_at(at + 8) << 16 | u16_at(at + 10), 0);
		for (at += 16; at < end; at += u16_at(at + 2)) {
			has_templates |= u16_at(at) == 2;
			if (u16_at(at) >= 256 && u16_at(at) < TEMPLATE_OPTIONS_ID) {
				assert_true(has_templates);
				sets++;
			}
		}
		assert_ptr_equal(at, end);
	}
	return sets;
}

static void test_a_change_keeps_messages(void **state)
{
	struct fixture *fixture = *state;

	fixture->exporter.type = CONFIG_EXPORTER_IPFIX;
	fixture->exporter.template_interval_ns += NS_PER_SEC;
	change_under_way(fixture, false);
	(void)check_messages(&fixture->connections[0], true);
	assert_true(check_messages(&fixture->connections[1], false) > 0);
}

/* Nobody listens. The removed one has its second while the loop turns. */
static void test_a_removed_one_does_not_hold_the_loop_up(void **state)
{
	struct fixture *fixture = *state;

	fixture->exporter.to.port = 1;
	assert_int_equal(exporter_set_open(&fixture->set, &fixture->config, &fixture->context), 0);
	export_many(fixture, 10);
	fixture->config.exporter_count = 0;
	change(fixture);
	assert_int_equal(fixture->set.count, 0);
	assert_int_equal(fixture->set.retired_count, 1);
	run_until(fixture, has_none_retired);
}

/* What the old one cannot bring to an end is counted where the name stays. */
static void test_another_language(void **state)
{
	struct fixture *fixture = *state;

	fixture->exporter.to.port = 1;
	assert_int_equal(exporter_set_open(&fixture->set, &fixture->config, &fixture->context), 0);
	export_many(fixture, 10);
	fixture->exporter.schema = CONFIG_SCHEMA_ECS;
	change(fixture);
	assert_int_equal(fixture->set.retired_count, 1);
	assert_int_equal(counters_of(fixture)->accepted_records, 0);
	export_many(fixture, 3);
	run_until(fixture, has_none_retired);
	assert_int_equal(counters_of(fixture)->accepted_records, 13);
	assert_int_equal(counters_of(fixture)->dropped_unreachable, 10);
	assert_int_equal(counters_of(fixture)->waiting_records, 3);
	/* With a spool it is as after a restart. */
	fixture->exporter.spool = fixture->spool;
	change(fixture);
	assert_int_equal(counters_of(fixture)->waiting_records, 3);
	fixture->exporter.schema = CONFIG_SCHEMA_PROCFLOW;
	change(fixture);
	assert_int_equal(fixture->set.retired_count, 0);
	run_until(fixture, is_empty);
	assert_int_equal(counters_of(fixture)->dropped_spool, 3);
	assert_int_equal(counters_of(fixture)->accepted_records, 13);
}

static void test_what_cannot_be_opened_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct config_exporter exporters[2] = {fixture->exporter, fixture->exporter};
	struct exporter *before;

	fixture->exporter.spool = fixture->spool;
	assert_int_equal(exporter_set_open(&fixture->set, &fixture->config, &fixture->context), 0);
	before = fixture->set.items[0];
	export_many(fixture, 10);
	exporters[0].spool = fixture->spool;
	exporters[1].name = (char[]){"bad"};
	exporters[1].to =
		(struct config_address){.transport = CONFIG_TRANSPORT_FILE, .path = fixture->spool};
	fixture->config.exporters = exporters;
	fixture->config.exporter_count = 2;
	exporters[0].queue = 1;
	assert_int_equal(exporter_set_change(&fixture->set, &fixture->config, &fixture->context),
			 -EISDIR);
	assert_int_equal(fixture->set.count, 1);
	assert_ptr_equal(fixture->set.items[0], before);
	fixture->reads = true;
	run_until(fixture, is_empty);
	assert_int_equal(counters_of(fixture)->sent_records, 10);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_a_change_keeps_lines),
		with_fixture(test_a_change_keeps_the_spool),
		with_fixture(test_a_change_keeps_messages),
		with_fixture(test_a_removed_one_does_not_hold_the_loop_up),
		with_fixture(test_another_language),
		with_fixture(test_what_cannot_be_opened_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
