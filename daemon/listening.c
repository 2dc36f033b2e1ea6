/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "listening.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/macros.h"

#define LOG_MODULE "listening"
#include "runtime/log.h"

/* A look may take a fiftieth of the time between two. */
enum { LOOK_SHARE = 50 };
#define LOOK_EVERY_NS (10 * NS_PER_SEC)

struct listening {
	struct listening_options options;
	struct loop_source *timer;
	bool has_failed;
};

/* One look. */
struct look {
	const struct listening *listening;
	uint64_t now_ns;
	struct buffer ports;	 /* of struct listening_port */
	struct buffer processes; /* of struct process *, held: the ports' texts are theirs */
};

static int compare_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare(const void *left, const void *right)
{
	const struct listening_port *a = left, *b = right;

	if (a->is_udp != b->is_udp)
		return a->is_udp - b->is_udp;
	if (a->is_v6 != b->is_v6)
		return a->is_v6 - b->is_v6;
	if (a->port != b->port)
		return a->port - b->port;
	return compare_text(a->executable, b->executable);
}

size_t listening_sort(struct listening_port *ports, size_t count)
{
	size_t kept = 0;

	if (count > 0)
		qsort(ports, count, sizeof(*ports), compare);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || compare(&ports[kept - 1], &ports[i]) != 0)
			ports[kept++] = ports[i];
	return kept;
}

static void name_program(struct look *look, struct process_id id, struct listening_port *port)
{
	struct process_table *processes = look->listening->options.processes;
	struct process *process = process_table_acquire(processes, id, look->now_ns);
	const struct process_identity *identity;

	if (!process)
		return;
	buffer_add(&look->processes, &process, sizeof(process));
	if (look->processes.failed) {
		process_table_release(processes, process);
		return;
	}
	identity = process_get_identity(process);
	if (identity->has_executable)
		port->executable = identity->executable;
	port->package = process_table_find_package(processes, identity);
}

static void on_found(void *userdata, const struct listener *listener)
{
	struct look *look = userdata;
	struct listening_port port = {.is_udp = listener->protocol == IPPROTO_UDP,
				      .is_v6 = listener->family == IP_FAMILY_V6,
				      .port = listener->port};

	if (listener->process.pid > 0)
		name_program(look, listener->process, &port);
	buffer_add(&look->ports, &port, sizeof(port));
}

static void release_processes(struct look *look)
{
	struct process **held = (struct process **)(void *)look->processes.bytes;

	for (size_t i = 0; i < look->processes.length / sizeof(struct process *); i++)
		process_table_release(look->listening->options.processes, held[i]);
}

static void tell(const struct exporter_set *exporters, const struct listening_ports *ports)
{
	for (size_t i = 0; i < exporters->count; i++)
		exporter_take_listening_ports(exporters->items[i], ports);
}

static void look_around(struct listening *listening, uint64_t now_ns)
{
	struct look look = {.listening = listening, .now_ns = now_ns};
	struct listening_ports ports;
	int r;

	buffer_init(&look.ports);
	buffer_init(&look.processes);
	r = attribution_list_listeners(listening->options.attribution, now_ns, on_found, &look);
	if (r == 0 && (look.ports.failed || look.processes.failed))
		r = -ENOMEM;
	if (r == 0) {
		struct listening_port *items = (struct listening_port *)(void *)look.ports.bytes;

		ports.count = listening_sort(items, look.ports.length / sizeof(*items));
		ports.items = items;
		tell(listening->options.exporters, &ports);
	} else if (!listening->has_failed) {
		log_warning("cannot list listening ports: %s", strerror(-r));
	}
	listening->has_failed = r < 0;
	release_processes(&look);
	buffer_fini(&look.ports);
	buffer_fini(&look.processes);
}

static bool is_wanted(const struct exporter_set *exporters)
{
	for (size_t i = 0; i < exporters->count; i++)
		if (exporter_wants_listening_ports(exporters->items[i]))
			return true;
	return false;
}

static void on_due(void *userdata, uint64_t now_ns)
{
	struct listening *listening = userdata;
	uint64_t wait_ns = LOOK_EVERY_NS;

	if (is_wanted(listening->options.exporters)) {
		look_around(listening, now_ns);
		if ((clock_now_ns() - now_ns) * LOOK_SHARE > wait_ns)
			wait_ns = (clock_now_ns() - now_ns) * LOOK_SHARE;
	}
	loop_source_set_time(listening->timer, clock_now_ns() + wait_ns);
}

int listening_new(const struct listening_options *options, struct listening **ret)
{
	struct listening *listening = calloc(1, sizeof(*listening));
	int r;

	if (!listening)
		return -ENOMEM;
	listening->options = *options;
	r = loop_add_timer(options->loop, clock_now_ns(), on_due, listening, &listening->timer);
	if (r < 0) {
		free(listening);
		return r;
	}
	*ret = listening;
	return 0;
}

void listening_free(struct listening *listening)
{
	if (!listening)
		return;
	loop_source_free(listening->timer);
	free(listening);
}
