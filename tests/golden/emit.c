/* SPDX-License-Identifier: GPL-2.0-or-later */

/* emit TYPE TO TEMPLATE BIFLOW [COPIES [KIND [SEED [MAX_MESSAGE]]]]: exports the fixed set of records of
 * that KIND (flows, processes) through a real exporter, or a random one (random_flows,
 * random_processes), COPIES times.
 * TYPE json, text, netflow9, ipfix; TO stdout:, file:PATH or udp:PORT (on 127.0.0.1). The first of a
 * fixed set seems to have begun AGO_MS before now. Prints the time that stands for RECORDS_START_MS and
 * the counters on standard error, and returns 1 when a record was not sent. */

#include <stdio.h>
#include <unistd.h>

#include "export/exporter.h"
#include "golden/records.h"

enum { AGO_MS = 80000 };

static const char *const type_names[] = {"json", "text", "netflow9", "ipfix"};

enum kind { FLOWS, PROCESSES, RANDOM_FLOWS, RANDOM_PROCESSES };

static const struct {
	const char *name;
	unsigned count;
} kinds[] = {
	[FLOWS] = {"flows", RECORDS_COUNT},
	[PROCESSES] = {"processes", RECORDS_PROCESS_COUNT},
	[RANDOM_FLOWS] = {"random_flows", 1},
	[RANDOM_PROCESSES] = {"random_processes", 1},
};

static int parse(char **arguments, struct config_exporter *config)
{
	char *to = arguments[1];

	config->type = array_length(type_names);
	for (unsigned i = 0; i < array_length(type_names); i++)
		if (strcmp(arguments[0], type_names[i]) == 0)
			config->type = i;
	if (config->type == array_length(type_names))
		return -1;
	if (strcmp(to, "stdout:") == 0) {
		config->to.transport = CONFIG_TRANSPORT_STDOUT;
	} else if (strncmp(to, "file:", 5) == 0) {
		config->to.transport = CONFIG_TRANSPORT_FILE;
		config->to.path = to + 5;
	} else if (strncmp(to, "udp:", 4) == 0) {
		config->to.transport = CONFIG_TRANSPORT_UDP;
		config->to.host = to;
		config->to.port = (uint16_t)atoi(to + 4);
	} else {
		return -1;
	}
	config->template_name = arguments[2];
	config->biflow = strcmp(arguments[3], "ntop") == 0    ? CONFIG_BIFLOW_NTOP
			 : strcmp(arguments[3], "split") == 0 ? CONFIG_BIFLOW_SPLIT
							      : CONFIG_BIFLOW_RFC5103;
	return 0;
}

static enum kind parse_kind(const char *name)
{
	for (unsigned i = 0; i < array_length(kinds); i++)
		if (strcmp(name, kinds[i].name) == 0)
			return i;
	exit(2);
}

static struct flow_record make(enum kind kind, unsigned which, uint64_t *seed)
{
	switch (kind) {
	case RANDOM_FLOWS:
		return records_make_random(seed);
	case RANDOM_PROCESSES:
		return records_make_random_process(seed);
	case PROCESSES:
		return records_make_process(which);
	default:
		return records_make(which);
	}
}

static void export_all(struct exporter *exporter, enum kind kind, uint64_t *seed, uint64_t base_ms,
		       uint64_t now_ns)
{
	for (unsigned i = 0; i < kinds[kind].count; i++) {
		struct flow_record record = make(kind, i, seed);

		if (kind == FLOWS || kind == PROCESSES) {
			record.start_ms += base_ms - RECORDS_START_MS;
			record.end_ms += base_ms - RECORDS_START_MS;
			record.start_ns += now_ns - AGO_MS * NS_PER_MS - RECORDS_START_NS;
			record.end_ns += now_ns - AGO_MS * NS_PER_MS - RECORDS_START_NS;
		}
		exporter_export(exporter, &record);
	}
}

int main(int argc, char **argv)
{
	char host[] = "127.0.0.1";
	struct config_exporter config = {.name = (char[]){"emit"},
					 .template_interval_ns = 60 * NS_PER_SEC,
					 .template_packets = 1000,
					 .max_message_bytes = 1400,
					 .queue = 65536,
					 .observation_domain = 7,
					 .records = CONFIG_RECORDS_FLOW | CONFIG_RECORDS_PROCESS};
	struct exporter_context context = {.loop = NULL};
	uint64_t base_ms = clock_wall_ns() / NS_PER_MS - AGO_MS, now_ns = clock_now_ns();
	int copies = argc > 5 ? atoi(argv[5]) : 1;
	enum kind kind = parse_kind(argc > 6 ? argv[6] : "flows");
	uint64_t seed = argc > 7 ? strtoull(argv[7], NULL, 10) : 1;
	struct exporter_counters counters;
	struct exporter *exporter;

	if (argc < 5 || parse(argv + 1, &config) < 0) {
		fprintf(stderr, "usage: emit json|text|netflow9|ipfix TO TEMPLATE BIFLOW\n");
		return 2;
	}
	if (argc > 8)
		config.max_message_bytes = (uint32_t)atoi(argv[8]);
	context.is_terminal = isatty(STDOUT_FILENO) == 1;
	if (config.to.host)
		config.to.host = host;
	if (loop_new(&context.loop) < 0 || exporter_new(&config, &context, &exporter) < 0)
		return 2;
	for (int copy = 0; copy < copies; copy++)
		export_all(exporter, kind, &seed, base_ms, now_ns);
	exporter_flush(exporter);
	counters = *exporter_get_counters(exporter);
	fprintf(stderr, "base %llu\n", (unsigned long long)base_ms);
	fprintf(stderr, "sent %llu records in %llu messages, %llu bytes, %llu templates\n",
		(unsigned long long)counters.sent_records,
		(unsigned long long)counters.sent_messages, (unsigned long long)counters.sent_bytes,
		(unsigned long long)counters.templates_sent);
	exporter_free(exporter);
	loop_free(context.loop);
	return counters.sent_records == counters.accepted_records ? 0 : 1;
}
