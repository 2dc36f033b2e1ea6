/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "sources/host_checks.h"

static const char name[] = "sysdig";

/* One that is not a program tells more than one that is not there. */
static void try_path(const char *path, int *result)
{
	if (*result != 0)
		*result = access(path, X_OK) == 0 ? 0 : errno != ENOENT ? -errno : *result;
}

/* As execvp(3) looks for it: 0, or why it cannot be run. */
static int find_program(const char *program)
{
	const char *place = getenv("PATH");
	struct buffer path;
	int result = -ENOENT;

	if (strchr(program, '/')) {
		try_path(program, &result);
		return result;
	}
	if (!place)
		place = "/bin:/usr/bin";
	buffer_init(&path);
	for (;;) {
		size_t length = strcspn(place, ":");

		buffer_clear(&path);
		buffer_add_format(&path, "%.*s%s%s", (int)length, place, length ? "/" : "",
				  program);
		buffer_add_byte(&path, '\0');
		if (!path.failed)
			try_path((const char *)path.bytes, &result);
		if (place[length] == '\0')
			break;
		place += length + 1;
	}
	buffer_fini(&path);
	return result;
}

void host_check_sysdig(struct host_report *report)
{
	const struct config_sysdig *config = &report->config->sysdig;
	int r;

	if (!config->enable)
		return;
	r = find_program(config->command.items[0]);
	if (r < 0)
		host_report_write(report, HOST_MISSING, name,
				  "%s cannot be run: %s; install it, or tell where it is in "
				  "sysdig.command",
				  config->command.items[0], strerror(-r));
	else if (config->capture && access(config->capture, R_OK) < 0)
		host_report_write(report, HOST_MISSING, name,
				  "%s cannot be read: %s; see sysdig.capture", config->capture,
				  strerror(errno));
	else if (config->capture)
		host_report_write(report, HOST_OK, name, "%s can be run, and %s be read",
				  config->command.items[0], config->capture);
	else
		host_report_write(report, HOST_OK, name,
				  "%s can be run; whether its driver works only its start tells",
				  config->command.items[0]);
}
