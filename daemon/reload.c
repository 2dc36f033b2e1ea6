/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "reload"

#include "reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "config/compare.h"
#include "config/reader.h"
#include "export/service_check.h"
#include "runtime/log.h"
#include "runtime/loop.h"

enum { NOTIFICATION_SIZE = 64 };

DEFINE_CLEANUP(struct config *, config_free);

/* Each line of what people would see from "procflowd -t". */
static void tell_mistakes(const struct buffer *mistakes)
{
	const char *at = (const char *)mistakes->bytes, *end = at + mistakes->length;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((stop ? stop : end) - at);

		log_error("%.*s", (int)length, at);
		at += length + 1;
	}
}

static int read_config(const struct reload_parts *parts, struct config **ret)
{
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_file(parts->path, parts->must_exist, ret, &mistakes);
	if (r == 0 && service_check_configuration(*ret, parts->path, &mistakes) < 0) {
		config_free(steal_pointer(ret));
		r = -EINVAL;
	}
	if (mistakes.length > 0)
		tell_mistakes(&mistakes);
	else if (r < 0)
		log_error("%s: %s", parts->path, strerror(-r));
	buffer_fini(&mistakes);
	return r;
}

static bool is_of_log(const struct config_key *key)
{
	return strcmp(key->section, "log") == 0;
}

static void warn_of_the_rest(const struct reload_parts *parts, const struct config *config)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (!config_key_is_of_exporter(key) && !is_of_log(key) &&
		    !config_key_is_equal(key, parts->running, config))
			log_warning("%s.%s has changed in the file: that needs a restart",
				    key->section, key->name);
	}
}

static void change_log(const struct reload_parts *parts, const struct config_log *log)
{
	enum log_level level = (enum log_level)log->level + parts->verbosity;

	log_configure(level < LOG_LEVEL_DEBUG ? level : LOG_LEVEL_DEBUG,
		      (enum log_target)log->target);
}

static int apply(const struct reload_parts *parts)
{
	cleanup(config_free_cleanup) struct config *config = NULL;
	int r = read_config(parts, &config);

	if (r == 0)
		r = exporter_set_change(parts->exporters, config, parts->context);
	if (r < 0)
		return r;
	change_log(parts, &config->log);
	warn_of_the_rest(parts, config);
	return 0;
}

int reload(const struct reload_parts *parts)
{
	char notification[NOTIFICATION_SIZE];
	int r;

	/* systemd wants the time the reload began, to tell it from an older one (sd_notify(3)). */
	snprintf(notification, sizeof(notification), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 clock_now_ns() / NS_PER_US);
	loop_notify(notification);
	r = apply(parts);
	if (r < 0)
		log_error("the running configuration stays as it is");
	else
		log_notice("configuration read again");
	loop_notify("READY=1");
	return r;
}
