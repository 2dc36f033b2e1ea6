/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "capture.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sources/sysdig.h"

DEFINE_CLEANUP(struct loop *, loop_free);
DEFINE_CLEANUP(struct sysdig *, sysdig_free);

static void print_time(uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_SEC);
	struct tm utc;
	char text[32];

	if (!gmtime_r(&seconds, &utc) || strftime(text, sizeof(text), "%FT%T", &utc) == 0)
		text[0] = '\0';
	printf("%s.%09" PRIu64 "Z ", text, (uint64_t)(wall_ns % NS_PER_SEC));
}

/* Names hold any byte; what a terminal might obey is not printed. */
static void print_name(const char *name, pid_t pid)
{
	for (; *name; name++)
		putchar((unsigned char)*name >= ' ' && *name != 0x7f ? *name : '?');
	printf("[%d]", (int)pid);
}

static void print_socket(const struct sysdig_event *event)
{
	const struct socket_tuple *socket = &event->socket.socket;
	bool is_v6 = socket->family == IP_FAMILY_V6;
	char local[IP_ADDRESS_TEXT_SIZE], remote[IP_ADDRESS_TEXT_SIZE];

	ip_address_format(&socket->local, socket->family, local);
	ip_address_format(&socket->remote, socket->family, remote);
	print_time(event->socket.when_ns);
	printf("%s %s %s%s%s:%u %s %s%s%s:%u ", event->call,
	       socket->protocol == IPPROTO_TCP ? "tcp" : "udp", is_v6 ? "[" : "", local,
	       is_v6 ? "]" : "", socket->local_port,
	       event->socket.tcp_state == TCP_ESTABLISHED ? "<-" : "->", is_v6 ? "[" : "", remote,
	       is_v6 ? "]" : "", socket->remote_port);
	print_name(event->name, event->socket.pid);
	if (event->has_result)
		printf(" %" PRId64, event->result);
	putchar('\n');
}

static void print_process(const struct sysdig_event *event)
{
	print_time(event->process.when_ns);
	printf("%s ", event->call);
	print_name(event->name, event->process.pid);
	printf(" thread %d", (int)event->process.thread);
	if (event->process.parent > 0)
		printf(" parent %d", (int)event->process.parent);
	putchar('\n');
}

static void on_event(void *userdata, int outcome, const struct sysdig_event *event)
{
	(void)userdata;
	if (outcome == SYSDIG_LINE_SOCKET)
		print_socket(event);
	else if (outcome == SYSDIG_LINE_PROCESS)
		print_process(event);
}

struct capture {
	struct loop *loop;
	int error;
};

static void on_captured(void *userdata, int error)
{
	struct capture *capture = userdata;

	capture->error = error;
	loop_stop(capture->loop, 0);
}

static void print_counters(const struct sysdig_counters *counters)
{
	fprintf(stderr,
		"%" PRIu64 " lines: %" PRIu64 " useless, %" PRIu64 " unknown, %" PRIu64
		" malformed, %" PRIu64 " too long\n",
		counters->lines, counters->useless, counters->unknown, counters->malformed,
		counters->too_long);
}

int capture_print(const struct config *config, const char *path)
{
	cleanup(loop_free_cleanup) struct loop *loop = NULL;
	cleanup(sysdig_free_cleanup) struct sysdig *sysdig = NULL;
	struct capture capture = {0};
	struct sysdig_options options = {.command = config->sysdig.command.items,
					 .capture = path,
					 .handlers = {.on_event = on_event,
						      .on_captured = on_captured,
						      .userdata = &capture}};
	int r = loop_new(&loop);

	if (r < 0)
		return r;
	capture.loop = loop;
	r = sysdig_new(loop, &options, &sysdig);
	if (r < 0)
		return r;
	r = loop_run(loop);
	if (r < 0)
		return r;
	print_counters(sysdig_get_counters(sysdig));
	return capture.error;
}
