/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include "export/delivery.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "config/keys.h"
#include "export/delivery_bytes.h"
#include "export/delivery_stream.h"
#include "export/plugin.h"
#include "runtime/log.h"

#define TROUBLE_QUIET_NS (10 * NS_PER_SEC)

int delivery_open(const struct delivery_options *options, struct delivery **ret)
{
	const struct config_exporter_kind *kind = config_exporter_kind_find(options->config->type);
	enum config_transport transport = options->config->to.transport;
	bool is_connection = transport == CONFIG_TRANSPORT_TCP ||
			     transport == CONFIG_TRANSPORT_TLS ||
			     transport == CONFIG_TRANSPORT_UNIX;
	const struct delivery_ops *ops = is_connection ? &delivery_stream_ops : &delivery_bytes_ops;

	if (kind && kind->service) {
		char directory[PATH_MAX];
		int r;

		plugin_find_directory(directory);
		r = plugin_load(directory, kind->service, options->config->name, &ops);
		if (r < 0)
			return r;
	}
	return ops->open(options, ret);
}

void delivery_close(struct delivery *delivery)
{
	if (delivery)
		delivery->ops->close(delivery);
}

void delivery_init(struct delivery *delivery, const struct delivery_ops *ops,
		   const struct delivery_options *options)
{
	delivery->ops = ops;
	delivery->options = *options;
	delivery->trouble = 0;
	delivery->attempts = 0;
}

const char *delivery_get_name(const struct delivery *delivery)
{
	return delivery->options.config->name ? delivery->options.config->name : "exporter";
}

void delivery_finish(struct delivery *delivery, struct chunk *chunk,
		     const struct delivery_outcome *outcome)
{
	assert(outcome->sent + outcome->refused + outcome->unreachable + outcome->too_large ==
	       chunk->records);
	delivery->options.events->on_finished(delivery->options.userdata, chunk, outcome);
}

void delivery_finish_sent(struct delivery *delivery, struct chunk *chunk)
{
	delivery_finish(delivery, chunk, &(struct delivery_outcome){.sent = chunk->records});
}

void delivery_return(struct delivery *delivery, struct chunk *chunk, uint32_t sent)
{
	assert(sent <= chunk->records);
	delivery->options.events->on_returned(delivery->options.userdata, chunk, sent);
}

void delivery_ready(struct delivery *delivery)
{
	delivery->options.events->on_ready(delivery->options.userdata);
}

void delivery_begin_session(struct delivery *delivery)
{
	delivery->options.events->on_session(delivery->options.userdata);
}

void delivery_report_gap(struct delivery *delivery)
{
	delivery->options.events->on_gap(delivery->options.userdata);
}

void delivery_report_closed(struct delivery *delivery)
{
	delivery->options.events->on_closed(delivery->options.userdata);
}

void delivery_tell_trouble(struct delivery *delivery, int error, const char *doing,
			   const char *reason)
{
	delivery->trouble_ns = clock_now_ns();
	if (delivery->trouble == error)
		return;
	delivery->trouble = error;
	log_warning("%s: cannot %s: %s", delivery_get_name(delivery), doing,
		    reason ? reason : strerror(abs(error)));
}

void delivery_tell_success(struct delivery *delivery)
{
	if (delivery->trouble == 0 || clock_now_ns() - delivery->trouble_ns < TROUBLE_QUIET_NS)
		return;
	delivery->trouble = 0;
	log_notice("%s: sending again", delivery_get_name(delivery));
}

uint64_t delivery_backoff(struct delivery *delivery, uint64_t shortest_ns, uint64_t longest_ns)
{
	uint64_t wait_ns = shortest_ns;
	uint16_t chance = 0;

	for (unsigned i = 0; i < delivery->attempts && wait_ns < longest_ns; i++)
		wait_ns *= 2;
	if (wait_ns > longest_ns)
		wait_ns = longest_ns;
	delivery->attempts++;
	/* Many probes lose their collector at one moment; they shall not come back at one. */
	(void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
	return wait_ns - wait_ns / 4 * chance / UINT16_MAX;
}

void delivery_reset_backoff(struct delivery *delivery)
{
	delivery->attempts = 0;
}
