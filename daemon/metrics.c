/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "runtime/metrics_server.h"
#include "runtime/whole_file.h"

#define LOG_MODULE "metrics"
#include "runtime/log.h"

enum { FILE_MODE = 0644 }; /* it is for others to read */

struct metrics {
	const struct counters_parts *parts;
	struct counters *counters;
	const struct config_metrics *config;
	struct metrics_server *server;
	struct loop_source *timer;
	int trouble; /* of the last write, told once */
};

DEFINE_CLEANUP(struct metrics *, metrics_free);

static void encode(void *userdata, struct buffer *out)
{
	struct metrics *metrics = userdata;
	const struct statistics *statistics =
		counters_read(metrics->counters, metrics->parts, clock_now_ns());

	if (statistics)
		statistics_encode_metrics(statistics, out);
	else
		out->failed = true;
}

static void write_file(struct metrics *metrics)
{
	struct buffer page;
	int r = -ENOMEM;

	buffer_init(&page);
	encode(metrics, &page);
	if (!page.failed)
		r = whole_file_write(metrics->config->file, page.bytes, page.length, FILE_MODE);
	buffer_fini(&page);
	if (r < 0 && r != metrics->trouble)
		log_warning("%s: cannot be written: %s", metrics->config->file, strerror(-r));
	metrics->trouble = r;
}

static void on_file_due(void *userdata, uint64_t now_ns)
{
	struct metrics *metrics = userdata;

	write_file(metrics);
	loop_source_set_time(metrics->timer, now_ns + metrics->config->interval_ns);
}

static void open_server(struct metrics *metrics, struct loop *loop)
{
	const struct config_listen *listen = &metrics->config->listen;
	struct metrics_server_options options = {
		.address = listen->address,
		.family = (enum ip_family)listen->family,
		.port = listen->port,
		.encode = encode,
		.userdata = metrics,
	};
	char text[IP_ADDRESS_TEXT_SIZE];
	int r;

	if (listen->family == IP_FAMILY_NONE)
		return;
	r = metrics_server_new(loop, &options, &metrics->server);
	if (r == 0)
		return;
	ip_address_format(&listen->address, options.family, text);
	log_warning("cannot listen at %s port %u: %s", text, listen->port, strerror(-r));
}

int metrics_new(struct loop *loop, const struct counters_parts *parts, struct counters *counters,
		struct metrics **ret)
{
	cleanup(metrics_free_cleanup) struct metrics *metrics = calloc(1, sizeof(*metrics));
	int r;

	if (!metrics)
		return -ENOMEM;
	*metrics = (struct metrics){
		.parts = parts, .counters = counters, .config = &parts->config->metrics};
	open_server(metrics, loop);
	if (metrics->config->file) {
		r = loop_add_timer(loop, clock_now_ns(), on_file_due, metrics, &metrics->timer);
		if (r < 0)
			return r;
	}
	*ret = steal_pointer(&metrics);
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	metrics_server_free(metrics->server);
	loop_source_free(metrics->timer);
	if (metrics->config->file && metrics->timer && metrics->trouble == 0)
		unlink(metrics->config->file);
	free(metrics);
}
