/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "export/exporter_set.h"

enum { HEADER = 20, TEMPLATES = 0 };

struct fixture {
	struct exporter_set set;
	struct exporter_context context;
	struct config_exporter exporters[2];
	struct config config;
	int socket;
};

static int set_up(void **state)
{
	static char names[][2] = {"a", "b"}, host[] = "127.0.0.1", templates[] = "procflow";
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(address);

	assert_int_equal(loop_new(&fixture->context.loop), 0);
	fixture->socket = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fixture->socket, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fixture->socket, (struct sockaddr *)&address, &length), 0);
	for (uint32_t i = 0; i < 2; i++)
		fixture->exporters[i] = (struct config_exporter){
			.name = names[i],
			.type = CONFIG_EXPORTER_NETFLOW9,
			.to = {.transport = CONFIG_TRANSPORT_UDP,
			       .host = host,
			       .port = ntohs(address.sin_port)},
			.template_name = templates,
			.template_interval_ns = 60 * NS_PER_SEC,
			.template_packets = 1000,
			.max_message_bytes = 1400,
			.queue = 1000,
			.records = CONFIG_RECORDS_FLOW,
			.observation_domain = i + 3,
		};
	fixture->config.exporters = fixture->exporters;
	fixture->config.exporter_count = 2;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	exporter_set_close(&fixture->set);
	loop_free(fixture->context.loop);
	close(fixture->socket);
	free(fixture);
	return 0;
}

static unsigned u16(const uint8_t *at)
{
	return (unsigned)(at[0] << 8 | at[1]);
}

/* Exports a record, and notes the ids of flows' templates that came, by their domain. */
static void collect(struct fixture *fixture, unsigned ids[8])
{
	struct flow_record record = records_make(RECORD_CURL);
	uint8_t bytes[2000];
	ssize_t length;

	for (size_t i = 0; i < fixture->set.count; i++) {
		exporter_export(fixture->set.items[i], &record);
		exporter_flush(fixture->set.items[i]);
	}
	while ((length = recv(fixture->socket, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (size_t at = HEADER; at < (size_t)length; at += u16(bytes + at + 2))
			if (u16(bytes + at) == TEMPLATES && bytes[19] < 8)
				ids[bytes[19]] = u16(bytes + at + 4);
}

/* Each under its own domain. What a reload changes has other ids than anybody had before; what it leaves
 * alone announces nothing anew. */
static void test_reload(void **state)
{
	struct fixture *fixture = *state;
	unsigned before[8] = {0}, after[8] = {0};
	static char other[] = "standard";

	assert_int_equal(exporter_set_open(&fixture->set, &fixture->config, &fixture->context), 0);
	collect(fixture, before);
	assert_in_range(before[3], 256, 65535);
	assert_in_range(before[4], 256, 65535);
	assert_int_not_equal(before[3], before[4]);
	fixture->exporters[1].template_name = other;
	assert_int_equal(exporter_set_change(&fixture->set, &fixture->config, &fixture->context),
			 0);
	collect(fixture, after);
	assert_int_equal(after[3], 0);
	assert_in_range(after[4], 256, 65535);
	assert_int_not_equal(after[4], before[3]);
	assert_int_not_equal(after[4], before[4]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
