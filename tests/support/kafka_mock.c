/* SPDX-License-Identifier: GPL-2.0-or-later */

/* kafka_mock TOPIC: librdkafka's mock cluster on 127.0.0.1 as a process of its own. Prints where it
 * listens; then obeys lines on standard input, and says "done" to each: "down", "up" (its one broker),
 * "errors N CODE" (the next N produce requests fail). Ends with its input. */

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

enum { API_PRODUCE = 0, BROKER = 1 };

static void obey(rd_kafka_mock_cluster_t *cluster, const char *line)
{
	int count, code;

	if (strcmp(line, "down\n") == 0)
		rd_kafka_mock_broker_set_down(cluster, BROKER);
	else if (strcmp(line, "up\n") == 0)
		rd_kafka_mock_broker_set_up(cluster, BROKER);
	else if (sscanf(line, "errors %d %d", &count, &code) == 2)
		for (; count > 0; count--)
			rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 1,
							  (rd_kafka_resp_err_t)code);
	puts("done");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char error[256], line[128];
	rd_kafka_mock_cluster_t *cluster;
	rd_kafka_t *client;

	if (argc != 2)
		return 2;
	client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof(error));
	cluster = client ? rd_kafka_mock_cluster_new(client, 1) : NULL;
	if (!cluster || rd_kafka_mock_topic_create(cluster, argv[1], 4, 1) != 0)
		return 1;
	puts(rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(cluster, line);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(client);
	return 0;
}
