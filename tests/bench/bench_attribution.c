/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What one answer of attribution costs, by how it is found. Real processes and sockets, on the
 * loopback of a network namespace of its own, with bystanders that hold descriptors as on a host
 * that does something. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attribution/attribution.h"
#include "base/clock.h"
#include "base/macros.h"
#include "config/config.h"
#include "support/actor.h"
#include "support/network_namespace.h"

enum { BYSTANDERS = 300, BYSTANDER_FDS = 20, CONNECTIONS = 2000, SHORT_LIVED = 300 };

struct bench {
	struct attribution *attribution;
	struct actor server, client;
	struct actor bystanders[BYSTANDERS];
	int64_t listener;
	uint16_t server_port, udp_port;
	uint16_t ports[CONNECTIONS];
};

struct samples {
	uint64_t ns[CONNECTIONS];
	size_t count, wrong;
};

static int64_t require(int64_t result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror((int)-result));
		exit(1);
	}
	return result;
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static int64_t do_open_files(int64_t count)
{
	struct rlimit limit = {.rlim_cur = 65536, .rlim_max = 65536};

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int64_t i = 0; i < count; i++)
		if (open("/dev/null", O_RDONLY) < 0)
			return -errno;
	return 0;
}

static int64_t do_port(int64_t fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	getsockname((int)fd, (struct sockaddr *)&address, &length);
	return ntohs(address.sin_port);
}

static int64_t do_listen(int64_t argument)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)argument;
	return listen(fd, 1024) < 0 ? -errno : fd;
}

static int64_t do_bind_udp(int64_t argument)
{
	struct sockaddr_in address = loopback((uint16_t)argument);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : fd;
}

static int64_t do_accept(int64_t fd)
{
	int connection = accept((int)fd, NULL, NULL);

	return connection < 0 ? -errno : connection;
}

/* The local port. */
static int64_t do_connect(int64_t port)
{
	struct sockaddr_in address = loopback((uint16_t)port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return do_port(fd);
}

static struct ownership ask(struct bench *bench, uint8_t protocol, uint16_t local, uint16_t remote,
			    bool initiator, struct samples *samples)
{
	struct ownership_query query = {.socket = {.local_port = local,
						   .remote_port = remote,
						   .family = IP_FAMILY_V4,
						   .protocol = protocol},
					.initiator = initiator};
	struct ownership answer;
	uint64_t start_ns = clock_now_ns();

	query.when_ns = start_ns;
	query.socket.local = ip_address_from_v4(htonl(INADDR_LOOPBACK));
	query.socket.remote = query.socket.local;
	attribution_find_owner(bench->attribution, &query, start_ns, &answer);
	samples->ns[samples->count++] = clock_now_ns() - start_ns;
	return answer;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *what, struct samples *samples)
{
	uint64_t sum = 0;

	qsort(samples->ns, samples->count, sizeof(samples->ns[0]), compare);
	for (size_t i = 0; i < samples->count; i++)
		sum += samples->ns[i];
	printf("%-58s %8.2f us mean %8.2f median %8.2f p99, %zu of %zu not as known\n", what,
	       (double)sum / (double)samples->count / 1000,
	       (double)samples->ns[samples->count / 2] / 1000,
	       (double)samples->ns[samples->count * 99 / 100] / 1000, samples->wrong,
	       samples->count);
	*samples = (struct samples){0};
}

static void set_up(struct bench *bench)
{
	struct attribution_options options = {
		.methods = CONFIG_METHOD_SOCK_DIAG,
		.all_namespaces = true,
		.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

	bench->server = actor_start();
	bench->client = actor_start();
	require(actor_tell(&bench->server, do_open_files, 0), "open");
	require(actor_tell(&bench->client, do_open_files, 0), "open");
	for (size_t i = 0; i < BYSTANDERS; i++) {
		bench->bystanders[i] = actor_start();
		require(actor_tell(&bench->bystanders[i], do_open_files, BYSTANDER_FDS), "open");
	}
	bench->listener = require(actor_tell(&bench->server, do_listen, 0), "listen");
	bench->server_port = (uint16_t)actor_tell(&bench->server, do_port, bench->listener);
	bench->udp_port =
		(uint16_t)actor_tell(&bench->server, do_port,
				     require(actor_tell(&bench->server, do_bind_udp, 0), "udp"));
	require(attribution_new(&options, &bench->attribution), "attribution");
}

static void bench_new_connections(struct bench *bench, struct samples *client,
				  struct samples *server)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		uint16_t port = (uint16_t)require(
			actor_tell(&bench->client, do_connect, bench->server_port), "connect");

		bench->ports[i] = port;
		require(actor_tell(&bench->server, do_accept, bench->listener), "accept");
		client->wrong += ask(bench, IPPROTO_TCP, port, bench->server_port, true, client)
					 .process.pid != bench->client.pid;
		server->wrong += ask(bench, IPPROTO_TCP, bench->server_port, port, false, server)
					 .process.pid != bench->server.pid;
	}
	report("new connection of a known client (2,000 in the end)", client);
	report("... accepted by a known server", server);
}

static void bench_known(struct bench *bench, struct samples *samples)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		samples->wrong +=
			ask(bench, IPPROTO_TCP, bench->ports[i], bench->server_port, true, samples)
				.process.pid != bench->client.pid;
	report("the same connections again: cache hit", samples);
	for (size_t i = 0; i < CONNECTIONS; i++)
		samples->wrong +=
			ask(bench, IPPROTO_UDP, bench->udp_port, bench->ports[i], false, samples)
				.process.pid != bench->server.pid;
	report("UDP server, one socket, many peers", samples);
	for (size_t i = 0; i < CONNECTIONS; i++)
		samples->wrong +=
			ask(bench, IPPROTO_UDP, bench->udp_port, bench->ports[i], true, samples)
				.process.pid != bench->server.pid;
	report("UDP, one unconnected socket that sends to many", samples);
	for (size_t i = 0; i < CONNECTIONS; i++)
		samples->wrong +=
			ask(bench, IPPROTO_TCP, 1, bench->ports[i], true, samples).reason !=
			OWNERSHIP_REASON_CLOSED;
	report("socket that is not there", samples);
}

static void bench_remote(struct bench *bench, const char *what, uint32_t address,
			 struct samples *samples)
{
	struct ownership_query query = {
		.socket = {.family = IP_FAMILY_V4, .protocol = IPPROTO_TCP}};
	struct ownership answer;

	query.socket.local = ip_address_from_v4(htonl(address));
	do { /* that nobody has it is found out once */
		query.when_ns = clock_now_ns();
		attribution_find_owner(bench->attribution, &query, query.when_ns, &answer);
	} while (answer.is_provisional);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		uint64_t start_ns = clock_now_ns();

		query.when_ns = start_ns;
		attribution_find_owner(bench->attribution, &query, start_ns, &answer);
		samples->ns[samples->count++] = clock_now_ns() - start_ns;
		samples->wrong += answer.method != OWNERSHIP_REMOTE;
	}
	report(what, samples);
}

/* Each connects once, is asked about while it lives, and ends. */
static void bench_short_lived(struct bench *bench, struct samples *samples)
{
	for (size_t i = 0; i < SHORT_LIVED; i++) {
		struct actor actor = actor_start();
		uint16_t port = (uint16_t)require(
			actor_tell(&actor, do_connect, bench->server_port), "connect");

		require(actor_tell(&bench->server, do_accept, bench->listener), "accept");
		samples->wrong += ask(bench, IPPROTO_TCP, port, bench->server_port, true, samples)
					  .process.pid != actor.pid;
		actor_stop(&actor);
	}
	report("first connection of a new process", samples);
}

static void bench_old_strangers(struct bench *bench, struct samples *samples)
{
	for (size_t i = 0; i < BYSTANDERS; i++) {
		uint16_t port = (uint16_t)require(
			actor_tell(&bench->bystanders[i], do_connect, bench->server_port),
			"connect");

		require(actor_tell(&bench->server, do_accept, bench->listener), "accept");
		samples->wrong += ask(bench, IPPROTO_TCP, port, bench->server_port, true, samples)
					  .process.pid != bench->bystanders[i].pid;
	}
	report("first connection of each of 300 old processes", samples);
}

int main(void)
{
	static struct bench bench;
	static struct samples samples, more;
	const struct attribution_counters *counters;

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		return 77;
	}
	set_up(&bench);
	bench_remote(&bench, "remote end", 0x08080808, &samples);
	bench_remote(&bench, "... with a private address", 0x0a010203, &samples);
	bench_new_connections(&bench, &samples, &more);
	bench_known(&bench, &samples);
	bench_short_lived(&bench, &samples);
	bench_old_strangers(&bench, &samples);
	counters = attribution_get_counters(bench.attribution);
	printf("socket queries %llu, errors %llu; cache hits %llu, stale %llu; directories read "
	       "%llu, refused %llu\n",
	       (unsigned long long)counters->socket_queries,
	       (unsigned long long)counters->socket_errors,
	       (unsigned long long)counters->inode_hits, (unsigned long long)counters->inode_stale,
	       (unsigned long long)counters->processes_scanned,
	       (unsigned long long)counters->scans_refused);
	attribution_free(bench.attribution);
	actor_stop(&bench.client);
	actor_stop(&bench.server);
	for (size_t i = 0; i < BYSTANDERS; i++)
		actor_stop(&bench.bystanders[i]);
	return 0;
}
