/* SPDX-License-Identifier: GPL-2.0-or-later */

/* truth_flows -k tcp|answer|send -f 4|6 [-e SENDER] [-n FLOWS] [-p PARALLEL] [-a ADDRESS -s NETNS]
 *
 * FLOWS processes that open one flow to a server and exit, PARALLEL at once at full speed; by fork
 * alone, or by execve(2) of SENDER. The server is on loopback, or in the network namespace whose file is
 * NETNS, on ADDRESS. Then prints the truth: "server PID SECONDS", and a line "PID PARENT LOCAL-PORT
 * REMOTE-PORT" for each flow. The server lives until standard input ends.
 *
 * truth_flows -l HOLDERS: processes that live until standard input ends and hold 64 sockets each. Prints
 * "holding". */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "truth.h"

struct options {
	struct truth_cell cell;
	const char *program, *server_namespace;
	size_t flows, parallel, holders;
};

static double read_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void enter(int namespace)
{
	if (setns(namespace, CLONE_NEWNET) < 0)
		fail("setns");
}

static int open_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

static void start_server(const struct options *options, struct truth_server *ret)
{
	int home, other;

	if (!options->server_namespace) {
		truth_server_start(&options->cell, ret);
		return;
	}
	home = open_namespace("/proc/self/ns/net");
	other = open_namespace(options->server_namespace);
	enter(other);
	truth_server_start(&options->cell, ret);
	enter(home);
	close(home);
	close(other);
}

static void wait_for_end_of_input(void)
{
	char bytes[16];

	fflush(stdout);
	while (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0)
		;
}

static int parse_kind(const char *name, enum truth_kind *ret)
{
	static const char *const names[TRUTH_KINDS] = {"tcp", "answer", "send"};

	for (int i = 0; i < TRUTH_KINDS; i++)
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum truth_kind)i;
			return 0;
		}
	return -EINVAL;
}

static int parse_options(int argc, char **argv, struct options *options)
{
	int option;

	while ((option = getopt(argc, argv, "k:f:e:n:p:a:s:l:")) != -1)
		switch (option) {
		case 'k':
			if (parse_kind(optarg, &options->cell.kind) < 0)
				return -EINVAL;
			break;
		case 'f':
			options->cell.family = atoi(optarg) == 4 ? AF_INET : AF_INET6;
			break;
		case 'e':
			options->program = optarg;
			options->cell.is_exec = true;
			break;
		case 'n':
			options->flows = strtoul(optarg, NULL, 10);
			break;
		case 'p':
			options->parallel = strtoul(optarg, NULL, 10);
			break;
		case 'a':
			options->cell.address = optarg;
			break;
		case 's':
			options->server_namespace = optarg;
			break;
		case 'l':
			options->holders = strtoul(optarg, NULL, 10);
			break;
		default:
			return -EINVAL;
		}
	return optind == argc && options->flows && options->parallel ? 0 : -EINVAL;
}

/* Servers of this program end with it. */
static void hold(const struct options *options)
{
	struct truth_cell cell = {.kind = TRUTH_UDP_SEND, .family = AF_INET};
	struct truth_server server;

	for (size_t i = 0; i < options->holders; i++)
		truth_server_start(&cell, &server);
	puts("holding");
	wait_for_end_of_input();
}

static void send_all(const struct options *options)
{
	struct truth_server server;
	struct truth_senders senders = {.cell = &options->cell,
					.server = &server,
					.program = options->program,
					.count = options->flows,
					.parallel = options->parallel};
	double began_s;

	start_server(options, &server);
	senders.flows = truth_map(options->flows, &senders.flows_fd);
	began_s = read_seconds();
	for (size_t i = 0; i < options->parallel; i++)
		if (truth_spawner_start(&senders, i) < 0)
			fail("fork");
	for (size_t i = 0; i < options->parallel; i++)
		if (wait(NULL) < 0)
			fail("wait");
	printf("server %d %.3f\n", server.pid, read_seconds() - began_s);
	for (size_t i = 0; i < options->flows; i++)
		if (senders.flows[i].pid)
			printf("%d %d %u %u\n", senders.flows[i].pid, senders.flows[i].parent,
			       senders.flows[i].local_port, senders.flows[i].remote_port);
	puts("end");
	wait_for_end_of_input();
	truth_server_stop(&server);
}

int main(int argc, char **argv)
{
	struct options options = {.cell = {.family = AF_INET}, .flows = 2000, .parallel = 8};

	if (parse_options(argc, argv, &options) < 0) {
		fprintf(stderr, "see the top of truth_flows.c\n");
		return 2;
	}
	if (options.holders)
		hold(&options);
	else
		send_all(&options);
	return 0;
}
