/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What one record costs in each language: encoding alone, and through a whole exporter to a UDP
 * collector on the loopback or to /dev/null. The records: a local client (ten process fields), and
 * both ends local (all twenty). Medians of the rounds, and the best one. */

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "export/ecs.h"
#include "export/exporter.h"
#include "export/json.h"
#include "export/ndpi_tlv.h"
#include "export/text_table.h"
#include "export/wire_writer.h"
#include "golden/records.h"

enum { ROUNDS = 15, RECORDS = 20000 };

typedef void (*bench_run)(void *subject, const struct flow_record *record);

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* An empty loop's cost is in it: about a nanosecond. */
/* Not the wall's: other processes run too. */
static uint64_t cpu_now_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
}

static void measure(const char *name, bench_run run, void *subject)
{
	static const struct {
		const char *name;
		unsigned which;
	} kinds[] = {{"client", RECORD_CURL}, {"both ends", RECORD_LOOPBACK}, {"IPv6", RECORD_V6}};

	for (size_t kind = 0; kind < array_length(kinds); kind++) {
		struct flow_record record = records_make(kinds[kind].which);
		double ns[ROUNDS];

		for (unsigned round = 0; round < ROUNDS; round++) {
			uint64_t begun_ns = cpu_now_ns();

			for (unsigned i = 0; i < RECORDS; i++) {
				record.flow_id++;
				run(subject, &record);
			}
			ns[round] = (double)(cpu_now_ns() - begun_ns) / RECORDS;
		}
		qsort(ns, ROUNDS, sizeof(*ns), compare);
		printf("%-22s %-10s %7.0f ns a record (best %.0f)\n", name, kinds[kind].name,
		       ns[ROUNDS / 2], ns[0]);
	}
}

static void run_json(void *subject, const struct flow_record *record)
{
	struct buffer *lines = subject;

	if (lines->length > 65536)
		buffer_clear(lines);
	json_encode_record(lines, record);
}

static void run_ecs(void *subject, const struct flow_record *record)
{
	struct buffer *lines = subject;

	if (lines->length > 65536)
		buffer_clear(lines);
	ecs_encode_record(lines, record);
}

static void run_tlv(void *subject, const struct flow_record *record)
{
	struct buffer *lines = subject;

	if (lines->length > 32768)
		buffer_clear(lines);
	ndpi_tlv_encode_record(lines, record);
}

static void run_text(void *subject, const struct flow_record *record)
{
	static struct text_table table = {.width = TEXT_TABLE_WIDTH};
	struct buffer *lines = subject;

	if (lines->length > 65536)
		buffer_clear(lines);
	text_table_encode_record(&table, lines, record);
}

static void run_writer(void *subject, const struct flow_record *record)
{
	const struct wire_now now = {RECORDS_START_NS, RECORDS_START_MS * NS_PER_MS};

	wire_writer_add(subject, record, &now);
}

static void ignore_message(unused void *userdata, unused const struct wire_message *message)
{
}

static void measure_writer(const char *name, enum template_format format)
{
	const struct wire_options options = {
		.template_options = {.format = format, .set = FIELD_SET_PROCFLOW},
		.template_interval_ns = 60 * NS_PER_SEC,
		.template_packets = 1000,
		.max_message_bytes = 1400,
	};
	struct wire_writer *writer;

	if (wire_writer_new(&options, ignore_message, NULL, &writer) < 0)
		return;
	measure(name, run_writer, writer);
	wire_writer_free(writer);
}

static void run_exporter(void *subject, const struct flow_record *record)
{
	exporter_export(subject, record);
}

static void measure_exporter(const char *name, enum config_exporter_type type,
			     const struct config_address *to)
{
	const struct config_exporter config = {.name = (char[]){"bench"},
					       .type = type,
					       .to = *to,
					       .template_interval_ns = 60 * NS_PER_SEC,
					       .template_packets = 1000,
					       .max_message_bytes = 1400,
					       .queue = 65536};
	struct exporter_context context = {.loop = NULL};
	struct exporter *exporter;

	if (loop_new(&context.loop) < 0 || exporter_new(&config, &context, &exporter) < 0)
		return;
	measure(name, run_exporter, exporter);
	exporter_free(exporter);
	loop_free(context.loop);
}

/* A collector whose buffer is full drops: what the sender does stays the same. */
static int open_collector(struct config_address *to)
{
	static char host[] = "127.0.0.1";
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -1;
	*to = (struct config_address){
		.transport = CONFIG_TRANSPORT_UDP, .host = host, .port = ntohs(address.sin_port)};
	return fd;
}

int main(void)
{
	static char path[] = "/dev/null";
	struct config_address null = {.transport = CONFIG_TRANSPORT_FILE, .path = path}, udp;
	struct buffer lines;
	int collector = open_collector(&udp);

	if (collector < 0)
		return 1;
	buffer_init(&lines);
	measure("json", run_json, &lines);
	measure("json, schema ecs", run_ecs, &lines);
	buffer_clear(&lines);
	measure("nDPI TLV", run_tlv, &lines);
	buffer_clear(&lines);
	measure("text", run_text, &lines);
	buffer_fini(&lines);
	measure_writer("netflow9", TEMPLATE_NETFLOW9);
	measure_writer("ipfix", TEMPLATE_IPFIX);
	measure_exporter("json to a file", CONFIG_EXPORTER_JSON, &null);
	measure_exporter("netflow9 to UDP", CONFIG_EXPORTER_NETFLOW9, &udp);
	measure_exporter("ipfix to UDP", CONFIG_EXPORTER_IPFIX, &udp);
	close(collector);
	return 0;
}
