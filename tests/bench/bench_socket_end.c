/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a closed TCP socket costs: the process that reads of it, and the kernel that tells it. The same
 * connections on the loopback of a network namespace of its own, with nobody listening and with
 * sources/socket_end. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "flow/ended_sockets.h"
#include "sources/socket_end.h"
#include "support/network_namespace.h"
#include "support/traffic.h"

enum { CONNECTIONS = 8000, BATCH = 200, RUNS = 3 };

struct bench {
	struct ended_sockets table;
	struct socket_end *source;
	uint64_t reading_ns;
};

static void on_end(void *userdata, const struct socket_end_event *event)
{
	struct bench *bench = userdata;

	ended_sockets_add(&bench->table, event);
}

/* The kernel tells of sockets in a worker: CPU time of all of them, whatever else they do. */
static uint64_t get_workers_ns(void)
{
	unsigned long long total = 0, one;
	char path[300], name[32] = "";
	DIR *directory = opendir("/proc");
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = atoi(entry->d_name) > 0 ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		if (fscanf(file, "%31s", name) != 1)
			name[0] = '\0';
		fclose(file);
		if (strncmp(name, "kworker/", 8) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%llu", &one) == 1)
			total += one;
		fclose(file);
	}
	if (directory)
		closedir(directory);
	return total;
}

static uint64_t get_thread_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
}

static void drain(struct bench *bench)
{
	uint64_t begin_ns = get_thread_ns();

	socket_end_drain(bench->source);
	bench->reading_ns += get_thread_ns() - begin_ns;
}

/* Each connection closes two sockets and a listener. */
static void run(struct bench *bench)
{
	uint64_t workers_ns = get_workers_ns(), begin_ns = get_thread_ns(), used_ns;

	bench->reading_ns = 0;
	for (int i = 0; i < CONNECTIONS; i++) {
		struct traffic_pair pair = traffic_open(AF_INET, SOCK_STREAM, 0);

		traffic_close(&pair);
		if (bench->source && i % BATCH == 0)
			drain(bench);
	}
	used_ns = get_thread_ns() - begin_ns - bench->reading_ns;
	usleep(200000); /* the worker's last */
	if (bench->source)
		drain(bench);
	printf("%s: a connection takes its process %llu ns, kernel workers %llu ns\n",
	       bench->source ? "listened to" : "nobody listens",
	       (unsigned long long)(used_ns / CONNECTIONS),
	       (unsigned long long)((get_workers_ns() - workers_ns) / CONNECTIONS));
}

int main(void)
{
	struct bench bench = {0};
	struct socket_end_options options = {.on_end = on_end, .userdata = &bench};
	const struct socket_end_counters *counters;
	struct loop *loop;
	int everywhere;

	if (network_namespace_enter() < 0 || loop_new(&loop) < 0 ||
	    network_namespace_set("ipv4/tcp_max_tw_buckets", "0") < 0) {
		fprintf(stderr, "no right to make a network namespace\n");
		return 1;
	}
	ended_sockets_init(&bench.table, 65536, 150 * NS_PER_SEC);
	for (int i = 0; i < RUNS; i++) {
		run(&bench);
		if (socket_end_new(loop, &options, &everywhere, &bench.source) < 0)
			return 1;
		run(&bench);
		counters = socket_end_get_counters(bench.source);
		printf("%llu messages read, %llu ns of the reader each; %llu overruns\n",
		       (unsigned long long)(counters->ends + counters->unconnected),
		       (unsigned long long)(bench.reading_ns /
					    (counters->ends + counters->unconnected)),
		       (unsigned long long)counters->overruns);
		socket_end_free(bench.source);
		bench.source = NULL;
	}
	ended_sockets_fini(&bench.table);
	loop_free(loop);
	return 0;
}
